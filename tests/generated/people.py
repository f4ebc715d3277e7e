"""The samples that one person may have at the silos of a program: any, and the worst ones."""

from random import Random

import numpy as np
from numpy.typing import NDArray

from secgen_dsl.ir.learned import with_learned_edges
from secgen_dsl.ir.plan import Plan
from secgen_dsl.ir.program import CategoryColumn, Program
from secgen_dsl.ir.queries import Query, as_table
from secgen_dsl.queries.contribution import raw_cells
from tests.generated.tables import Sample, random_sample, table_of


def any_person(random: Random, program: Program) -> list[list[Sample]]:
    """The samples of one person at each of the silos where the person is, within the caps."""
    person = program.person
    silos: list[list[Sample]] = []
    for _ in range(random.randint(1, person.silos)):
        own: list[Sample] = []
        for label in _groups(program):
            for _ in range(random.randint(0, person.samples)):
                own.append(_in_group(program, random_sample(random, program), label))
        silos.append(own)
    return silos


def worst_person(random: Random, program: Program) -> list[list[Sample]]:
    """As many samples as the caps allow, all alike and all counted everywhere."""
    sample = dict(random_sample(random, program))
    for column in program.columns:
        if isinstance(column, CategoryColumn):
            sample["categories", column.name] = random.choice(column.values)
        else:
            sample["numbers", column.name] = random.uniform(float(column.low), float(column.high))
    for panel in program.panels:
        for gene in panel.genes:
            sample["expression", gene] = random.uniform(max(float(panel.low), 0), float(panel.high))
        if panel.counts is not None:
            sample["library_sizes", panel.name] = 1e6
    own = [
        _in_group(program, sample, label)
        for label in _groups(program)
        for _ in range(program.person.samples)
    ]
    return [own] * program.person.silos


def counts_with(
    program: Program, query: Query, others: list[Sample], person: list[list[Sample]]
) -> NDArray[np.int64]:
    """Raw cells summed over the silos: other people at the first, one person at several."""
    tables = [table_of(program, [*others, *person[0]] if person else others)]
    tables += [table_of(program, own) for own in person[1:]]
    return sum(  # type: ignore[return-value]
        (raw_cells(program, query, table) for table in tables),
        start=np.zeros(program.shape(query), dtype=np.int64),
    )


def with_any_edges(plan: Plan, random: Random) -> Program:
    """The plan's program, with the learned edges that anything at all in the first round makes."""
    opened = {
        release.query: [random.randint(-(10**7), 10**7) for _ in range(release.opened)]
        for release in plan.rounds[0].releases
    }
    return with_learned_edges(plan, opened)


def measured_queries(plan: Plan, program: Program) -> list[Query]:
    """What each release of a plan measures, with the edges of ``program``."""
    queries = [plan.query(release.query) for release in plan.releases()]
    return [
        query if query in plan.added else as_table(program.query(query.id)) for query in queries
    ]


def _groups(program: Program) -> tuple[str, ...]:
    """For each value of the column behind ``per`` the cap holds anew."""
    if program.person.per is None:
        return ("",)
    return program.column(program.person.per).values


def _in_group(program: Program, sample: Sample, label: str) -> Sample:
    if program.person.per is None:
        return sample
    return {**sample, ("categories", program.person.per): label}
