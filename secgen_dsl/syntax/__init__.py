"""Spec text to tree: the parser and the nodes that it yields, each with its span."""
