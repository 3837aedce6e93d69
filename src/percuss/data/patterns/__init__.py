"""Patterns of simple coloured shapes with the exact class and number of the shape at every pixel."""
