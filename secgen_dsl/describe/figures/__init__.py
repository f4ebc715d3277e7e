"""Pictures drawn from the plan."""
