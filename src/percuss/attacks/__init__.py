"""Attacks: one file per attack, a plain function; the engine that runs and re-measures any of them."""
