"""Re-derives every claim of a plan from the plan alone."""
