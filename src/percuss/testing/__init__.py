"""Contracts that third parties can run on their own attacks and readers, and models with exact answers."""
