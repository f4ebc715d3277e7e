"""Tree to program: names resolved, panels expanded, domains and units known."""
