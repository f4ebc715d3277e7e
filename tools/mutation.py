"""What a mutation is: a bug that is put into a copy of the tree, and who has to notice."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Edit:
    """Replace ``old``, which stands once in ``file``, by ``new``."""

    file: str
    old: str
    new: str


@dataclass(frozen=True)
class Mutation:
    """A bug.

    Attributes:
        bug: in a few words, as in PRIVACY 7.2.
        edits: all are made at once.
        tests: files, or ``file::test``; pytest runs them until one fails.
    """

    bug: str
    edits: tuple[Edit, ...]
    tests: tuple[str, ...]


def bug(name: str, file: str, old: str, new: str, *tests: str) -> Mutation:
    """A mutation of one edit."""
    return Mutation(name, (Edit(file, old, new),), tests)
