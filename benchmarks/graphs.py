"""The fit of columns beside Private-PGM's, and its time beside what `secgen plan` predicts.

    .venv/bin/python benchmarks/graphs.py [--out FILE.json]

Seconds of one core for the fit of random graphs of columns, and of large ones, beside the seconds
predicted from their public sizes.  Run with OMP_NUM_THREADS=1, so that threads that wait for each
other do not count.

    OTHER/bin/python benchmarks/graphs.py --mbi [--out tests/fixtures/mbi.json]

The same noisy tables fitted by mbi 2 in float64, in an environment that holds both (`pip install -e
. 'mbi>=2,<3'`: 82 MB to fetch and 370 MB on disk, nearly all of it jaxlib, which is why
secgen's own environment has no mbi).  The joints that it finds are what the tests compare with.

One core of a busy machine: 26 of 28 predictions are right within a factor of four, among them all
of the nine of half a second or more (at most 3.7 times too long, 1.8 times too short; a loop of
four columns of 40 values takes 76 s).  The other two are fits of .2 s predicted as .03 s.  The time
depends on the noise: a second loop of that size, of precisions far apart, took 142 s.  With mbi
2.0.0: the 16 joints differ by at most .0062 people in any cell, ½χ² by at most .0018.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from itertools import cycle
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from secgen_dsl.planner.fit_time import column_model
from secgen_dsl.synthesis.consistency import estimate_people, fit_tables
from secgen_dsl.synthesis.measured import CategoryCounts
from tests.synthesis.graphs import GRAPHS, noisy, scattered
from tests.synthesis.joint import misfit
from tests.synthesis.studies import column, marginal, program

RANDOM = {
    "pairs of 6 columns": (6, 4, 8, 800, 100.0, 2),
    "triples of 8 columns": (8, 5, 12, 800, 400.0, 3),
    "triples of 12 columns": (12, 4, 16, 300, 2000.0, 3),
    "triples of 10 larger columns": (10, 8, 14, 1000, 100.0, 3),
    "pairs of 20 columns": (20, 3, 30, 1000, 400.0, 2),
}
LARGE = {
    "triangle": (30, ["ab", "bc", "ac"], (25.0,)),
    "triangle and a leaf": (20, ["ab", "bc", "ac", "cd"], (25.0,)),
    "larger triangle and a leaf": (30, ["ab", "bc", "ac", "cd"], (25.0,)),
    "loop of four": (40, ["ab", "bc", "cd", "da"], (25.0,)),
    "chain of 300": (4, [(f"c{i}", f"c{i + 1}") for i in range(299)], (25.0,)),
    "star of 200": (4, [("c0", f"c{i}") for i in range(1, 200)], (25.0,)),
    "six columns, precisions apart": (
        25,
        ["ab", "bc", "ac", "cd", "de", "ce", "ef"],
        (4.0, 400.0, 40.0, 100.0, 9.0, 200.0, 1.0),
    ),
    "triangle of a million cells": (100, ["ab", "bc", "ac"], (25.0,)),
}


def large(
    values: int, sets: Sequence[Sequence[str]], variances: Sequence[float]
) -> tuple[dict[str, int], list[CategoryCounts]]:
    """Tables of 1,000 people in three classes, of these variances in turn."""
    rng = np.random.default_rng(1)
    sizes = dict.fromkeys((name for own in sets for name in own), values)
    classes = rng.integers(0, 3, 1000)
    codes = {}
    for name in sizes:
        upper = rng.dirichlet(np.full(values, 0.4), 3).cumsum(axis=1)[classes][:, :-1]
        codes[name] = (rng.random(1000)[:, None] > upper).sum(axis=1)
    tables = []
    for own, variance in zip(sets, cycle(variances), strict=False):
        counts = np.zeros([values] * len(own))
        np.add.at(counts, tuple(codes[name] for name in own), 1)
        counts += rng.normal(0, variance**0.5, counts.shape)
        tables.append(CategoryCounts(tuple(own), counts.ravel(), variance))
    return sizes, tables


def studies() -> Iterator[tuple[str, dict[str, int], list[CategoryCounts]]]:
    for name, shape in RANDOM.items():
        for seed in range(4):
            yield f"{name}, {seed}", *scattered(*shape, seed)
    for name, (values, sets, variances) in LARGE.items():
        yield name, *large(values, sets, variances)


def times() -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    pairs = []
    for name, sizes, tables in studies():
        columns = [column(n, *(str(v) for v in range(k))) for n, k in sizes.items()]
        model = column_model(program(columns, [marginal(t.columns) for t in tables]))
        assert model is not None
        start = time.process_time()
        fit_tables(sizes, [], tables)
        taken = time.process_time() - start
        print(f"{name:34} {model.cells:9,} cells  {taken:8.3f} s  predicted {model.seconds:8.3f}")
        pairs.append((model.seconds, taken))
        found.append(
            {"graph": name, "cells": model.cells, "seconds": taken, "predicted": model.seconds}
        )
    for least in (0.0, 0.5):
        ratios = [float(p / s) for p, s in pairs if max(p, s) >= least]
        within = [sum(1 / k <= r <= k for r in ratios) for k in (2, 4)]
        print(
            f"of {len(ratios)} that take or should take {least} s or more: {within[0]} within a "
            f"factor of 2, {within[1]} of 4; greatest {max(ratios):.2g}, least {min(ratios):.2g}"
        )
    return found


def beside_mbi() -> dict[str, object]:
    import jax

    jax.config.update("jax_enable_x64", True)
    from mbi import Domain, LinearMeasurement, estimation

    joints = {}
    for graph, sets in GRAPHS.items():
        for seed in (1, 2):
            sizes, tables = noisy(sets, seed)
            people = estimate_people(tables)
            start = time.perf_counter()
            model = estimation.MirrorDescent().estimate(
                Domain(list(sizes), list(sizes.values())),
                [LinearMeasurement(t.counts, t.columns, t.variance**0.5) for t in tables],
                known_total=people,
                iters=10_000,
            )
            theirs = np.asarray(model.project(tuple(sizes)).datavector(flatten=False))
            between = time.perf_counter()
            tree, fitted, _ = fit_tables(sizes, [], tables)
            ours = tree.marginal(fitted, list(sizes)) * people
            end = time.perf_counter()
            print(
                f"{graph:22} {seed}  ½χ² {misfit(sizes, ours, tables):8.4f}, mbi "
                f"{misfit(sizes, theirs, tables):8.4f}; cells differ by at most "
                f"{np.abs(ours - theirs).max():.4f} people; {end - between:.2f} s, mbi "
                f"{between - start:.2f} s"
            )
            joints[f"{graph} {seed}"] = {
                "people": round(people, 6),
                "cells": [round(float(value), 5) for value in theirs.ravel()],
            }
    return {
        "by": f"benchmarks/graphs.py --mbi: mbi {version('mbi')}, MirrorDescent, 10,000 steps, "
        "float64; cells in people, in the order of the graph's columns",
        "joints": joints,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--mbi", action="store_true")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    found = beside_mbi() if options.mbi else times()
    if options.out is not None:
        options.out.write_text(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
