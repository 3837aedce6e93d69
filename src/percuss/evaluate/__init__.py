"""Numbers from rows: clean performance, curves, intervals, sensitivity. Never runs a model."""
