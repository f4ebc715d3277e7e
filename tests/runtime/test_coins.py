"""The uniform words and fair coins that every sampler and every sharing is made of."""

import ast
import inspect
from pathlib import Path

import numpy as np
import pytest

from secgen_dsl.runtime import coins
from tests.trials.laws import law_faults

# Right coins fail a test at this level less than once in ten million runs.
LEVEL = 1e-7


def test_heads_before_the_first_tail(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.arange(0, 60)
    assert law_faults(coins.runs_of_heads(100_000), (x, 0.5 ** (x + 1.0))) <= {
        "mean"
    }  # which is not 0
    # A word of ones goes on in the next one: 64 heads, then those of the second word.
    words = iter([np.array([2**64 - 1, 0], dtype=np.uint64), np.array([0b0111], dtype=np.uint64)])
    monkeypatch.setattr(coins, "words", lambda count: next(words))
    assert coins.runs_of_heads(2).tolist() == [67, 0]


@pytest.mark.parametrize("bound", [1, 2, 3, 10, 2**20 + 7])
def test_uniform_whole_numbers(bound: int) -> None:
    drawn = coins.below(np.full(100_000, bound, dtype=np.int64))
    assert 0 <= int(drawn.min()) <= int(drawn.max()) < bound
    classes = min(bound, 50)
    counts = np.bincount(drawn * classes // bound, minlength=classes)
    sizes = np.bincount(np.arange(bound) * classes // bound, minlength=classes)
    from scipy.stats import chisquare

    assert bound == 1 or chisquare(counts, sizes / bound * len(drawn)).pvalue > LEVEL


def test_surplus_words_are_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """2⁶⁴ mod 3 = 1: the greatest word would favour 0."""
    words = iter([np.array([2**64 - 1], dtype=np.uint64), np.array([5], dtype=np.uint64)])
    monkeypatch.setattr(coins, "words", lambda count: next(words))
    assert coins.below(np.array([3])).tolist() == [2]


def test_words_are_fresh_and_fair() -> None:
    first, again = coins.words(50_000), coins.words(50_000)
    assert not (first == again).any()
    # Every bit is set as often as not: 6.5 standard deviations of 100,000 fair coins.
    both = np.concatenate([first, again])
    for place in range(64):
        ones = int((both >> np.uint64(place) & np.uint64(1)).sum())
        assert abs(ones - 50_000) < 6.5 * 100_000**0.5 / 2


def test_nothing_can_be_seeded() -> None:
    tree = ast.parse(Path(inspect.getfile(coins)).read_text(encoding="utf-8"))
    names = {
        node.attr if isinstance(node, ast.Attribute) else node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute | ast.Name)
    }
    assert "token_bytes" in names
    assert not names & {"seed", "random", "default_rng", "environ", "getenv"}
