"""How long a certificate takes, and that it stays exact, where very many tables differ in noise.

    .venv/bin/python benchmarks/certificate.py [--out FILE.json]

For plans of 1,050 queries (ε near 4 at δ = 10⁻⁵; of more kinds than that, one query a kind):
the distinct noises; ε by our own numpy curve, what it adds to the Gaussian closed form, and its
wall seconds; ε by dp-accounting and its wall seconds, up to 1,000 kinds and without the import.
Seconds are the best of three (dp-accounting: of one).
"""

import argparse
import json
import time
from fractions import Fraction
from pathlib import Path

from timing import timed

from secgen_dsl.privacy.events import ShiftedGaussian
from secgen_dsl.privacy.gdp import epsilon_for_mu
from secgen_dsl.privacy.pld import MOST_DISTINCT, epsilon_upper_bound
from secgen_dsl.privacy.second_opinion import second_epsilon

DELTA = Fraction(1, 10**5)
MU = Fraction(9249, 10_000)
QUERIES = 1050
KINDS = (1, 50, 200, 1000, MOST_DISTINCT)
MOST_FOR_SECOND = 1000


def plan_of(kinds: int) -> list[ShiftedGaussian]:
    """Tables whose variances, multiples of 1/16, spread over a factor of about 5."""
    queries = max(kinds, QUERIES)
    weights = [1000 + Fraction(k * 4001, kinds) for k in range(kinds)]
    counts = [queries // kinds + (k < queries % kinds) for k in range(kinds)]
    scale = sum(n / w for n, w in zip(counts, weights, strict=True)) / MU**2
    variances = [Fraction(-(-16 * scale * w // 1), 16) for w in weights]
    assert len(set(variances)) == kinds
    return [ShiftedGaussian(v, 1, n) for v, n in zip(variances, counts, strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="also write the figures as JSON")
    options = parser.parse_args()
    second_epsilon(plan_of(1), DELTA)  # imports it
    figures = []
    for kinds in KINDS:
        events = plan_of(kinds)
        mu = float(sum(event.mu_squared for event in events)) ** 0.5
        epsilon, seconds = timed(
            lambda events=events: epsilon_upper_bound(events, DELTA), 3, time.perf_counter
        )
        row = {
            "kinds": kinds,
            "epsilon": round(epsilon, 6),
            "above_gaussian": float(f"{epsilon - epsilon_for_mu(mu, float(DELTA)):.2g}"),
            "wall_s": seconds,
        }
        if kinds <= MOST_FOR_SECOND:
            second, seconds = timed(
                lambda events=events: second_epsilon(events, DELTA), 1, time.perf_counter
            )
            row |= {"second_epsilon": round(second, 6), "second_wall_s": seconds}
        print(json.dumps(row), flush=True)
        figures.append(row)
    if options.out:
        options.out.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
