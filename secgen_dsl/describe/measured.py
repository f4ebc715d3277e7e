"""A measured query in plain words: what is summed, what for, and how exact it will be."""

from collections.abc import Mapping
from types import MappingProxyType

from secgen_dsl.ir.plan import LaplaceNoise, LinearMap
from secgen_dsl.ir.program import decimal_text
from secgen_dsl.ir.queries import Query, SecondMoment, VectorSum
from secgen_dsl.ir.vectors import QUANTUM
from secgen_dsl.planner.predict import Prediction

_TABLE_AS: Mapping[LinearMap, str] = MappingProxyType(
    {
        "identity": "plain counts",
        "centred": "counts with each row's mean taken out (after the noise went in)",
        "double-centred": "counts with the means of each row and each column taken out (after the "
        "noise went in)",
    }
)

_SUM_AS: Mapping[str, str] = MappingProxyType(
    {
        "means": "for each gene the sum of people's values on its public scale, and a count of "
        "people",
        "squares": "for each gene the sum of people's squared values on its public scale",
        "scores": "for each combination of labels and each factor the sum of people's scores",
    }
)

_UNITS: Mapping[str, tuple[str, str, str]] = MappingProxyType(
    {
        "means": ("sd ", "of a gene's mean", "of a gene's sum"),
        "squares": ("sd² ", "of a gene's mean square", "of a gene's sum of squares"),
        "scores": ("", "of a factor's mean", "of a factor's sum"),
        "second moment": ("", "of a factor's mean square", "of a factor's sum of squares"),
    }
)
"""What an error is in, and of what: with a stated bound on people, and without one."""


def content_of_sum(query: Query) -> str:
    """What a vector sums: ``means``, ``squares``, ``scores`` or ``second moment``; else nothing."""
    if isinstance(query, SecondMoment):
        return "second moment"
    return query.content if isinstance(query, VectorSum) else ""


def measured_as(prediction: Prediction) -> str:
    """How a query is released, in a sentence."""
    query = prediction.query
    if isinstance(query, SecondMoment):
        what = "for each two factors the sum of the products of people's scores"
    elif isinstance(query, VectorSum):
        what = _SUM_AS[query.content]
    else:
        return _TABLE_AS[prediction.release.map]
    return f"{what}; what one person adds is shrunk to a length of at most {_length(query)}"


def added_for(prediction: Prediction) -> str:
    """Why the planner added a query; nothing if the spec asks for it."""
    query = prediction.query
    if prediction.asked:
        return ""
    if isinstance(query, VectorSum | SecondMoment):
        return "clipped sums"
    return "the rows' totals"


def error_words(prediction: Prediction) -> str:
    """The predicted standard error of a cell: ``±8.7 people (3.5%)``.

    Of a vector that of a mean over the stated bound on people, spread evenly over the labels:
    ``±0.16 sd of a gene's mean``; without a bound that of a sum.
    """
    content = content_of_sum(prediction.query)
    if not content:
        words = f"±{short(prediction.standard_error)} people"
        if prediction.relative_error is not None:
            words += f" ({100 * prediction.relative_error:.1f}%)"
        return words
    unit, mean, total = _UNITS[content]
    if prediction.mean_error is None:
        return f"±{short(prediction.standard_error)} {unit}{total}"
    return f"±{short(prediction.mean_error)} {unit}{mean}"


def sensitivity_words(prediction: Prediction) -> str:
    """Δ²: of counts exactly, of a vector in the unit of its noise (the plan has it exactly)."""
    if content_of_sum(prediction.query):
        return f"{prediction.sensitivity**2:.6g}"
    noise = prediction.release.noise
    if isinstance(noise, LaplaceNoise):
        return f"{noise.sensitivity:,}"
    return decimal_text(noise.sensitivity_squared)


def short(number: float) -> str:
    """Three digits, or all before the point."""
    return f"{number:.3g}" if number < 1000 else f"{number:,.0f}"


def _length(query: VectorSum | SecondMoment) -> str:
    return short(query.clip / QUANTUM)
