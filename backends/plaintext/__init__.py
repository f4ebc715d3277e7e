"""The reference backend: every silo in one process, no secret sharing."""
