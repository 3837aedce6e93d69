"""The statistics of a reader study, from plain ratings and shares: no file, no database."""
