import ast
import inspect
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from secgen_dsl.diagnostics.diagnostic import SecgenError
from secgen_dsl.ir.plan import GaussianNoise, Release
from secgen_dsl.runtime import coins, gaussian, noise
from secgen_dsl.runtime.gaussian import draw_gaussian
from secgen_dsl.runtime.noise import BULK_CELLS, SystemNoise, draw_cells, scale_not_below
from tests.trials.laws import (
    ALARM,
    correlation_sd,
    dependence_faults,
    discrete_gaussian,
    law_faults,
)

Draw = Callable[[str, int, Fraction], NDArray[np.int64]]

CELLS = 21_000


def faults_of(draw: Draw, variance: Fraction) -> set[str]:
    """What is wrong with a sampler, from two draws of 21,000 cells (PRIVACY 7.1, T3).

    Six tests, each of which fails a right sampler once in 10¹⁰ runs (``tests.trials.laws``).
    """
    first, second = draw("a", CELLS, variance), draw("a", CELLS, variance)
    faults = law_faults(np.concatenate([first, second]), discrete_gaussian(float(variance)))
    # No cell may know another: across the calls, and along the vector.
    if abs(correlation_sd(first, second)) > ALARM:
        faults.add("reuse")
    return faults | dependence_faults(first)


def in_two_calls(marginal: str, cells: int, variance: Fraction) -> NDArray[np.int64]:
    """What opendp draws: a single call for so many cells is one for the bulk sampler."""
    assert cells // 2 < BULK_CELLS <= cells
    halves = [SystemNoise().draw(marginal, part, variance) for part in (cells // 2, -(-cells // 2))]
    return np.concatenate(halves)


@pytest.mark.parametrize("draw", [in_two_calls, SystemNoise().draw], ids=["opendp", "bulk"])
@pytest.mark.parametrize("variance", ["4", "3/2", "45/2", "1/3", "13689/16"])
def test_the_law_of_the_noise(variance: str, draw: Draw) -> None:
    assert faults_of(draw, Fraction(variance)) == set()


def test_which_sampler_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, int, object]] = []

    def bulk(cells: int, variance: Fraction) -> NDArray[np.int64]:
        asked.append(("bulk", cells, variance))
        return draw_gaussian(cells, variance)

    def opendp(scale: float) -> Callable[[list[int]], list[int]]:
        asked.append(("opendp", 0, scale))
        return lambda values: values

    monkeypatch.setattr(noise, "draw_gaussian", bulk)
    monkeypatch.setattr(noise, "_sampler", opendp)
    SystemNoise().draw("a", BULK_CELLS - 1, Fraction(25, 4))
    SystemNoise().draw("a", BULK_CELLS, Fraction(25, 4))
    assert asked == [("opendp", 0, 2.5), ("bulk", BULK_CELLS, Fraction(25, 4))]


class Watched:
    """The system's noise; remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int, Fraction]] = []
        self.drawn: list[NDArray[np.int64]] = []

    def draw(self, marginal: str, cells: int, variance: Fraction) -> NDArray[np.int64]:
        self.asked.append((marginal, cells, variance))
        self.drawn.append(SystemNoise().draw(marginal, cells, variance))
        return self.drawn[-1]

    def draw_polya(
        self, marginal: str, cells: int, scale: Fraction, parts: int
    ) -> NDArray[np.int64]:
        raise AssertionError("this release has Gaussian noise")


def test_the_last_cells_of_a_second_moment_have_half_the_variance() -> None:
    """Three squares, then three products, of which each counts twice in the sensitivity."""
    noise = GaussianNoise(
        kind="gaussian",
        sensitivity_squared=Fraction(1),
        variance=Fraction(2 * 10**12),
        party_variance=Fraction(10**12),
    )
    release = Release(
        query="m", map="identity", tables=1, raw_cells=6, halved=3, opened=6, noise=noise
    )
    source = Watched()
    cells = draw_cells(source, release)
    assert source.asked == [("m", 3, Fraction(10**12)), ("m", 3, Fraction(10**12, 2))]
    assert cells.tolist() == [*source.drawn[0].tolist(), *source.drawn[1].tolist()]


def halved_variance(marginal: str, cells: int, variance: Fraction) -> NDArray[np.int64]:
    return SystemNoise().draw(marginal, cells, variance / 2)


def halved_values(marginal: str, cells: int, variance: Fraction) -> NDArray[np.int64]:
    return SystemNoise().draw(marginal, cells, variance) // 2


def slightly_too_small(marginal: str, cells: int, variance: Fraction) -> NDArray[np.int64]:
    return SystemNoise().draw(marginal, cells, variance * Fraction(93, 100))


def no_noise(marginal: str, cells: int, variance: Fraction) -> NDArray[np.int64]:
    return np.arange(cells) % 2


def rounded_continuous(marginal: str, cells: int, variance: Fraction) -> NDArray[np.int64]:
    generator = np.random.default_rng()
    return np.rint(generator.normal(0, float(variance) ** 0.5, cells)).astype(np.int64)


def reused() -> Draw:
    kept: list[NDArray[np.int64]] = []

    def draw(marginal: str, cells: int, variance: Fraction) -> NDArray[np.int64]:
        kept.append(SystemNoise().draw(marginal, cells, variance))
        return kept[0]

    return draw


def repeated_within(marginal: str, cells: int, variance: Fraction) -> NDArray[np.int64]:
    return np.repeat(SystemNoise().draw(marginal, cells // 2, variance), 2)


@pytest.mark.parametrize(
    ("draw", "fault"),
    [
        (halved_variance, "variance"),
        (halved_values, "variance"),
        (slightly_too_small, "variance"),
        (no_noise, "law"),
        (rounded_continuous, "variance"),  # Sheppard: rounding adds 1/12
        (reused(), "reuse"),
        (repeated_within, "dependence"),
    ],
)
def test_these_tests_notice_a_wrong_sampler(draw: Draw, fault: str) -> None:
    assert fault in faults_of(draw, Fraction(3, 4))


def _draw_into(queue: "Queue[list[int]]", cells: int) -> None:
    queue.put(SystemNoise().draw("a", cells, Fraction(10**12))[:40].tolist())


@pytest.mark.parametrize("cells", [40, BULK_CELLS])
def test_forked_parties_do_not_share_a_generator(cells: int) -> None:
    SystemNoise().draw("a", cells, Fraction(10**12))  # the library is loaded and warm
    context = multiprocessing.get_context("fork")
    queue: Queue[list[int]] = context.Queue()
    children = [context.Process(target=_draw_into, args=(queue, cells)) for _ in range(2)]
    for child in children:
        child.start()
    drawn = [queue.get(timeout=30) for _ in children]
    for child in children:
        child.join(timeout=30)
    drawn.append(SystemNoise().draw("a", cells, Fraction(10**12))[:40].tolist())
    # σ = 10⁶: forty equal values by chance do not happen, nor does one in the same place twice.
    for first, second in ((0, 1), (0, 2), (1, 2)):
        equal = sum(a == b for a, b in zip(drawn[first], drawn[second], strict=True))
        assert equal < 3


@pytest.mark.parametrize("variable", ["OPENDP_LIB_DIR", "OPENSSL_CONF"])
def test_no_variable_chooses_the_sampler_or_its_generator(tmp_path: Path, variable: str) -> None:
    # A folder without a library; a generator (for OpenSSL's own tests) that gives what it is told.
    (tmp_path / "none").mkdir()
    generator = "openssl_conf = a\n[a]\nrandom = b\n[b]\nrandom = TEST-RAND\n"
    (tmp_path / "test.cnf").write_text(generator)
    value = {"OPENDP_LIB_DIR": tmp_path / "none", "OPENSSL_CONF": tmp_path / "test.cnf"}[variable]
    program = (
        "from fractions import Fraction; from secgen_dsl.runtime.noise import SystemNoise; "
        "print(len(SystemNoise().draw('a', 3, Fraction(9))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, variable: str(value)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout.strip()) == (0, "3")


def test_nothing_can_be_seeded() -> None:
    assert list(inspect.signature(SystemNoise).parameters) == []
    assert list(inspect.signature(SystemNoise.draw).parameters) == [
        "self",
        "marginal",
        "cells",
        "variance",
    ]
    # Other than in prose, the module mentions no seed and no other generator.
    names = {
        node.attr if isinstance(node, ast.Attribute) else node.id
        for node in ast.walk(ast.parse(inspect.getsource(noise)))
        if isinstance(node, ast.Attribute | ast.Name)
    }
    assert not names & {"seed", "random", "default_rng", "environ", "getenv"}


@settings(max_examples=200)
@given(st.fractions(min_value=Fraction(1, 10**6), max_value=2**100, max_denominator=10**6))
def test_the_scale_never_undercuts_the_variance(variance: Fraction) -> None:
    scale = scale_not_below(variance)
    assert Fraction(scale) ** 2 >= variance
    # … and by less than the four units in the last place that the accountant allows for.
    assert Fraction(scale) ** 2 < variance * (1 + Fraction(1, 2**51))


def test_shapes() -> None:
    drawn = SystemNoise().draw("subtype", 17, Fraction(9, 2))
    assert drawn.shape == (17,)
    assert drawn.dtype == np.int64
    assert SystemNoise().draw("subtype", 0, Fraction(4)).shape == (0,)
    # The largest admitted scale stays inside int64.
    assert int(np.abs(SystemNoise().draw("subtype", 9, Fraction(2**100))).max()) < 2**56


@pytest.mark.parametrize("cells", [3, BULK_CELLS])
@pytest.mark.parametrize("variance", [Fraction(0), Fraction(-4), Fraction(2**100 + 1)])
def test_variances_out_of_range(variance: Fraction, cells: int) -> None:
    with pytest.raises(ValueError, match="noise variance must be positive"):
        SystemNoise().draw("subtype", cells, variance)


def test_a_negative_length() -> None:
    with pytest.raises(ValueError, match="negative length"):
        SystemNoise().draw("subtype", -1, Fraction(4))


def _library_error(values: list[int]) -> list[int]:
    raise RuntimeError("FailedFunction\n   entropy source unavailable")


@pytest.mark.parametrize(
    ("sampler", "words"),
    [
        (_library_error, "the library reports: FailedFunction"),
        (lambda values: values[1:], "2 values came back for 3 cells"),
        (lambda values: [*values[1:], 2**63 - 1], "edge of 64-bit integers"),
        (lambda values: [*values[1:], -(2**63)], "edge of 64-bit integers"),
        (lambda values: [float(value) for value in values], "3 values came back for 3 cells"),
    ],
)
def test_a_failing_sampler_stops_the_party(
    sampler: Any, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The library cannot be made to fail; its answer is replaced at the adapter's edge.
    monkeypatch.setattr(noise, "_sampler", lambda scale: sampler)
    with pytest.raises(SecgenError) as caught:
        SystemNoise().draw("subtype*cycle", 3, Fraction(4))
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "SG401"
    assert words in diagnostic.message
    assert "subtype*cycle" in diagnostic.message
    assert diagnostic.next_step


def _no_random_bytes(count: int) -> NDArray[np.uint64]:
    raise OSError("no random bytes")


def test_a_failing_generator_stops_the_party(monkeypatch: pytest.MonkeyPatch) -> None:
    # The system's cannot be made to fail either.
    monkeypatch.setattr(coins, "words", _no_random_bytes)
    monkeypatch.setattr(gaussian, "words", _no_random_bytes)
    for draw in (
        lambda: SystemNoise().draw("subtype", BULK_CELLS, Fraction(4)),
        lambda: SystemNoise().draw_polya("subtype", 3, Fraction(4), 2),
    ):
        with pytest.raises(SecgenError, match="SG401") as caught:
            draw()
        assert "the system reports: no random bytes" in caught.value.diagnostics[0].message
        assert "opendp" not in caught.value.diagnostics[0].next_step
