"""Row-local encoders: from a table to exact integer cells."""
