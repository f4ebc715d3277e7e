"""What a plan's program must satisfy before any figure of it means anything.

Written against the IR alone: the planner and the semantics have their own code for the same rules.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from itertools import pairwise

from secgen_dsl.ir.plan import MERSENNE_61, Plan
from secgen_dsl.ir.program import Marginal, Program
from secgen_dsl.ir.statement import canonical_statement

MOST_RAW_CELLS = 10**8
"""In a plan: some 800 MB of counts at every party; ten thousand times the studies so far."""

_MOST_PARTIES = 1000
_GREATEST_EDGE = 10**9
_PARTY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def structure_faults(plan: Plan) -> Iterator[str]:
    """Every fault of the program and the parties, in words; nothing if there is none."""
    program = plan.program
    yield from _parties(plan)
    yield from _promise(program)
    yield from _vocabulary(program)
    known = [*program.marginals, *plan.added]
    yield from _repeats("marginal", (marginal.id for marginal in known))
    for marginal in known:
        yield from _marginal(program, marginal)
    for marginal in plan.added:
        if marginal.panel is not None or marginal.weight != 1:
            yield f'the added marginal "{marginal.id}" is not a label histogram'


def _repeats(what: str, names: Iterable[str]) -> Iterator[str]:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            yield f'the {what} "{name}" comes twice'
        if not name or not name.isprintable():
            yield f"a {what} has no printable name"
        seen.add(name)


def _parties(plan: Plan) -> Iterator[str]:
    program = plan.program
    parties = tuple(silo.name for silo in program.silos) + program.helpers
    if plan.parties != parties:
        yield "the parties are not the silos followed by the helpers"
    yield from _repeats("party", plan.parties)
    for name in plan.parties:
        if not _PARTY_NAME.fullmatch(name):
            yield f'"{name}" is not a name for a party'
    if not program.silos:
        yield "there is no silo"
    m, t = len(plan.parties), plan.threshold
    if m > _MOST_PARTIES:
        yield f"there are more than {_MOST_PARTIES:,} parties"
    if t != program.tolerated:
        yield f"the threshold is {t}, the spec tolerates {program.tolerated} colluding parties"
    if t < 1 or 2 * t >= m:
        yield f"the threshold t does not satisfy 1 ≤ t < m/2, with m = {m}; it is {t}"
    if plan.modulus != MERSENNE_61:
        yield "the shares' field is not the one of 2⁶¹ − 1"


def _promise(program: Program) -> Iterator[str]:
    epsilon, delta = program.privacy.epsilon, program.privacy.delta
    if not Fraction(1, 1000) <= epsilon <= 50:
        yield "epsilon lies outside 0.001..50"
    if not Fraction(1, 10**12) <= delta <= Fraction(1, 1000):
        yield "delta lies outside 1e-12..0.001"
    person = program.person
    if person.samples != 1 or person.silos != 1:
        yield "the certificate holds for one sample a person in one silo only"
    if any(column.name == person.key for column in program.columns):
        yield "the key that tells the people apart is one of the labels"
    if not person.key or not person.key.isprintable():
        yield "no column with a printable name tells the people apart"
    if person.people_bound is not None:
        if not 1 <= person.people_bound <= 2**32:
            yield "the bound on people lies outside 1..2³²"
        if delta * person.people_bound > 1:
            yield "delta is greater than one in the bound on people"
    wide = [program.measurements] + ([program.samples.audience] if program.samples else [])
    if "public" in wide:
        for silo in program.silos:
            if silo.terms.kind != "open":
                yield f'the terms of "{silo.name}" do not allow a public release'
    for silo in program.silos:
        if (silo.terms.kind == "open") != (silo.terms.reference == ""):
            yield f'the terms of "{silo.name}" do not go with their reference'
    if program.samples is not None and not 1 <= program.samples.rows <= 1_000_000:
        yield "the number of samples lies outside 1..1,000,000"
    if program.samples is not None and not program.samples.formats:
        yield "the samples have no format"


def _vocabulary(program: Program) -> Iterator[str]:
    yield from _repeats("column", (column.name for column in program.columns))
    yield from _repeats("panel", (panel.name for panel in program.panels))
    yield from _repeats("public table", (reference.name for reference in program.references))
    for column in program.columns:
        yield from _repeats(f'value of "{column.name}"', column.values)
        if len({_compared(value) for value in column.values}) < len(column.values):
            yield f'two values of "{column.name}" are the same to a reader of data, as 0 and 0.0'
        if len(column.values) < 2:
            yield f'the column "{column.name}" has fewer than two values'
        if column.otherwise is not None and column.otherwise not in column.values:
            yield f'"{column.otherwise}" is not a value of "{column.name}"'
    for panel in program.panels:
        yield from _repeats(f'gene of "{panel.name}"', panel.genes)
        if not -_GREATEST_EDGE <= panel.low < panel.high <= _GREATEST_EDGE:
            yield f'the panel "{panel.name}" has an empty range, or one beyond ±10⁹'
        if not panel.genes:
            yield f'the panel "{panel.name}" has no genes'
        if panel.list_sha256 and not _SHA256.fullmatch(panel.list_sha256):
            yield f'the list of the panel "{panel.name}" has no SHA-256'
    for reference in program.references:
        if not _SHA256.fullmatch(reference.sha256):
            yield f'the public table "{reference.name}" has no SHA-256'


def _compared(value: str) -> str | Decimal:
    """What the encoders compare a label by (LANGUAGE rule 6), written a second time."""
    text = value.strip()
    if re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", text):
        with suppress(InvalidOperation):
            return Decimal(text)
    return text


def _marginal(program: Program, marginal: Marginal) -> Iterator[str]:
    name = marginal.id
    columns = {column.name for column in program.columns}
    if not marginal.columns or len(set(marginal.columns)) != len(marginal.columns):
        yield f'"{name}" does not have distinct columns'
    if not set(marginal.columns) <= columns:
        yield f'"{name}" uses a column that is not declared'
        return
    if not Fraction(1, 10**6) <= marginal.weight <= 10**6:
        yield f'"{name}" has a weight outside 0.000001..1,000,000'
        return
    if any(abs(edge) > _GREATEST_EDGE for edges in marginal.edges for edge in edges):
        yield f'"{name}" has an edge beyond ±10⁹'
        return
    if marginal.statement != canonical_statement(marginal):
        yield f'the statement of "{name}" does not say what is measured'
    if marginal.panel is None:
        if (marginal.bins, marginal.binning, marginal.reference, marginal.edges) != (
            1, "none", "", (),
        ):  # fmt: skip
            yield f'"{name}" has bins but no panel'
        return
    panel = next((p for p in program.panels if p.name == marginal.panel), None)
    if panel is None:
        yield f'"{name}" uses a panel that is not declared'
        return
    if marginal.bins < 2 or marginal.binning == "none":
        yield f'"{name}" has a panel but no bins'
        return
    if len(marginal.edges) != len(panel.genes):
        yield f'"{name}" does not have edges for each gene'
    for edges in marginal.edges:
        falling = any(a > b for a, b in pairwise(edges))
        outside = any(not panel.low <= edge <= panel.high for edge in edges)
        if len(edges) != marginal.bins - 1 or falling or outside:
            yield f'the edges of "{name}" do not cut its range into {marginal.bins} bins'
            break
    yield from _provenance(program, marginal, panel.unit, panel.low, panel.high)


def _provenance(
    program: Program, marginal: Marginal, unit: str, low: Fraction, high: Fraction
) -> Iterator[str]:
    """Edges come from the spec or from a pinned public table, never from silos' data."""
    name = marginal.id
    if marginal.binning == "reference":
        reference = next((r for r in program.references if r.name == marginal.reference), None)
        if reference is None:
            yield f'the bins of "{name}" come from a table that is not declared'
        elif reference.unit != unit:
            yield f'the bins of "{name}" come from a table in another unit'
        return
    if marginal.reference:
        yield f'"{name}" names a public table that it does not use'
    if len(set(marginal.edges)) > 1:
        yield f'the edges of "{name}" differ from gene to gene without a public table'
    step = (high - low) / marginal.bins
    equal = tuple(low + k * step for k in range(1, marginal.bins))
    if marginal.binning == "equal" and any(edges != equal for edges in marginal.edges):
        yield f'the bins of "{name}" are not equal'
