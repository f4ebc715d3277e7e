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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest

import secgen_dsl
from secgen_dsl.backends.plaintext.backend import run_plaintext
from secgen_dsl.ir.plan import Measurements
from secgen_dsl.queries.table import SampleTable, empty_table
from tests.trials.sources import Watched
from tests.trials.studies import GENES, LABELS, some_people, twenty_genes, with_people

PLAN = twenty_genes().plan
CODE = (Path(secgen_dsl.__file__).parent, Path(run_plaintext.__code__.co_filename).parents[1])
LEFT_OUT = {("labels.py", "label_key"), ("labels.py", "<listcomp>")}

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


def follow(table: SampleTable) -> tuple[list[Step], list[Any], list[int]]:
    """Steps, draws and lengths of a run in which ``north`` has that table."""
    tables = {"north": table, "south": some_people(20, 2), "west": empty_table(PLAN.program)}
    sources = {party: Watched() for party in PLAN.parties}
    with noted() as steps:
        opened: Measurements = run_plaintext(PLAN, tables, dict(sources))
    draws = [source.requests for source in sources.values()]
    return steps, draws, [len(each.values) for each in opened.measurements]


HERE = some_people(30, 1)


def changed(value: float, label: str | None = None) -> SampleTable:
    """The first person has that value for every gene, and perhaps another label."""
    labels = HERE.categories["sex"].copy()
    if label is not None:
        labels = labels.astype("<U40")
        labels[0] = label
    expression = {gene: values.copy() for gene, values in HERE.expression.items()}
    for values in expression.values():
        values[0] = value
    return SampleTable(HERE.rows, {"sex": labels}, expression)


NEIGHBOURS = {
    "one more": with_people(HERE, ["male"], [11.0] * 20),
    "one more without any value": with_people(HERE, [""], [np.nan] * 20),
    "one fewer": SampleTable(
        rows=HERE.rows - 1,
        categories={"sex": HERE.categories["sex"][1:]},
        expression={gene: values[1:] for gene, values in HERE.expression.items()},
    ),
    "at an edge": changed(20 / 3),
    "far out": changed(1e308),
    "infinite": changed(-np.inf),
    "no number": changed(np.nan),
    "another label": changed(3.0, LABELS[0]),
    "an unknown label": changed(3.0, "a label that the spec does not have"),
    "only one person": with_people(empty_table(PLAN.program), ["female"], [1.0] * 20),
    "nobody": empty_table(PLAN.program),
}


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
