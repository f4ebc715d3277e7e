"""Invented rows, made from a program alone, to rehearse a study before any data is touched."""

MARK = "invented"
"""What marks whatever a rehearsal is run on and whatever it makes: names, files, texts."""
