"""How `secgen init` reads an answer: each reader refuses what cannot be, and says what can."""

import csv
import re
from collections.abc import Callable, Iterable
from itertools import pairwise

import click

from secgen_dsl.diagnostics.diagnostic import nearest

_NUMBER = r"-?[0-9]{1,12}(?:\.[0-9]{1,9})?"
_WORDS_OF_CONSENT = frozenset({"y", "n", "yes", "no"})


def beginning(names: Iterable[str]) -> str:
    """The first dozen names, and how many there are."""
    every = list(names)
    shown = ", ".join(every[:12])
    return shown if len(every) <= 12 else f"{shown}, … ({len(every):,} in all)"


def words(text: str) -> str:
    """One line of text."""
    stripped = text.strip()
    if not stripped or not stripped.isprintable():
        raise click.UsageError("words on one line are needed")
    return stripped


def joined(names: Iterable[str]) -> str:
    """Names as ``names_of`` reads them: those that hold a comma are in quotes."""
    return ", ".join(f'"{name}"' if "," in name else name for name in names)


def names_of(text: str) -> tuple[str, ...]:
    """Names separated by commas.

    A bare y or n is most likely meant for another question; in quotes it is a name.
    """
    if text.strip().lower() in _WORDS_OF_CONSENT:
        raise click.UsageError(
            f'names are asked for here, not y or n; if "{text.strip()}" is one, put it in quotes'
        )
    parts = next(csv.reader([text], skipinitialspace=True), [])
    names = tuple(dict.fromkeys(filter(None, (part.strip() for part in parts))))
    if not names or not all(name.isprintable() for name in names):
        raise click.UsageError("names separated by commas are needed")
    return names


def parties(text: str) -> tuple[str, ...]:
    """Names of parties."""
    from secgen_dsl.ir.program import PARTY_NAME

    names = names_of(text)
    for name in names:
        if not PARTY_NAME.fullmatch(name):
            raise click.UsageError(
                f'"{name}": the name of a party has letters, digits, - and _ only, at most 40'
            )
    return names


def whole(least: int, most: int) -> Callable[[str], int]:
    """Reads a whole number from ``least`` to ``most``."""

    def read(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,12}", text.strip()) or not least <= int(text) <= most:
            raise click.UsageError(f"a whole number from {least} to {most:,} is needed")
        return int(text)

    return read


def people(text: str) -> int | None:
    """A bound on people, or none."""
    return None if text.strip() == "none" else whole(1, 2**32)(text)


def one_of(*choices: str) -> Callable[[str], str]:
    """Reads one of some words."""

    def read(text: str) -> str:
        if text.strip() not in choices:
            hint = nearest(text.strip(), choices)
            raise click.UsageError(f"one of {', '.join(choices)} is needed{hint and '; ' + hint}")
        return text.strip()

    return read


def bounds(text: str) -> tuple[str, str]:
    """A range LOW..HIGH."""
    found = re.fullmatch(rf"\s*({_NUMBER})\s*\.\.\s*({_NUMBER})\s*", text)
    if found is None or not float(found[1]) < float(found[2]):
        raise click.UsageError("a range is needed, for example 0..20")
    return found[1], found[2]


def edges_within(low: str, high: str) -> Callable[[str], tuple[str, ...]]:
    """Reads numbers that rise between ``low`` and ``high``: the inner edges of bins."""
    from secgen_dsl.semantics.binning import MAXIMUM_BINS

    def read(text: str) -> tuple[str, ...]:
        edges = tuple(part.strip() for part in text.split(","))
        if not all(re.fullmatch(_NUMBER, edge) for edge in edges):
            raise click.UsageError("numbers separated by commas are needed, for example 40, 60, 80")
        all_edges = [float(edge) for edge in (low, *edges, high)]
        if not all(one < other for one, other in pairwise(all_edges)):
            raise click.UsageError(f"the numbers have to rise between {low} and {high}")
        if len(edges) >= MAXIMUM_BINS:
            raise click.UsageError(f"there are at most {MAXIMUM_BINS} bins")
        return edges

    return read


def budget(text: str) -> str:
    """Epsilon."""
    if not re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,6})?", text.strip()) or not (
        0.001 <= float(text) <= 50
    ):
        raise click.UsageError("a number from 0.001 to 50 is needed")
    return text.strip()
