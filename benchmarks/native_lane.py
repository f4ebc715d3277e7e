"""The native lane against MPyC's arrays, and the bulk sampler against opendp's: CPU and memory.

    python benchmarks/native_lane.py [--counts 10000 100000 1000000] [--no-peer]

One party's arithmetic for a round of so many counts: splitting its own vector, adding the shares of
all m, the checked opening.  The peer does the same with MPyC's numpy arrays (``np_random_split``,
array sums, ``np_recombine`` at every point).  Every line is measured in a process of its own; its
peak memory includes Python, the libraries and the counts, the figure in brackets does not.  Arrays
of all m shares and of all m sums are held at once.  No network.
"""

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secgen_dsl.ir.plan import MERSENNE_61

SIZES = [(3, 1), (5, 2)]
VARIANCES = [Fraction(4), Fraction(10_000), Fraction(10) ** 12]
COUNTS = [10_000, 100_000, 1_000_000]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--counts", type=int, nargs="+", default=COUNTS)
    parser.add_argument("--no-peer", action="store_true", help="skip MPyC and opendp")
    parser.add_argument("--one", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(*measured(*options.one))
        return
    peer = not options.no_peer
    print("CPU seconds a party; MB of memory at the peak (beyond what was there before)")
    heading = f"{'m':>2} {'t':>2} {'counts':>9}  {'lane':8}"
    print(f"{heading} {'split':>8} {'add':>8} {'open':>8} {'sum':>8} {'MB':>12} {'ratio':>6}")
    for parties, threshold in SIZES:
        for counts in options.counts:
            native = 0.0
            for lane in ("native", "mpyc")[: 1 + peer]:
                split, add, opened, peak, more = in_a_process(lane, parties, threshold, counts)
                total = split + add + opened
                native = native or total
                print(
                    f"{parties:>2} {threshold:>2} {counts:>9}  {lane:8} {split:8.4f} {add:8.4f} "
                    f"{opened:8.4f} {total:8.4f} {peak:6.0f} ({more:3.0f}) {total / native:6.1f}"
                )
    print("\nCPU seconds of Gaussian draws")
    print(f"{'sigma':>9} {'draws':>9} {'bulk':>8} {'opendp':>8} {'ratio':>6}")
    for variance in VARIANCES:
        for counts in options.counts:
            (bulk,) = in_a_process("bulk", variance, counts)
            line = f"{float(variance) ** 0.5:>9.0f} {counts:>9} {bulk:8.4f}"
            if peer:
                (theirs,) = in_a_process("opendp", variance, counts)
                line += f" {theirs:8.4f} {theirs / bulk:6.0f}"
            print(line)


def in_a_process(*words: object) -> list[float]:
    done = subprocess.run(
        [sys.executable, __file__, "--one", *map(str, words)],
        capture_output=True,
        text=True,
        check=True,
    )
    return [float(word) for word in done.stdout.split()]


def measured(lane: str, *words: str) -> tuple[float, ...]:
    if lane == "bulk":
        return (bulk_draws(Fraction(words[0]), int(words[1])),)
    if lane == "opendp":
        return (opendp_draws(Fraction(words[0]), int(words[1])),)
    return {"native": native_lane, "mpyc": mpyc_lane}[lane](*map(int, words))


def clocked(run: Callable[[], Any]) -> tuple[Any, float]:
    start = time.process_time()
    value = run()
    return value, time.process_time() - start


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def some_counts(counts: int) -> NDArray[np.int64]:
    return np.random.default_rng(counts).integers(-(2**20), 2**20, counts)


def native_lane(parties: int, threshold: int, counts: int) -> tuple[float, ...]:
    from secgen_dsl.runtime.shamir import add_into, open_shares, split

    values = some_counts(counts)
    before = peak_mb()
    shares, seconds_split = clocked(lambda: split(values, threshold, parties))

    def add() -> NDArray[np.uint64]:
        # All parties deal the same here, so that m times each share is that of the sum.
        total = shares[0].copy()
        for _ in range(parties - 1):
            add_into(total, shares[0])
        return total

    total, seconds_add = clocked(add)
    sums = [total]
    for share in shares[1:]:
        sums.append(share.copy())
        for _ in range(parties - 1):
            add_into(sums[-1], share)
    opened, seconds_open = clocked(lambda: open_shares(sums, threshold, "the benchmark"))
    assert np.array_equal(opened, parties * values)
    peak = peak_mb()
    return seconds_split, seconds_add, seconds_open, peak, peak - before


def mpyc_lane(parties: int, threshold: int, counts: int) -> tuple[float, ...]:
    from secgen_dsl.backends.mpyc.sharing import secure_field, start_mpyc

    start_mpyc(0, parties, threshold)
    from mpyc import thresha

    field = secure_field().field
    values = some_counts(counts)
    before = peak_mb()

    def split() -> list[NDArray[np.uint64]]:
        secret = field.array(values.astype(object) % MERSENNE_61)
        rows = thresha.np_random_split(field, secret, threshold, parties)
        return [row.astype(np.uint64) for row in rows]

    def total_of(share: NDArray[np.uint64]) -> NDArray[np.uint64]:
        total = field.array(share.astype(object))
        for _ in range(parties - 1):
            total = total + field.array(share.astype(object))
        elements: NDArray[np.uint64] = total.value.astype(np.uint64)
        return elements

    def opened(sums: list[NDArray[np.uint64]]) -> NDArray[np.int64]:
        rows = [row.astype(object) for row in sums]
        points = [(index + 1, rows[index]) for index in range(threshold + 1)]
        checked = list(range(threshold + 2, parties + 1))
        recombined = thresha.np_recombine(field, points, [0, *checked]).value
        for row, point in zip(recombined[1:], checked, strict=True):
            assert np.array_equal(row, rows[point - 1])
        found = recombined[0].astype(np.int64)
        return np.where(found > MERSENNE_61 // 2, found - MERSENNE_61, found)

    shares, seconds_split = clocked(split)
    total, seconds_add = clocked(lambda: total_of(shares[0]))
    sums = [total, *map(total_of, shares[1:])]
    result, seconds_open = clocked(lambda: opened(sums))
    assert np.array_equal(result, parties * values)
    peak = peak_mb()
    return seconds_split, seconds_add, seconds_open, peak, peak - before


def bulk_draws(variance: Fraction, counts: int) -> float:
    from secgen_dsl.runtime.gaussian import draw_gaussian

    return clocked(lambda: draw_gaussian(counts, variance))[1]  # its tables included


def opendp_draws(variance: Fraction, counts: int) -> float:
    from opendp.domains import atom_domain, vector_domain
    from opendp.measurements import make_gaussian
    from opendp.metrics import l2_distance
    from opendp.mod import enable_features

    enable_features("contrib")
    space = vector_domain(atom_domain(T="i64")), l2_distance(T=float)
    measurement = make_gaussian(*space, scale=float(variance) ** 0.5)
    nothing = [0] * counts
    return clocked(lambda: np.asarray(measurement(nothing)))[1]


if __name__ == "__main__":
    main()
