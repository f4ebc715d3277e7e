"""secgen: a language and compiler for privacy protocols between hospitals."""

__version__ = "0.1.0"
