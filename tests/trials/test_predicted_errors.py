"""Predicted standard errors against realised ones, pooled over each query's cells.

200 runs of the plaintext backend with the system's noise.  The agreement asked for is four standard
errors of the pooled error.  So tight a test flags a right planner once in some thousand batches,
hence a batch that misses is tried again with fresh noise, twice: three misses in a row have
probability below 10⁻⁹.  For the 120 gene cells four standard errors are 5 % of the variance; for
the histogram's two cells, 28 %.
"""

from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from secgen_dsl.backends.plaintext.backend import run_plaintext
from secgen_dsl.planner.predict import predict
from secgen_dsl.queries.contribution import raw_cells
from secgen_dsl.synthesis.measured import read_measurements
from tests.trials.studies import query_of, some_people, twenty_genes

RUNS = 200
PLAN = twenty_genes().plan
SILOS = tuple(silo.name for silo in PLAN.program.silos)


class Realised(NamedTuple):
    """What 200 runs say of a query's cells.

    Attributes:
        square: mean squared error over cells and runs, in people squared.
        spread: standard error of that mean, from the runs' own means.
    """

    square: float
    spread: float

    def distance(self, predicted: float) -> float:
        """From a predicted standard error, in standard errors of the mean square."""
        return abs(self.square - predicted**2) / self.spread


def realised_errors() -> dict[str, Realised]:
    """Release → its error in 200 runs, cells as synthesis makes them of what was opened."""
    tables = {silo: some_people(25, seed) for seed, silo in enumerate(SILOS)}
    exact: dict[str, NDArray[np.int64]] = {}
    for release in PLAN.releases():
        query = query_of(PLAN, release)
        counts = [raw_cells(PLAN.program, query, table) for table in tables.values()]
        exact[query.id] = np.sum(counts, axis=0)
    squares: dict[str, list[float]] = {name: [] for name in exact}
    people = exact["sex"].reshape(-1)
    # People without a value are in no cell of a gene, but in the histogram: that is not noise.
    absent = people - exact["sex*few"].sum(axis=-1)
    for _ in range(RUNS):
        read = read_measurements(PLAN, run_plaintext(PLAN, tables))
        (labels,), (genes,) = read.categories, read.genes
        totals = (labels.counts - absent)[..., np.newaxis]
        cells = genes.contrasts + totals / genes.contrasts.shape[-1]
        squares["sex"].append(float(((labels.counts - people) ** 2).mean()))
        squares["sex*few"].append(float(((cells - exact["sex*few"]) ** 2).mean()))
    return {
        name: Realised(float(np.mean(each)), float(np.std(each, ddof=1)) / RUNS**0.5)
        for name, each in squares.items()
    }


@pytest.fixture(scope="module")
def batch() -> dict[str, Realised]:
    return realised_errors()


PREDICTED = {query_of(PLAN, each.release).id: each for each in predict(PLAN)}


def beyond(batch: dict[str, Realised]) -> set[str]:
    return {
        name
        for name, prediction in PREDICTED.items()
        if batch[name].distance(prediction.standard_error) > 4
    }


def test_predicted_errors_are_the_realised_ones(batch: dict[str, Realised]) -> None:
    missed = beyond(batch)
    assert set(PREDICTED) == set(batch) == {"sex", "sex*few"}
    for _ in range(2):
        if missed:
            missed &= beyond(realised_errors())
    assert not missed


def test_errors_before_the_colluding_parties_noise_lie_far_off(batch: dict[str, Realised]) -> None:
    """The certified σ is not the released one: m/(m − t) = 1.5 in variance, 25 standard errors."""
    certified = PREDICTED["sex*few"].standard_error * (2 / 3) ** 0.5
    assert batch["sex*few"].distance(certified) > 10
