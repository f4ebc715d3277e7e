"""Public files: the gene lists and reference tables that a spec names, pinned by SHA-256."""
