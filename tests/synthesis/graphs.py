"""Graphs of columns with noisy tables: what fits are compared on, here and with mbi.

``benchmarks/graphs.py`` writes ``tests/fixtures/mbi.json`` from them.
"""

from collections.abc import Sequence
from math import prod

import numpy as np

from secgen_dsl.synthesis.consistency import connected_columns
from secgen_dsl.synthesis.measured import CategoryCounts

from .joint import table

GRAPHS = {
    "star": ["ab", "ac", "ad", "ae"],
    "chain": ["ab", "bc", "cd", "de"],
    "chain of triples": ["abc", "bcd", "cde"],
    "triangle": ["ab", "bc", "ac"],
    "two triangles": ["ab", "bc", "ac", "bd", "cd"],
    "loop of four": ["ab", "bc", "cd", "da"],
    "loop of five": ["ab", "bc", "cd", "de", "ea"],
    "tables within tables": ["abc", "a", "bc", "cd", "d", "ce", "dce"],
}
LOOPS = ("triangle", "two triangles", "loop of four", "loop of five")
SIZES = {"a": 3, "b": 2, "c": 3, "d": 2, "e": 3}


def noisy(sets: Sequence[str], seed: int) -> tuple[dict[str, int], list[CategoryCounts]]:
    """Few people and much noise: many counts are negative, and tables clash."""
    rng = np.random.default_rng(seed)
    sizes = {n: k for n, k in SIZES.items() if any(n in s for s in sets)}
    truth = rng.dirichlet(np.full(prod(sizes.values()), 0.2)).reshape(tuple(sizes.values())) * 150
    tables = []
    for columns in sets:
        variance = float(rng.uniform(4, 200))
        summed = tuple(i for i, name in enumerate(sizes) if name not in columns)
        counts = truth.sum(axis=summed)
        own = "".join(name for name in sizes if name in columns)
        noise = rng.normal(0, variance**0.5, counts.shape)
        tables.append(table(own, counts + noise, variance))
    return sizes, tables


def scattered(
    columns: int, values: int, tables: int, people: int, greatest: float, arity: int, seed: int
) -> tuple[dict[str, int], list[CategoryCounts]]:
    """Random tables that connect most of some columns, of people in three classes.

    Args:
        columns: to draw tables from.
        values: greatest number of a column, at least 2.
        tables: distinct sets of columns.
        people: in all.
        greatest: variance; variances lie between 1 and it, evenly on a logarithmic scale.
        arity: greatest number of columns of a table.
        seed: of everything.
    """
    rng = np.random.default_rng(seed)
    names = [f"c{number}" for number in range(columns)]
    sizes = {name: int(rng.integers(2, values + 1)) for name in names}
    sets: dict[tuple[str, ...], None] = {}
    while len(sets) < tables:
        size = int(rng.integers(1, arity + 1))
        sets[tuple(sorted(str(name) for name in rng.choice(names, size, replace=False)))] = None
    connected = set(max(connected_columns(list(sets)), key=len))
    held = {name: size for name, size in sizes.items() if name in connected}
    classes = rng.integers(0, 3, people)
    codes = {}
    for name, size in held.items():
        upper = rng.dirichlet(np.full(size, 0.4), 3).cumsum(axis=1)[classes][:, :-1]
        codes[name] = (rng.random(people)[:, None] > upper).sum(axis=1)
    found = []
    for own in sets:
        if not set(own) <= connected:
            continue
        variance = float(np.exp(rng.uniform(0, np.log(greatest))))
        counts = np.zeros([held[name] for name in own])
        np.add.at(counts, tuple(codes[name] for name in own), 1)
        noise = rng.normal(0, variance**0.5, counts.shape)
        found.append(table(own, counts + noise, variance))
    return held, found
