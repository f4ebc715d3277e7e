"""Invented rows, made from a program alone, to rehearse a study before any data is touched."""

MARK = "invented"
"""What marks whatever a rehearsal is run on and whatever it makes: names, files, texts."""

MARK_COLUMN = f"secgen:{MARK}"
"""A column of every silo's invented table: by its header the table is known, should it be given as
data later.  (Not by its rows: whether a site stops never depends on them.)"""
