"""How good synthetic data are."""
