"""Pólya shares: their law, the law of their sum, every coin that decides them."""

import ast
import inspect
import math
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from secgen_dsl.runtime import coins, polya
from secgen_dsl.runtime.polya import draw_polya
from tests.trials.laws import (
    ALARM,
    correlation_sd,
    dependence_faults,
    discrete_laplace,
    law_faults,
    polya_share,
)

Draw = Callable[[int, Fraction, int], NDArray[np.int64]]

CELLS = 24_000

# A right sampler fails a test at this level less than once in ten million runs.
LEVEL = 1e-7


def summed(draw: Draw, scale: Fraction, parts: int) -> NDArray[np.int64]:
    return np.sum([draw(CELLS, scale, parts) for _ in range(parts)], axis=0)


SCALES = ["1/50", "1/4", "1", "7/5", "10", "637/200", "1000", "123457/10"]


@pytest.mark.parametrize("parts", [2, 3, 5])
@pytest.mark.parametrize("scale", SCALES)
def test_the_law_of_a_share(scale: str, parts: int) -> None:
    drawn = draw_polya(CELLS, Fraction(scale), parts)
    assert drawn.dtype == np.int64
    # Their squares are too skewed for the test of the variance: that is of the sums, below.
    assert law_faults(drawn, polya_share(float(Fraction(scale)), parts)) <= {"variance"}


@pytest.mark.parametrize("parts", [2, 3, 5])
@pytest.mark.parametrize("scale", SCALES)
def test_the_honest_sum_is_discrete_laplace(scale: str, parts: int) -> None:
    drawn = summed(draw_polya, Fraction(scale), parts)
    assert law_faults(drawn, discrete_laplace(float(Fraction(scale)))) == set()


@pytest.mark.parametrize("scale", ["1", "10", "1000"])
def test_the_honest_sum_is_what_opendp_draws(scale: str) -> None:
    """Two samples, ours of three shares and opendp's, in the classes of equal probability."""
    from opendp.domains import atom_domain, vector_domain
    from opendp.measurements import make_geometric, make_laplace
    from opendp.metrics import l1_distance
    from opendp.mod import enable_features
    from scipy.stats import chi2_contingency

    enable_features("contrib")
    space = vector_domain(atom_domain(T="i64")), l1_distance(T="i64")
    ours = summed(draw_polya, Fraction(scale), 3)
    x, mass = discrete_laplace(float(scale))
    edges = x[np.searchsorted(np.cumsum(mass), np.arange(1, 20) / 20)]
    for make in (make_laplace, make_geometric):
        theirs = np.array(make(*space, scale=float(Fraction(scale)))([0] * CELLS))
        classes = np.unique(edges)
        table = [
            np.bincount(np.searchsorted(classes, sample), minlength=len(classes) + 1)
            for sample in (ours, theirs)
        ]
        assert chi2_contingency(np.array(table)[:, np.sum(table, axis=0) > 0]).pvalue > LEVEL


def too_few_parts(cells: int, scale: Fraction, parts: int) -> NDArray[np.int64]:
    return draw_polya(cells, scale, parts + 1)


def slightly_too_small(cells: int, scale: Fraction, parts: int) -> NDArray[np.int64]:
    return draw_polya(cells, scale * Fraction(93, 100), parts)


def one_sided(cells: int, scale: Fraction, parts: int) -> NDArray[np.int64]:
    return np.abs(draw_polya(cells, scale, parts))


def rounded_continuous(cells: int, scale: Fraction, parts: int) -> NDArray[np.int64]:
    """Differences of gamma numbers, rounded: the shares of continuous Laplace noise."""
    rng = np.random.default_rng()
    gammas = rng.gamma(1 / parts, float(scale), (2, cells))
    return np.rint(gammas[0] - gammas[1]).astype(np.int64)


def without_tail(cells: int, scale: Fraction, parts: int) -> NDArray[np.int64]:
    """What lies beyond three scales is drawn again."""
    drawn = draw_polya(cells, scale, parts)
    while (np.abs(drawn) > 3 * scale).any():
        far = np.abs(drawn) > 3 * scale
        drawn[far] = draw_polya(int(far.sum()), scale, parts)
    return drawn


@pytest.mark.parametrize(
    "wrong", [too_few_parts, slightly_too_small, one_sided, rounded_continuous, without_tail]
)
def test_these_tests_notice_a_wrong_sampler(wrong: Draw) -> None:
    scale = Fraction(3, 2)
    of_sum = law_faults(summed(wrong, scale, 3), discrete_laplace(1.5))
    assert "law" in of_sum | law_faults(wrong(CELLS, scale, 3), polya_share(1.5, 3))


def test_no_cell_knows_another() -> None:
    first, second = (summed(draw_polya, Fraction(50), 2) for _ in range(2))
    assert abs(correlation_sd(first, second)) < ALARM
    assert dependence_faults(first) == set()
    # The shares of one sum, too: each is a fresh draw.
    assert abs(correlation_sd(*(draw_polya(CELLS, Fraction(50), 2) for _ in range(2)))) < ALARM


def heads(coins: NDArray[np.bool_], probability: float) -> bool:
    """Whether so many heads may come of so many tosses: 6 standard deviations."""
    expected = len(coins) * probability
    return abs(int(coins.sum()) - expected) <= 6 * math.sqrt(expected * (1 - probability)) + 1e-9


@pytest.mark.parametrize(("a", "c"), [(0, 1), (1, 3), (5, 5), (7, 2), (40, 9), (999, 1000)])
def test_exponential_coins(a: int, c: int) -> None:
    coins = polya._exponential_coins(np.full(100_000, a, dtype=np.int64), c)
    assert heads(coins, math.exp(-a / c))


def test_the_coin_of_the_tail() -> None:
    assert heads(polya._two_over_e(200_000), 2 / math.e)


@pytest.mark.parametrize("parts", [2, 3, 7])
def test_poisson_numbers(parts: int) -> None:
    from scipy.stats import poisson

    drawn = polya._poisson(100_000, parts)
    x = np.arange(0, 30)
    assert law_faults(drawn, (x, poisson.pmf(x, 1 / parts))) <= {"mean"}  # which is not 0


def test_shapes_and_the_greatest_scale() -> None:
    assert draw_polya(0, Fraction(3), 2).shape == (0,)
    assert draw_polya(70_001, Fraction(3), 2).shape == (70_001,)
    assert int(np.abs(draw_polya(300, Fraction(2**56 - 1, 2**16), 2)).max()) < 2**47


@pytest.mark.parametrize(
    ("cells", "scale", "parts"),
    [
        (-1, "1", 2),
        (3, "0", 2),
        (3, "-1", 2),
        (3, "2199023255552", 2),
        (3, "1/65537", 2),
        (3, "1", 1),
        (3, "1", 2**17),
    ],
)
def test_numbers_out_of_range(cells: int, scale: str, parts: int) -> None:
    with pytest.raises(ValueError, match=r"negative length|no Pólya shares"):
        draw_polya(cells, Fraction(scale), parts)


def test_nothing_can_be_seeded_and_no_float_decides() -> None:
    assert list(inspect.signature(draw_polya).parameters) == ["cells", "scale", "parts"]
    for module in (polya, coins):
        no_float_decides(ast.parse(Path(inspect.getfile(module)).read_text(encoding="utf-8")))


def no_float_decides(tree: ast.Module) -> None:
    names = {
        node.attr if isinstance(node, ast.Attribute) else node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute | ast.Name)
    }
    assert not names & {"seed", "random", "default_rng", "environ", "getenv", "float", "float64"}
    assert not any(
        isinstance(node, ast.Constant) and isinstance(node.value, float) for node in ast.walk(tree)
    )
    assert not any(
        isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) for node in ast.walk(tree)
    )


def test_a_coin_is_never_decided_for_want_of_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trials that were cut short, and counted as one side, would bias every coin."""
    assert math.factorial(polya._MOST_TRIALS - 1) > 2**250
    monkeypatch.setattr(polya, "below", lambda bounds: np.zeros(len(bounds), dtype=np.int64))
    with pytest.raises(ValueError, match="for ever"):
        polya._trials(np.ones(1, dtype=np.int64), 1, first=1)
