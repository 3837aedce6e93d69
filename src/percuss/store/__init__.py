"""The run on disk: plan, manifest, rows, images; safe writes and resume keys."""
