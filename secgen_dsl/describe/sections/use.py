"""Section 9, public inputs; section 10, usefulness and fairness."""

from dataclasses import replace
from math import ceil

from secgen_dsl.describe.catalogue import Part, code, given
from secgen_dsl.describe.document import Block, Figure, Paragraph, Section, Text
from secgen_dsl.describe.measured import error_words
from secgen_dsl.describe.writer import Writer, join, listed
from secgen_dsl.ir.program import Bridge, Reference
from secgen_dsl.ir.queries import PairMarginal, VectorSum
from secgen_dsl.planner.predict import Prediction, expected_people, predict

WORTHWHILE = 0.2
"""Errors up to this share of a group are taken as useful in the table."""


def inputs(w: Writer) -> Section:
    """Section 9: everything public, with its hash and who vouches for it."""
    program, say = w.subject.plan.program, w.say
    rows: list[list[Part]] = []
    for reference in program.references:
        rows.append([*_named(reference.name), _reference(w, reference),
                     w.prose(reference.provenance, f"provenance of {reference.name}"),
                     (code(reference.sha256),)])  # fmt: skip
    for bridge in program.bridges:
        hashes = join([(code(digest),) for digest in bridge.sha256])
        provenance = w.prose(bridge.provenance, f"provenance of {bridge.name}")
        rows.append([*_named(bridge.name), _bridge(w, bridge), provenance, hashes])
    for sets in program.sets:
        rows.append([*_named(sets.name), say("inputs.sets"),
                     w.prose(sets.provenance, f"provenance of {sets.name}"),
                     (code(sets.sha256),)])  # fmt: skip
    for panel in program.panels:
        if panel.list_sha256:
            rows.append([*_named(panel.name), say("inputs.list", panel=given(panel.name)),
                         "", (code(panel.list_sha256),)])  # fmt: skip
    for expected in program.expectations:
        what = say(
            "inputs.expectation",
            column=given(expected.column),
            value=given(expected.value),
            share=say.percent(float(expected.share)),
        )
        field = f"provenance of {expected.column} {expected.value}"
        rows.append([*_named(expected.column), what, w.prose(expected.provenance, field), ""])
    blocks: list[Block] = [w.paragraph("inputs.intro")]
    if rows:
        blocks.append(w.table("inputs.caption", ("what", "kind", "vouched", "sha"), rows))
        blocks.append(w.paragraph("inputs.independent"))
    else:
        blocks.append(w.paragraph("inputs.none"))
    return w.section("inputs", "9", *blocks)


def _named(name: str) -> list[Part]:
    return [(given(name),)]


def _reference(w: Writer, reference: Reference) -> Text:
    if reference.aligned_by:
        text = w.say("inputs.aligned", unit=reference.unit, bridge=given(reference.aligned_by))
    else:
        text = w.say("inputs.reference", unit=reference.unit)
    if not reference.labelled_by:
        return text
    return (*text, *w.say("inputs.labelled", columns=listed(reference.labelled_by)))


def _bridge(w: Writer, bridge: Bridge) -> Text:
    first, second = bridge.units
    return w.say("inputs.bridge", first=first, second=second)


def utility(w: Writer, figure: Figure | None) -> Section:
    """Section 10: predicted errors by group, and what the result is not for."""
    subject = w.subject
    rows: list[list[Part]] = []
    for prediction in predict(subject.plan):
        rows.extend(_groups(w, prediction))
    columns = ("query", "group", "people", "error", "relative", "smallest")
    samples = subject.plan.program.samples
    return w.section(
        "utility",
        "10",
        w.paragraph("utility.intro"),
        figure,
        _assumed(w),
        w.table("utility.caption", columns, rows, numeric=(2, 3, 4, 5)),
        w.paragraph("utility.model") if samples is not None else None,
        w.paragraph("utility.made_by", rows=w.integer(samples.rows, "plan: program.samples.rows"))
        if samples is not None
        else None,
        w.paragraph("utility.not_for", not_for=w.sentence(subject.study.not_for, "study.not_for")),
        w.paragraph("utility.decisions"),
    )


def _assumed(w: Writer) -> Paragraph:
    """For how many people the errors are."""
    bound = w.subject.plan.program.person.people_bound
    if bound is None:
        return w.paragraph("utility.reading_unbounded")
    field = "plan: program.person.people_bound"
    return w.paragraph("utility.reading", people=w.integer(bound, field))


def _groups(w: Writer, prediction: Prediction) -> list[list[Part]]:
    """A row for each group whose size the spec states; else one for all."""
    say = w.say
    field = "plan: rounds[].releases[].noise"
    statement: Text = (given(prediction.query.statement),)
    error = (w.value(error_words(prediction, say), field, "expected_error"),)
    table = prediction.mean_error is None and prediction.relative_error is not None
    smallest: Text = ()
    if table or prediction.expected:
        least = ceil(prediction.standard_error / WORTHWHILE)
        smallest = (w.integer(least, field, "smallest_group"),)
    expected = "plan: program.expectations"
    rows: list[list[Part]] = [
        [
            statement,
            (given(cell.label),),
            (w.value(say.short(cell.people), expected, "people_expected"),),
            error,
            (w.value(say.percent(cell.relative_error), field, "relative_error"),),
            smallest,
        ]
        for cell in prediction.expected
    ]
    if rows:
        return rows
    program = w.subject.plan.program
    if isinstance(prediction.query, VectorSum):
        for one, people in expected_people(program, prediction.query):
            label = f"{one.column} {one.value}"
            mean = replace(prediction, mean_error=prediction.standard_error / people)
            words = w.value(error_words(mean, say), field, "expected_error")
            size = w.value(say.short(people), expected, "people_expected")
            rows.append([statement, (given(label),), (size,), (words,), "", ""])
        if rows:
            return rows
    relative: Text = ()
    if prediction.relative_error is not None:
        relative = (w.value(say.percent(prediction.relative_error), field, "relative_error"),)
    bound = program.person.people_bound
    if bound is None:
        return [[statement, say("utility.unbounded"), "", error, relative, smallest]]
    cells = program.label_cells(prediction.query)
    kind = "evenly" if cells > 1 else "all"
    if isinstance(prediction.query, PairMarginal):
        kind = "first_gene_of_label" if prediction.query.columns else "first_gene"
    even = w.value(say.short(bound / cells), "plan: program.person.people_bound", "people_even")
    return [[statement, say(f"utility.{kind}"), (even,), error, relative, smallest]]
