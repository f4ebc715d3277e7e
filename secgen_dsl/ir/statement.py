"""A query in the canonical words of the language, derived from what it is."""

import re
from fractions import Fraction
from functools import singledispatch

from secgen_dsl.ir.base import Node
from secgen_dsl.ir.program import decimal_text
from secgen_dsl.ir.queries import (
    ErrorTarget,
    Importance,
    Marginal,
    Moments,
    PairMarginal,
    SecondMoment,
    VectorSum,
)

_BARE_WORD = re.compile(r"[A-Za-z0-9_](?:(?!\.\.)[A-Za-z0-9_.+/-])*")
_CLASHES = frozenset({"each", "pairs"})
"""Words that mean something else where a statement has a name."""


@singledispatch
def canonical_statement(query: Node) -> str:
    """The statement that ``query.statement`` must equal: the same query, the same words.

    Raises:
        TypeError: a kind of query without canonical words.
    """
    raise TypeError(f"{type(query).__name__} has no canonical statement")


@canonical_statement.register
def _marginal(query: Marginal) -> str:
    names = list(query.columns)
    if query.panel is not None:
        names.append(query.panel if query.gene is None else f"{query.panel}.{query.gene}")
    factors = [name_text(name) for name in names]
    binning = "" if query.panel is None else _binning(query)
    return f"marginal {' * '.join(factors)}{binning}{_importance(query.importance)}"


@canonical_statement.register
def _pairs(query: PairMarginal) -> str:
    within = f" within {name_text(query.sets)}" if query.sets else ""
    if query.set_names:
        within += " { " + ", ".join(map(name_text, query.set_names)) + " }"
    kept = ""
    if query.keep is not None:
        kept = f" keep {query.keep} by correlation in {name_text(query.keep_by)}"
    labels = "".join(f"{name_text(name)} * " for name in query.columns)
    pairs = f"{labels}pairs of {name_text(query.panel)}{within}{_binning(query)}{kept}"
    return f"marginal {pairs}{_importance(query.importance)}"


@canonical_statement.register
def _moments(query: Moments) -> str:
    labels = " * ".join(map(name_text, query.columns))
    factors = f"{len(query.loadings)} factors from {name_text(query.source)}"
    panel = name_text(query.panel)
    return f"moments {panel} by {labels} in {factors}{_importance(query.importance)}"


@canonical_statement.register
def _vector_sum(query: VectorSum) -> str:
    return f"{query.content} of {query.serves}"  # whose labels are in its id


@canonical_statement.register
def _second_moment(query: SecondMoment) -> str:
    return f"second moment of {query.serves}"


def _binning(query: Marginal | PairMarginal) -> str:
    if query.binning == "equal":
        return f" in {query.bins} equal bins"
    if query.binning == "at":
        edges = query.edges[0] if query.edges else ()
        return " in bins at " + ", ".join(decimal_text(edge) for edge in edges)
    if query.binning == "learned":
        source = f" from {name_text(query.reference)}" if query.reference else ""
        return f" in {query.bins} learned bins{source}"
    otherwise = " else equal" if query.binning == "reference-else-equal" else ""
    return f" in {query.bins} bins from {name_text(query.reference)}{otherwise}"


def _importance(importance: Importance) -> str:
    words = ""
    if importance.weight != 1:
        words += f" weight {decimal_text(importance.weight)}"
    if importance.share is not None:
        words += f" share {percent_text(importance.share)}"
    if importance.error is not None:
        words += f" error {error_text(importance.error)}"
    return words


def name_text(name: str) -> str:
    """A name as a statement writes it: in quotes where a bare word would not be read as it."""
    if _BARE_WORD.fullmatch(name) and name not in _CLASHES:
        return name
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def percent_text(fraction: Fraction) -> str:
    """A fraction as a percentage, exactly: ``60%``."""
    return f"{decimal_text(100 * fraction)}%"


def error_text(target: ErrorTarget) -> str:
    """An accuracy target as it is written: ``5%``, ``12 people``."""
    return decimal_text(target.value) + ("%" if target.unit == "percent" else " people")
