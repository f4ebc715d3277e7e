"""What `secgen plan A --against B` prints: the changes from B, the old plan, to A."""

from pathlib import Path

import click

from secgen_dsl.backends.bundle import holds_results, read_plan
from secgen_dsl.backends.mpyc.cost import predicted_bytes, predicted_rounds
from secgen_dsl.cli.study import PlannedStudy, plan_of
from secgen_dsl.describe.changes import Change
from secgen_dsl.describe.difference import Difference, Side, Sides, difference
from secgen_dsl.diagnostics.diagnostic import fail, printable
from secgen_dsl.verifier import verify


def compare(old: PlannedStudy, new: PlannedStudy) -> Difference:
    """What changes from one planned study to another."""
    return difference(Sides(_side(old), _side(new)))


def sides_with(old: Path, new: PlannedStudy) -> Sides:
    """A spec, a bundle, a run's results or their plan.json, beside a planned study.

    Raises:
        SecgenError: the old plan cannot be read, or does not verify.
    """
    if old.suffix.lower() in (".html", ".md", ".pdf"):
        raise fail(
            "SG709",
            "this is a document, from which no plan can be read",
            place=str(old),
            next_step="give what it describes: the spec, the bundle or the results",
        )
    if holds_results(old):
        old = old / "plan.json"
    if old.suffix != ".json":
        return Sides(_side(plan_of(old)), _side(new))
    plan = read_plan(old)
    side = Side(
        plan=plan,
        study=None,
        verified=verify(plan),
        messages_rounds=predicted_rounds(plan),
        messages_bytes=predicted_bytes(plan),
    )
    return Sides(side, _side(new))


def difference_json(found: Difference) -> dict[str, object]:
    """A difference as JSON data."""
    return {
        "same_plan": found.same,
        "approval_of_old_covers_new": found.covered,
        "old_plan_sha256": found.before_sha256,
        "new_plan_sha256": found.after_sha256,
        "sections": [
            {"title": section.title, "changes": [_change_json(each) for each in section.changes]}
            for section in found.sections
        ],
        "prose": None if found.prose is None else [_change_json(each) for each in found.prose],
    }


def print_difference(found: Difference) -> None:
    """A difference for people, on stdout."""
    lines = [f"old plan  {found.before_sha256}", f"new plan  {found.after_sha256}", ""]
    if found.same and found.covered is not False:
        lines.append("The plans are the same: an approval of the old one covers the new one.")
    elif found.same:
        lines.append(
            "The plans are the same, but the study's prose is not: an approval of the old one does "
            "not cover the new one, for it is of both."
        )
    else:
        lines.append("The plans differ: an approval of the old one does not cover the new one.")
    for section in found.sections:
        lines += ["", section.title, *(f"  {each.words()}" for each in section.changes)]
    if found.prose is None:
        lines += [
            "",
            "The study's prose is not compared: the old plan came without it. An approval is of "
            "both.",
        ]
    elif found.prose:
        lines += ["", "prose (does not change the plan, but voids its approval)"]
        lines += [f"  {each.words()}" for each in found.prose]
    click.echo("\n".join(map(printable, lines)))


def _side(planned: PlannedStudy) -> Side:
    return Side(
        plan=planned.plan,
        study=planned.study,
        verified=planned.verified,
        messages_rounds=predicted_rounds(planned.plan),
        messages_bytes=predicted_bytes(planned.plan),
    )


def _change_json(change: Change) -> dict[str, object]:
    return {
        "what": change.what,
        "old": change.before,
        "new": change.after,
        "factor": change.factor,
        "note": change.note,
        "words": change.words(),
    }
