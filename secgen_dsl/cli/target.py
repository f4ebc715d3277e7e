"""What `secgen plan SPEC --target TEXT` prints: the ε that an accuracy needs."""

import re
from collections.abc import Collection, Sequence
from fractions import Fraction
from typing import Literal

import click

from secgen_dsl.cli.tables import aligned
from secgen_dsl.describe.measured import error_words
from secgen_dsl.diagnostics.diagnostic import fail, printable
from secgen_dsl.ir.program import Program, decimal_text
from secgen_dsl.ir.queries import ErrorTarget
from secgen_dsl.ir.statement import error_text
from secgen_dsl.planner.target import Answer, Common, Enough, Target
from secgen_dsl.privacy.rounding import six_digits_up
from secgen_dsl.verifier import verify

_TARGET = re.compile(
    r"\s*(?:(?P<query>.*\S)\s*:)?\s*error\s+(?P<number>[0-9]{1,10}(?:\.[0-9]{1,9})?)\s*"
    r"(?P<unit>%|people)\s*"
)
_LEAST = re.compile(r"\s*least\s+error(?P<people>\s+in\s+people)?\s*")
_GREATEST_ERROR = 10**9


def least_unit(text: str) -> Literal["percent", "people"] | None:
    """The unit of ``least error`` (percent) or ``least error in people``; None for other texts."""
    found = _LEAST.fullmatch(text)
    if found is None:
        return None
    return "people" if found["people"] else "percent"


def read_target(text: str) -> Target:
    """The target that a text asks for: ``error 5%``, ``subtype*cycle: error 12 people``.

    Raises:
        SecgenError: SG322.
    """
    found = _TARGET.fullmatch(text)
    value = Fraction(found["number"]) if found is not None else Fraction(0)
    if found is None or not 0 < value <= _GREATEST_ERROR:
        raise fail(
            "SG322",
            f'"{printable(text)}" is no accuracy that can be asked for',
            place="--target",
            next_step='write "error 5%" or "error 12 people" for all queries; for one of them, '
            'for example, "subtype*cycle: error 5%"; for the least that all queries reach with '
            'the epsilon of the spec, "least error"',
        )
    percent = found["unit"] == "%"
    error = ErrorTarget(unit="percent" if percent else "people", value=value)
    return Target(found["query"] or "", error)


def print_answer(program: Program, target: Target, answer: Answer) -> None:
    """The ε that a target needs, for people, on stdout."""
    columns = [("now", answer.now), ("as written", answer.as_written), ("divided", answer.divided)]
    marked = answer.asked if target.query else ()
    lines = [*_as_written(program, target, answer), "", *_divided(program, target, answer)]
    click.echo(_table(program, columns, marked))
    click.echo("\n".join(map(printable, lines)))


def print_common(program: Program, common: Common) -> None:
    """The least error that all queries reach, for people, on stdout."""
    epsilon = decimal_text(program.privacy.epsilon)
    what = "these statements ask" if len(common.lines) > 1 else "this statement asks"
    lines = [
        f"in common    error {error_text(common.error)} of a cell on every query is the least that "
        f"epsilon {epsilon} reaches, if {what} for just that:",
        f"             certified epsilon {six_digits_up(_certified(common.found))}",
        "",
        *(f"  {line}" for line in common.lines),
    ]
    click.echo(_table(program, [("now", common.now), ("in common", common.found)], ()))
    click.echo("\n".join(map(printable, lines)))


def _table(
    program: Program, columns: Sequence[tuple[str, Enough | None]], marked: Collection[str]
) -> str:
    """The errors of each query, in a column for each budget that there is."""
    shown = [(title, enough) for title, enough in columns if enough is not None]
    rows = [["error of a cell", ""], ["", ""]]
    rows[0] += [title for title, _ in shown]
    rows[1] += [f"epsilon {decimal_text(enough.epsilon)}" for _, enough in shown]
    errors = [_errors(enough) for _, enough in shown]
    for query in program.queries:
        if query.id in errors[0]:
            mark = "asked" if query.id in marked else ""
            rows.append([query.id, mark, *(found[query.id] for found in errors)])
    return aligned(rows, headings=2)


def _errors(enough: Enough) -> dict[str, str]:
    return {
        prediction.query.id: error_words(prediction)
        for prediction in enough.predictions
        if prediction.asked
    }


def _as_written(program: Program, target: Target, answer: Answer) -> list[str]:
    own = decimal_text(program.privacy.epsilon)
    asked = _asked(target, answer)
    if answer.as_written is None:
        return [f"as written   no epsilon reaches {asked} with the weights and shares of the spec"]
    enough = answer.as_written
    now = f"the spec has epsilon {own}"
    if answer.now is None:
        now += ", for which there is no plan"
    return [
        f"as written   epsilon {decimal_text(enough.epsilon)} is the least that reaches {asked}: "
        f"{now}",
        f"             certified epsilon {six_digits_up(_certified(enough))}, "
        f"delta {decimal_text(program.privacy.delta)}; weights and shares as they stand",
    ]


def _divided(program: Program, target: Target, answer: Answer) -> list[str]:
    if answer.divided is None:
        if target.query and answer.as_written is not None:
            return ["divided      the spec's own epsilon reaches it already"]
        return ["divided      no smaller epsilon reaches it if the spec asks for just that"]
    enough = answer.divided
    others = set(_errors(enough)) - set(answer.asked)
    kept = ", and the others stay as exact as they are now" if others and answer.now else ""
    what = "these statements ask" if len(answer.lines) > 1 else "this statement asks"
    return [
        f"divided      epsilon {decimal_text(enough.epsilon)} is the least "
        f"if {what} for just that{kept}:",
        f"             certified epsilon {six_digits_up(_certified(enough))}",
        "",
        f"  epsilon {decimal_text(enough.epsilon)}",
        *(f"  {line}" for line in answer.lines),
    ]


def _asked(target: Target, answer: Answer) -> str:
    of = f'"{answer.asked[0]}"' if target.query else "every query"
    return f"error {error_text(target.error)} of a cell on {of}"


def _certified(enough: Enough) -> float:
    return verify(enough.plan).epsilon


def answer_json(program: Program, target: Target, answer: Answer) -> dict[str, object]:
    """The same as JSON data."""
    return {
        "target": {"queries": list(answer.asked), "error": error_text(target.error)},
        "delta": decimal_text(program.privacy.delta),
        "now": _enough_json(answer.now),
        "as_written": _enough_json(answer.as_written),
        "divided": _enough_json(answer.divided),
        "lines": list(answer.lines),
    }


def common_json(program: Program, common: Common) -> dict[str, object]:
    """The same of the least error in common."""
    return {
        "target": {"queries": list(common.asked), "error": "least"},
        "delta": decimal_text(program.privacy.delta),
        "error": error_text(common.error),
        "now": _enough_json(common.now),
        "in_common": _enough_json(common.found),
        "lines": list(common.lines),
    }


def _enough_json(enough: Enough | None) -> dict[str, object] | None:
    if enough is None:
        return None
    verified = verify(enough.plan)
    return {
        "epsilon": decimal_text(enough.epsilon),
        "certified_epsilon": verified.epsilon,
        "plan_sha256": verified.plan_sha256,
        "queries": [
            {
                "id": prediction.query.id,
                "standard_error_people": prediction.standard_error,
                "relative_error": prediction.relative_error,
                "share_of_budget": prediction.budget_share,
            }
            for prediction in enough.predictions
            if prediction.asked
        ],
    }
