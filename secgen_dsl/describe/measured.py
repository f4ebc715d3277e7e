"""A measured query in plain words: what is summed, what for, and how exact it will be."""

from secgen_dsl.describe.catalogue import ENGLISH, Catalogue
from secgen_dsl.ir.plan import LaplaceNoise
from secgen_dsl.ir.program import decimal_text
from secgen_dsl.ir.queries import Query, SecondMoment, VectorSum
from secgen_dsl.ir.vectors import QUANTUM
from secgen_dsl.planner.predict import Prediction


def content_of_sum(query: Query) -> str:
    """What a vector sums: ``means``, ``squares``, ``scores`` or ``second moment``; else nothing."""
    if isinstance(query, SecondMoment):
        return "second moment"
    return query.content if isinstance(query, VectorSum) else ""


def measured_as(prediction: Prediction, say: Catalogue = ENGLISH) -> str:
    """How a query is released, in a sentence."""
    query = prediction.query
    if isinstance(query, VectorSum | SecondMoment):
        what = say.words(f"measured.{_key(query)}")
    else:
        return say.words(f"measured.{prediction.release.map.replace('-', '_')}")
    return say.words("measured.clipped", what=what, length=say.local(_length(query)))


def added_for(prediction: Prediction, say: Catalogue = ENGLISH) -> str:
    """Why the planner added a query; nothing if the spec asks for it."""
    query = prediction.query
    if prediction.asked:
        return ""
    sums = isinstance(query, VectorSum | SecondMoment)
    return say.words("measured.added_sums" if sums else "measured.added_totals")


def error_words(prediction: Prediction, say: Catalogue = ENGLISH) -> str:
    """The predicted standard error of a cell: ``±8.7 people (3.5%)``.

    Of a vector that of a mean over the stated bound on people, spread evenly over the labels:
    ``±0.16 sd of a gene's mean``; without a bound that of a sum.
    """
    query = prediction.query
    if not content_of_sum(query):
        error = say.short(prediction.standard_error)
        if prediction.relative_error is None:
            return say.words("measured.error_people", error=error)
        share = say.percent(prediction.relative_error)
        return say.words("measured.error_share", error=error, share=share)
    if prediction.mean_error is None:
        error = say.short(prediction.standard_error)
        return say.words(f"measured.sum_{_key(query)}", error=error)
    return say.words(f"measured.mean_{_key(query)}", error=say.short(prediction.mean_error))


def _key(query: Query) -> str:
    return content_of_sum(query).replace(" ", "_")


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
