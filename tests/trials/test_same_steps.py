"""On neighbouring data a party takes the same steps (PRIVACY 7.1, T2).

Every line that runs in secgen's code from encoding to the opened sum is noted, with every draw and
every length.  Real processes, their frames, progress lines and exit codes are compared by
``tests/mpyc/test_content_faults.py``, neighbours included.

Left out are ``label_key`` and the comprehension that calls it: they run once for each distinct
text of a column, so that their number depends on which texts a site's file has.  Like the exact
comparison of counts near an edge (``queries.counts``) they take time before the party connects,
when nobody else can measure it.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest

import secgen_dsl
from secgen_dsl.backends.plaintext.backend import run_plaintext
from secgen_dsl.ir.plan import Measurements, Plan
from secgen_dsl.queries.table import SampleTable, empty_table
from tests.trials.sources import Watched
from tests.trials.studies import (
    GENES,
    LABELS,
    OTHER_KINDS,
    REPAIR,
    some_people,
    study_of,
    twenty_genes,
    with_people,
)

PLAN = twenty_genes().plan
CODE = (Path(secgen_dsl.__file__).parent, Path(run_plaintext.__code__.co_filename).parents[1])
LEFT_OUT = {("labels.py", "label_key"), ("labels.py", "<listcomp>")}

SAMPLERS = {"polya.py", "gaussian.py", "coins.py"}

Step = tuple[str, str, int]


@contextmanager
def noted() -> Iterator[list[Step]]:
    """Every (file, function, line) of secgen that runs."""
    steps: list[Step] = []
    folders = tuple(str(folder) for folder in CODE)

    def enter(frame: FrameType, event: str, argument: Any) -> Callable[..., Any] | None:
        code = frame.f_code
        file = Path(code.co_filename).name
        if not code.co_filename.startswith(folders) or (file, code.co_name) in LEFT_OUT:
            return None

        def line(frame: FrameType, event: str, argument: Any) -> Callable[..., Any]:
            steps.append((file, code.co_name, frame.f_lineno))
            return line

        return line

    before = sys.gettrace()
    sys.settrace(enter)
    try:
        yield steps
    finally:
        sys.settrace(before)


def follow(
    table: SampleTable, plan: Plan = PLAN, genes: Sequence[str] = GENES
) -> tuple[list[Step], list[Any], list[int]]:
    """Steps, draws and lengths of a run in which ``north`` has that table."""
    tables = {"north": table, "south": some_people(20, 2, genes), "west": empty_table(plan.program)}
    sources = {party: Watched() for party in plan.parties}
    with noted() as steps:
        opened: Measurements = run_plaintext(plan, tables, dict(sources))
    draws = [source.requests for source in sources.values()]
    return steps, draws, [len(each.values) for each in opened.measurements]


def changed(here: SampleTable, value: float, label: str | None = None) -> SampleTable:
    """The first person has that value for every gene, and perhaps another label."""
    labels = here.categories["sex"].copy()
    if label is not None:
        labels = labels.astype("<U40")
        labels[0] = label
    expression = {gene: values.copy() for gene, values in here.expression.items()}
    for values in expression.values():
        values[0] = value
    return SampleTable(here.rows, {"sex": labels}, expression)


def neighbours(here: SampleTable, nobody: SampleTable) -> dict[str, SampleTable]:
    """Tables that differ from ``here`` in one person, and some that differ in more."""
    genes = len(here.expression)
    return {
        "one more": with_people(here, ["male"], [11.0] * genes),
        "one more without any value": with_people(here, [""], [np.nan] * genes),
        "one fewer": SampleTable(
            rows=here.rows - 1,
            categories={"sex": here.categories["sex"][1:]},
            expression={gene: values[1:] for gene, values in here.expression.items()},
        ),
        "at an edge": changed(here, 20 / 3),
        "far out": changed(here, 1e308),
        "infinite": changed(here, -np.inf),
        "no number": changed(here, np.nan),
        "another label": changed(here, 3.0, LABELS[0]),
        "an unknown label": changed(here, 3.0, "a label that the spec does not have"),
        "only one person": with_people(nobody, ["female"], [1.0] * genes),
        "nobody": nobody,
    }


HERE = some_people(30, 1)
NEIGHBOURS = neighbours(HERE, empty_table(PLAN.program))


@pytest.fixture(scope="module")
def ordinary() -> tuple[list[Step], list[Any], list[int]]:
    follow(HERE)  # what is imported or cached once is not part of the comparison
    return follow(HERE)


@pytest.mark.parametrize("neighbour", NEIGHBOURS)
def test_a_neighbouring_table_takes_the_same_steps(
    neighbour: str, ordinary: tuple[list[Step], list[Any], list[int]]
) -> None:
    steps, draws, lengths = follow(NEIGHBOURS[neighbour])
    assert draws == ordinary[1]
    assert lengths == ordinary[2]
    assert len(steps) == len(ordinary[0])
    assert steps == ordinary[0]


OTHER_HERE = some_people(30, 1, REPAIR)


@pytest.fixture(scope="module")
def ordinary_of() -> dict[str, tuple[list[Step], list[Any], list[int]]]:
    for kind in OTHER_KINDS:
        follow(OTHER_HERE, study_of(kind).plan, REPAIR)
    return {kind: follow(OTHER_HERE, study_of(kind).plan, REPAIR) for kind in OTHER_KINDS}


@pytest.mark.parametrize("kind", OTHER_KINDS)
@pytest.mark.parametrize("neighbour", NEIGHBOURS)
def test_vectors_and_laplace_noise_too(
    kind: str,
    neighbour: str,
    ordinary_of: dict[str, tuple[list[Step], list[Any], list[int]]],
) -> None:
    """Up to the opening of the first round: what comes later follows from the opened values.

    Noise is drawn by rejection, in a number of steps that depends on the noise alone.
    """
    plan = study_of(kind).plan
    table = neighbours(OTHER_HERE, empty_table(plan.program))[neighbour]
    steps, draws, lengths = follow(table, plan, REPAIR)
    usual, usual_draws, usual_lengths = ordinary_of[kind]
    assert draws == usual_draws
    assert lengths == usual_lengths
    assert before_opening(steps) == before_opening(usual)
    encoder = {"moments": "second_moment_cells", "learned bins": "vector_cells"}
    assert encoder.get(kind, "marginal_cells") in {function for _, function, _ in steps}


def before_opening(steps: list[Step]) -> list[Step]:
    """The steps until the first sum opens, without those of the Pólya sampler."""
    until = next(place for place, step in enumerate(steps) if step[1] == "opened_sum")
    return [step for step in steps[:until] if step[0] not in SAMPLERS]


def test_the_steps_are_those_of_the_whole_path(
    ordinary: tuple[list[Step], list[Any], list[int]],
) -> None:
    """Encoder, noise, map and sum are in what is compared, gene by gene."""
    entered = [(file, function) for file, function, _ in ordinary[0]]
    for expected in (
        ("marginal.py", "marginal_cells"),
        ("bins.py", "bin_codes"),
        ("noise.py", "draw"),
        ("maps.py", "_centred"),
        ("backend.py", "opened_sum"),
    ):
        assert expected in entered
    calls = sum(step[:2] == ("expression.py", "expression_codes") for step in ordinary[0])
    assert calls >= 3 * len(GENES)
