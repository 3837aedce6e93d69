"""The reader study: what a study can show, who sees what in which order, and what was answered."""
