"""An evaluation as a page: words, figures, one file of HTML."""
