"""Training: one loop, one file per way to harden."""
