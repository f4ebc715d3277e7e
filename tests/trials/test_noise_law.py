"""The noise that reaches the opened sum, white box (PRIVACY 7.1, T3).

Both runs open 21,000 cells: two releases of 10,500, one plain and one centred.  Every test of this
file calls right noise wrong with probability below 10⁻⁹ a run (``laws``).
"""

import itertools
import subprocess
import sys
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from secgen_dsl.backends.plaintext.backend import run_plaintext
from secgen_dsl.queries.contribution import raw_cells
from secgen_dsl.queries.table import SampleTable
from tests.site_programs import SUBTYPE, make_marginal, make_panel, make_plan, make_program
from tests.trials.laws import (
    ALARM,
    ALARM_OF_MANY,
    centred_statistic,
    correlation_sd,
    dependence_faults,
    discrete_gaussian,
    equal_cells,
    law_faults,
)
from tests.trials.sources import Watched

BINS, LABELS, GENES = 3, len(SUBTYPE.values), 875
CELLS = BINS * LABELS * GENES
PARTY_VARIANCE = Fraction(50)

NAMES = [tuple(f"{panel}{number}" for number in range(GENES)) for panel in ("A", "B")]
PANELS = [
    make_panel(genes).model_copy(update={"name": name})
    for genes, name in zip(NAMES, ("plain", "turned"), strict=True)
]
MARGINALS = [
    make_marginal(["subtype"], panel, [(Fraction(5), Fraction(10))] * GENES) for panel in PANELS
]
PROGRAM = make_program([SUBTYPE], PANELS, MARGINALS)
PLAIN, TURNED = (marginal.id for marginal in MARGINALS)


def people(seed: int) -> SampleTable:
    draw = np.random.default_rng(seed)
    return SampleTable(
        rows=30,
        categories={"subtype": draw.choice(SUBTYPE.values, 30).astype(np.str_)},
        expression={gene: draw.uniform(0, 20, 30) for gene in (*NAMES[0], *NAMES[1])},
    )


class Run(NamedTuple):
    """A run of the real path: what was drawn, and what of the opened sums is noise.

    Attributes:
        drawn: (party, release) → z of shape (cells,).
        opened: release → opened sums less A(Σ x).
    """

    drawn: dict[tuple[str, str], NDArray[np.int64]]
    opened: dict[str, NDArray[np.int64]]


def centre(cells: NDArray[np.int64]) -> NDArray[np.int64]:
    """B·v − Σv without the last of each row, once more."""
    rows = cells.reshape(-1, BINS)
    return (BINS * rows - rows.sum(axis=1, keepdims=True))[:, :-1].reshape(-1)


def run(variance: Fraction) -> Run:
    plan = make_plan(PROGRAM, {TURNED: "centred"}, variance)
    tables = {silo.name: people(seed) for seed, silo in enumerate(PROGRAM.silos)}
    sources = {party: Watched() for party in plan.parties}
    result = run_plaintext(plan, tables, dict(sources))
    drawn, opened = {}, {}
    for party, source in sources.items():
        assert source.requests == [(PLAIN, CELLS, variance), (TURNED, CELLS, variance)]
        for (name, _, _), answer in zip(source.requests, source.answers, strict=True):
            drawn[party, name] = answer
    for marginal in MARGINALS:
        exact = sum(raw_cells(PROGRAM, marginal, table) for table in tables.values())
        exact = np.asarray(exact).reshape(-1)
        values = np.array(result.values(marginal.id), dtype=np.int64)
        opened[marginal.id] = values - (centre(exact) if marginal.id == TURNED else exact)
    return Run(drawn, opened)


@pytest.fixture(scope="module")
def runs() -> tuple[Run, Run]:
    return run(PARTY_VARIANCE), run(PARTY_VARIANCE)


def test_every_partys_draw_reaches_the_sum_once_and_before_the_map(runs: tuple[Run, Run]) -> None:
    """Exact: the opened sum less the people is A of the sum of what was drawn, integer by integer.

    No false alarm; any draw that is left out, altered, added twice or after the map is noticed.
    """
    for each in runs:
        for name in (PLAIN, TURNED):
            drawn = np.asarray(sum(z for (_, own), z in each.drawn.items() if own == name))
            expected = centre(drawn) if name == TURNED else drawn
            assert np.array_equal(each.opened[name], expected)


def test_what_is_drawn_follows_the_exact_law(runs: tuple[Run, Run]) -> None:
    """126,000 draws: a σ that is 2.4 % wrong lies 12 standard deviations off."""
    drawn = np.concatenate([z for each in runs for z in each.drawn.values()])
    assert len(drawn) == 126_000
    assert law_faults(drawn, discrete_gaussian(float(PARTY_VARIANCE))) == set()


def test_the_sum_over_the_parties_follows_its_law(runs: tuple[Run, Run]) -> None:
    """N_Z(0, m·σᵢ²): 21,000 sums, so that 2.4 % of σ is 5 standard deviations, 4.5 % is 9.5."""
    released = len(PROGRAM.silos) * float(PARTY_VARIANCE)
    plain = np.concatenate([each.opened[PLAIN] for each in runs])
    assert len(plain) == 21_000
    assert law_faults(plain, discrete_gaussian(released)) == set()
    # One entry of each centred row: 7,000 independent draws of B·z_b − Σz.
    rows = np.concatenate([each.opened[TURNED].reshape(-1, BINS - 1) for each in runs])
    assert law_faults(rows[:, 0], centred_statistic(released, BINS)) == set()


def test_centred_noise_lies_on_the_lattice_and_turns_within_a_row(runs: tuple[Run, Run]) -> None:
    """Noise before the map: differences in a row are multiples of B, its correlation −1/(B − 1).

    The first is exact.  The second has the standard deviation (1 − ρ²)/√n; noise after the map,
    of correlation 0, lies 50 of them off.
    """
    rows = np.concatenate([each.opened[TURNED].reshape(-1, BINS - 1) for each in runs])
    assert ((rows[:, 0] - rows[:, 1]) % BINS == 0).all()
    expected = -1 / (BINS - 1)
    found = float(np.corrcoef(rows.T)[0, 1])
    assert abs(found - expected) < ALARM * (1 - expected**2) / len(rows) ** 0.5


def test_no_cell_release_party_or_run_knows_another(runs: tuple[Run, Run]) -> None:
    """Correlations along all draws at every distance, and between all pairs of the twelve."""
    every = [z for each in runs for z in each.drawn.values()]
    assert len(every) == 12
    joined = np.concatenate(every)
    assert dependence_faults(joined) == set()
    for first, second in itertools.combinations(every, 2):
        assert abs(correlation_sd(first, second)) < ALARM_OF_MANY


def test_not_even_a_few_draws_are_shared() -> None:
    """σ = 10⁶, so that no two vectors should agree in five places: by chance below 10⁻¹⁵."""
    drawn = list(run(Fraction(10**12)).drawn.values())
    for first, second in itertools.combinations(drawn, 2):
        assert equal_cells(first, second) < 5
        assert equal_cells(first, second[::-1]) < 5


def test_sites_in_processes_of_their_own_share_nothing() -> None:
    """Fresh interpreters, as at two hospitals: a built-in seed would give both the same noise."""
    program = (
        "from fractions import Fraction; from secgen_dsl.runtime.noise import SystemNoise; "
        "print(*SystemNoise().draw('a', 1000, Fraction(10**12)))"
    )
    sites = [
        subprocess.Popen(
            [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )
        for _ in range(2)
    ]
    first, second = (np.array(site.communicate()[0].split(), dtype=np.int64) for site in sites)
    assert len(first) == len(second) == 1000
    assert equal_cells(first, second) < 5
