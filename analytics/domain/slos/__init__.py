"""Service level objectives: budgets, burn rates, and when a budget will be gone. Pure."""
