"""What travels between the stages: records, norms, budgets, losses, seeds, errors, the catalogue."""
