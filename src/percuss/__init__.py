"""Percuss: how small a change flips a medical-imaging model, on which images, and can the number be believed."""
