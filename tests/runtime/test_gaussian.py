"""Bulk Gaussian noise: every probability that decides it, exactly, and the law of what it draws."""

import ast
import inspect
import itertools
import math
from collections import defaultdict
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from secgen_dsl.runtime import gaussian
from secgen_dsl.runtime.gaussian import draw_gaussian
from tests.trials.laws import (
    ALARM,
    correlation_sd,
    dependence_faults,
    discrete_gaussian,
    law_faults,
)

Draw = Callable[[int, Fraction], NDArray[np.int64]]

CELLS = 100_000

# A right sampler fails a test at this level less than once in ten million runs.
LEVEL = 1e-7

SMALL = ["1/10", "1/3", "4", "9/2", "25/4", "64", "65", "1000/7"]


def fixed_words(monkeypatch: pytest.MonkeyPatch, *draws: list[int]) -> None:
    """The next draws are these instead of the system's."""
    rows = iter([np.array(row, dtype=np.uint64) for row in draws])
    monkeypatch.setattr(gaussian, "words", lambda count: next(rows))


# -- proposals and rejection, enumerated ---------------------------------------------------------


@pytest.mark.parametrize("variance", SMALL)
def test_every_number_comes_out_in_proportion_to_its_mass(
    variance: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All words that a candidate reads; the tail's runs of heads up to 5.

    What is proposed times what is kept has to be K·e^(−x²/2σ²) with the same K for every x, as
    rationals: both factors but for that power of e are.
    """
    proposal = gaussian._proposal(Fraction(variance))
    used = 13 + proposal.width_bits
    everything = list(range(2**used))
    kept: defaultdict[int, Fraction] = defaultdict(Fraction)
    for run in range(6):
        fixed_words(monkeypatch, everything)
        monkeypatch.setattr(
            gaussian, "runs_of_heads", lambda count, run=run: np.full(count, run, dtype=np.int64)
        )
        for x, block in zip(*gaussian._candidates(proposal, len(everything)), strict=True):
            in_tail = int(block) >= 12
            if not in_tail and run:
                continue
            chance = Fraction(1, 2**used) * (Fraction(1, 2 ** (run + 1)) if in_tail else 1)
            weight = Fraction(proposal.weights[min(int(block), 12)], 2 ** max(0, int(block) - 12))
            kept[int(x)] += chance * proposal.peak / weight
    reach = 18 * 2**proposal.width_bits
    assert sorted(kept) == list(range(-reach, reach))
    assert set(kept.values()) == {Fraction(proposal.peak, 2**used)}


@pytest.mark.parametrize("variance", [*SMALL, "1099511627776", "123456789/1000", "1/1000000"])
def test_no_number_is_kept_with_more_than_certainty(variance: str) -> None:
    proposal = gaussian._proposal(Fraction(variance))
    width = 2**proposal.width_bits
    assert Fraction(width, 1) ** 2 >= Fraction(variance) / 16
    assert width == 1 or Fraction(width, 2) ** 2 < Fraction(variance) / 16
    assert sum(proposal.weights) + proposal.weights[-1] == len(proposal.owners) == 2**12
    with mpmath.workdps(60):
        for block in range(40):
            a = mpmath.mpf((block * width) ** 2) / mpmath.mpf(2) / frac(Fraction(variance))
            weight = mpmath.ldexp(proposal.weights[min(block, 12)], -max(0, block - 12))
            assert proposal.peak * mpmath.exp(-a) <= weight, block


def frac(number: Fraction) -> object:
    return mpmath.mpf(number.numerator) / number.denominator


def keep_probability(proposal: gaussian._Proposal, x: int, block: int) -> Fraction:
    """p to 80 digits, by mpmath."""
    run = max(0, block - 12)
    with mpmath.workdps(80):
        power = mpmath.exp(-frac(Fraction(x * x) / (2 * proposal.variance)))
        p = proposal.peak * power / proposal.weights[block - run] * mpmath.mpf(2) ** run
        return Fraction(int(mpmath.floor(mpmath.ldexp(p, 300))), 2**300)


def some_candidates(proposal: gaussian._Proposal) -> list[tuple[int, int]]:
    width = 2**proposal.width_bits
    return [
        (sign_of(b * width + u), b)
        for b, u in itertools.product([0, 1, 5, 11, 12, 13, 20], {0, width // 3, width - 1})
        for sign_of in (lambda m: m, lambda m: -1 - m)
    ]


@pytest.mark.parametrize("variance", ["4", "9/2", "1000/7", "1099511627776", "1267650600228229401"])
def test_a_candidate_is_kept_up_to_its_probability_and_no_further(
    variance: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At every distance of U from p: the float decides, or the rationals do, never wrongly."""
    proposal = gaussian._proposal(Fraction(variance))
    for x, block in some_candidates(proposal):
        p = keep_probability(proposal, x, block)
        last = math.floor(p * 2**64)  # U's first word; in this one it is open
        near = [last + sign * 2**step for step in range(64) for sign in (-1, 1)]
        wanted = {word: word < last for word in near if 0 <= word < 2**64}
        fixed_words(monkeypatch, list(wanted))
        kept = gaussian._kept(
            proposal,
            np.full(len(wanted), x, dtype=np.int64),
            np.full(len(wanted), block, dtype=np.int64),
        )
        assert kept.tolist() == list(wanted.values()), (x, block)
        # … where the words after it decide.
        following = math.floor(p * 2**128) % 2**64
        for word, keeps in ((following - 1, True), (following + 1, False)):
            if 0 <= word < 2**64 and last < 2**64:
                fixed_words(monkeypatch, [last], [word])
                one = np.array([x], dtype=np.int64), np.array([block], dtype=np.int64)
                assert gaussian._kept(proposal, *one).tolist() == [keeps]


def test_what_is_in_doubt_is_compared_as_far_as_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    proposal = gaussian._proposal(Fraction(9, 2))
    p = keep_probability(proposal, 2, 2)
    places = [math.floor(p * 2 ** (64 * n)) % 2**64 for n in range(1, 5)]
    for last, keeps in ((places[3] - 1, True), (places[3] + 1, False)):
        fixed_words(monkeypatch, [places[1]], [places[2]], [last])
        assert gaussian._kept_exactly(proposal, 2, 2, places[0]) == keeps


@pytest.mark.parametrize("variance", ["4", "1000/7", "1099511627776", "1/1000000"])
def test_the_float_is_as_near_as_it_says(variance: str) -> None:
    proposal = gaussian._proposal(Fraction(variance))
    width = 2**proposal.width_bits
    blocks = [*range(16), 40, 76, 77, 200, 5000]
    candidates = [
        (b * width + u, b) for b in blocks for u in {0, width // 7, width // 2, width - 1}
    ]
    x, block = (np.array(column, dtype=np.int64) for column in zip(*candidates, strict=True))
    for near, one in zip(gaussian._probabilities(proposal, x, block), candidates, strict=True):
        assert 0 <= near <= 1 + 2.0**-38
        assert abs(Fraction(float(near)) - keep_probability(proposal, *one)) < Fraction(1, 2**38)


@given(st.floats(min_value=0.0, max_value=600.0))
def test_the_power_of_e_is_as_near_as_it_says(a: float) -> None:
    (near,) = gaussian._exponential(np.array([a]))
    with mpmath.workdps(60):
        assert abs(mpmath.mpf(float(near)) / mpmath.exp(-mpmath.mpf(a)) - 1) < mpmath.mpf(2) ** -49


@given(
    st.fractions(min_value=0, max_value=1000, max_denominator=10**40) | st.just(Fraction(0)),
    st.integers(30, 120),
)
def test_the_bounds_hold_the_power_of_e(a: Fraction, digits: int) -> None:
    low, high = gaussian._exponential_bounds(a, digits)
    with mpmath.workdps(700):
        power = mpmath.exp(-frac(a))
        assert frac(low) <= power <= frac(high)
        assert frac(high - low) <= power * mpmath.mpf(10) ** (4 - digits)


def test_the_bounds_of_powers_that_vanish() -> None:
    for a in (Fraction(10**6), Fraction(10**40), Fraction(10**5000)):
        low, high = gaussian._exponential_bounds(a, 40)
        assert low <= 0 < high < Fraction(1, 10**9000)


# -- the law ---------------------------------------------------------------------------------------


def faults_of(draw: Draw, variance: Fraction) -> set[str]:
    first, second = draw(CELLS, variance), draw(CELLS, variance)
    faults = law_faults(np.concatenate([first, second]), discrete_gaussian(float(variance)))
    if abs(correlation_sd(first, second)) > ALARM:
        faults.add("reuse")
    return faults | dependence_faults(first)


@pytest.mark.parametrize("variance", [*SMALL, "16", "17", "30000", "13689/16", "1000000"])
def test_the_law_of_the_noise(variance: str) -> None:
    assert faults_of(draw_gaussian, Fraction(variance)) == set()


@pytest.mark.parametrize("variance", ["4", "25/4", "1000/7"])
def test_the_law_where_rationals_decide(variance: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One trial in ten is in doubt by decree."""
    monkeypatch.setattr(gaussian, "_DOUBT", 0.05)
    drawn = draw_gaussian(20_000, Fraction(variance))
    assert law_faults(drawn, discrete_gaussian(float(Fraction(variance)))) == set()


@pytest.mark.parametrize("bits", [20, 40, 50])
def test_the_law_of_wide_noise(bits: int) -> None:
    """Classes of equal probability of the normal law, of which such noise is 2^−40 away."""
    from scipy.stats import chisquare, kstest, norm

    sigma = 2.0**bits
    drawn = draw_gaussian(400_000, Fraction(2) ** (2 * bits))
    edges = norm.ppf(np.arange(1, 200) / 200) * sigma
    counts = np.bincount(np.searchsorted(edges, drawn), minlength=200)
    assert chisquare(counts).pvalue > LEVEL
    assert kstest(drawn / sigma, "norm").pvalue > LEVEL
    squares = float((drawn / sigma) @ (drawn / sigma))
    assert abs(squares - 400_000) < ALARM * (2 * 400_000) ** 0.5
    # The last bits, which such classes do not see.
    assert chisquare(np.bincount(drawn & 31, minlength=32)).pvalue > LEVEL


@pytest.mark.parametrize("variance", ["4", "25/4", "1000/7"])
def test_the_tails(variance: str) -> None:
    """Beyond three σ, where blocks end and runs of heads begin, each side by itself."""
    from scipy.stats import chisquare

    x, mass = discrete_gaussian(float(Fraction(variance)))
    drawn = draw_gaussian(2_000_000, Fraction(variance))
    far = 3 * float(Fraction(variance)) ** 0.5
    expected = mass * len(drawn)
    counted = np.array([(drawn == value).sum() for value in x[np.abs(x) > far]])
    wanted = expected[np.abs(x) > far]
    often = wanted > 50
    assert often.sum() >= 4
    both = np.append(counted[often], len(drawn) - counted[often].sum())
    assert (
        chisquare(both, np.append(wanted[often], len(drawn) - wanted[often].sum())).pvalue > LEVEL
    )


@pytest.mark.parametrize("variance", ["4", "25/4", "10000"])
def test_both_samplers_agree(variance: str) -> None:
    from scipy.stats import chi2_contingency

    from secgen_dsl.runtime.noise import BULK_CELLS, SystemNoise

    x, mass = discrete_gaussian(float(Fraction(variance)))
    edges = np.unique(x[np.searchsorted(np.cumsum(mass), np.arange(1, 20) / 20)])
    few = [SystemNoise().draw("a", BULK_CELLS - 1, Fraction(variance)) for _ in range(3)]
    samples = np.concatenate(few), draw_gaussian(CELLS, Fraction(variance))
    table = [np.bincount(np.searchsorted(edges, one), minlength=len(edges) + 1) for one in samples]
    assert chi2_contingency(np.array(table)).pvalue > LEVEL


def slightly_too_small(cells: int, variance: Fraction) -> NDArray[np.int64]:
    return draw_gaussian(cells, variance * Fraction(97, 100))


def zero_twice(cells: int, variance: Fraction) -> NDArray[np.int64]:
    """A sign before a magnitude: what a sampler that forgets about −0 draws."""
    drawn = draw_gaussian(2 * cells, variance)
    rare = np.flatnonzero((drawn != 0) | (np.arange(2 * cells) % 2 == 0))
    return drawn[rare][:cells]


def rounded_continuous(cells: int, variance: Fraction) -> NDArray[np.int64]:
    generator = np.random.default_rng()
    return np.rint(generator.normal(0, float(variance) ** 0.5, cells)).astype(np.int64)


def without_tail(cells: int, variance: Fraction) -> NDArray[np.int64]:
    drawn = draw_gaussian(cells, variance)
    return np.clip(drawn, -3 * math.isqrt(int(variance)), 3 * math.isqrt(int(variance)))


@pytest.mark.parametrize(
    "wrong", [slightly_too_small, zero_twice, rounded_continuous, without_tail]
)
def test_these_tests_notice_a_wrong_sampler(wrong: Draw) -> None:
    assert faults_of(wrong, Fraction(3, 2)) & {"law", "variance"}


# -- the rest --------------------------------------------------------------------------------------


def test_shapes() -> None:
    for cells in (0, 1, 2, 17, 2**15, 70_001):
        drawn = draw_gaussian(cells, Fraction(9, 2))
        assert drawn.shape == (cells,)
        assert drawn.dtype == np.int64
    assert int(np.abs(draw_gaussian(1000, Fraction(2) ** 100)).max()) < 2**56
    assert not draw_gaussian(50_000, Fraction(1, 10**5)).any()


@pytest.mark.parametrize(
    ("cells", "variance"), [(-1, "4"), (3, "0"), (3, "-4"), (3, str(2**100 + 1))]
)
def test_numbers_out_of_range(cells: int, variance: str) -> None:
    with pytest.raises(ValueError, match=r"negative length|must be positive"):
        draw_gaussian(cells, Fraction(variance))


def test_a_run_without_end_stops_the_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rather than wrap around in int64."""
    endless = lambda count: np.full(count, 2**14, dtype=np.int64)  # noqa: E731
    monkeypatch.setattr(gaussian, "runs_of_heads", endless)
    with pytest.raises(ValueError, match="for ever"):
        draw_gaussian(100_000, Fraction(64))


def test_nothing_can_be_seeded() -> None:
    assert list(inspect.signature(draw_gaussian).parameters) == ["cells", "variance"]
    tree = ast.parse(Path(inspect.getfile(gaussian)).read_text(encoding="utf-8"))
    names = {
        node.attr if isinstance(node, ast.Attribute) else node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute | ast.Name)
    }
    assert not names & {"seed", "random", "default_rng", "environ", "getenv"}
    # No power, root or logarithm of a library: sums, products and tables can be bounded by hand.
    assert not names & {"exp2", "expm1", "log", "log2", "sqrt", "power"}
