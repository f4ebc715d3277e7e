"""A document as HTML, Markdown and PDF."""
