"""What is said to a user when something is wrong: codes, spans, rendering."""
