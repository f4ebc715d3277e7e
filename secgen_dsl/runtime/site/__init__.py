"""A site's own files: what they hold, how they map to a program, which of their samples count."""
