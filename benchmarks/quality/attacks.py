"""Membership attacks on runs with noise and without, beside the bound of the certified guarantee.

    .venv/bin/python -m benchmarks.quality.attacks brca --out benchmarks/quality/results/attacks.csv

A third of the silos' people take part, a third does not, and the attacker knows the last third with
all their data.  Three attacks: the likelihood ratio of marginals and the density ratio (DOMIAS) see
the synthetic rows; the third sees all opened values and knows the plan.  It is the likelihood ratio
of sums of normal vectors: with x a person's own contribution, μ and Σ the mean and covariance of
contributions (of the people that the attacker knows, shrunk as Ledoit and Wolf do), y the opened
sums of n people and I their noise, (x − μ)ᵀ(nΣ + I)⁻¹(y − nμ).  (Homer et al., PLoS Genet. 4 (2008)
e1000167, and Dwork et al., FOCS 2015, with the covariance.)  An attack is evidence only where the
same attack succeeds on the run without noise.
"""

import argparse
import csv
import tempfile
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.covariance import LedoitWolf

from benchmarks.quality.studies import STUDIES, Study
from secgen_dsl.backends.plaintext.backend import run_plaintext
from secgen_dsl.cli.study import PlannedStudy, plan_spec
from secgen_dsl.describe.odds import flagged
from secgen_dsl.evaluation.attacks import Attack, attack_all
from secgen_dsl.ir.plan import Measurements, Release
from secgen_dsl.ir.queries import SecondMoment, VectorSum
from secgen_dsl.privacy.bound import compose
from secgen_dsl.queries.vectors import clipped_vectors
from secgen_dsl.synthesis.synthesize import synthesize

MEASURE = "moments genes by label in factors from elsewhere"
EPSILONS = ("1", "4", "10")
SEEDS = (1, 2, 3)
FALSE_ALARMS = (0.01, 0.1)
FIELDS = (
    "study", "attack", "epsilon", "seed", "auc", "p_value", "tpr_at_1", "tpr_at_10",
    "bound_at_1", "bound_at_10",
)  # fmt: skip

Floats = NDArray[np.float64]


class NoNoise:
    """What no installed command can use: a run that protects nobody."""

    def draw(self, _marginal: str, cells: int, _variance: Fraction) -> NDArray[np.int64]:
        return np.zeros(cells, dtype=np.int64)

    def draw_polya(
        self, _marginal: str, cells: int, _scale: Fraction, _parts: int
    ) -> NDArray[np.int64]:
        return np.zeros(cells, dtype=np.int64)


def contributions(planned: PlannedStudy, study: Study, people: pd.DataFrame) -> Floats:
    """What each person adds to the opened sums, over the noise's deviation; (people, values)."""
    program = planned.plan.program
    # All in one silo: order is kept, and the others are empty.
    silo = study.silos[0]
    table = study.tables(program, people.assign(silo=silo))[silo]
    first = study.genes[0]
    if not np.array_equal(table.expression[first], people[first].to_numpy(dtype=float)):
        raise ValueError("the reader changed the order of the rows")
    codes = study.codes(people)
    parts = []
    for release in planned.plan.releases():
        query = planned.plan.query(release.query)
        if isinstance(query, VectorSum):
            vectors = clipped_vectors(program, query, table).astype(float)
        elif isinstance(query, SecondMoment):
            scores = next(
                one
                for one in map(planned.plan.query, (r.query for r in planned.plan.releases()))
                if isinstance(one, VectorSum) and one.content == "scores"
            )
            own = clipped_vectors(program, scores, table).astype(float)
            first, second = np.triu_indices(query.coordinates, 1)
            vectors = np.concatenate([own**2, own[:, first] * own[:, second]], axis=1)
        else:
            vectors = np.ones((len(people), 1))
        if not isinstance(query, SecondMoment) and query.columns:
            placed = np.zeros((len(people), len(study.labels), vectors.shape[1]))
            placed[np.arange(len(people)), codes] = vectors
            vectors = placed.reshape(len(people), -1)
        parts.append(vectors / deviations(planned, release))
    return np.concatenate(parts, axis=1)


def opened_sums(planned: PlannedStudy, measurements: Measurements) -> Floats:
    """The opened values in the order of ``contributions``, over the noise's deviation."""
    parts = [
        np.array(measurements.values(release.query), dtype=float) / deviations(planned, release)
        for release in planned.plan.releases()
    ]
    return np.concatenate(parts)


def deviations(planned: PlannedStudy, release: Release) -> Floats:
    """Of the released noise on each opened value; the last ``halved`` have half of the variance."""
    found = np.full(release.opened, float(planned.plan.released_variance(release)) ** 0.5)
    found[release.opened - release.halved :] /= 2.0**0.5
    return found


def attacks(
    planned: PlannedStudy, study: Study, members: pd.DataFrame, others: pd.DataFrame,
    known: pd.DataFrame, measurements: Measurements, noise: float, seed: int,
) -> list[Attack]:  # fmt: skip
    """Every attack on one run; ``noise`` is the variance of the sums in units of the plan's."""
    samples = synthesize(
        planned.plan,
        measurements,
        planned.public_files,
        len(members),
        np.random.default_rng(seed),
    )
    genes = [gene.symbol for gene in samples.genes]
    synthetic = samples.values[:, [genes.index(gene) for gene in study.genes]]

    def labels(rows: pd.DataFrame) -> NDArray[np.str_]:
        return rows["label"].to_numpy(dtype=np.str_)

    found = attack_all(
        study.values(members),
        labels(members),
        study.values(others),
        labels(others),
        synthetic,
        samples.labels("label"),
        study.values(known),
        labels(known),
    )
    own, rest, shadow = (contributions(planned, study, p) for p in (members, others, known))
    centre = shadow.mean(axis=0)
    above = opened_sums(planned, measurements) - len(members) * centre
    spread = len(members) * LedoitWolf().fit(shadow).covariance_
    direction = np.linalg.solve(spread + noise * np.eye(len(above)), above)
    scores = Attack("opened values", (own - centre) @ direction, (rest - centre) @ direction)
    return [*found, scores]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", choices=list(STUDIES))
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    study = STUDIES[options.study]()
    with options.out.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, FIELDS)
        writer.writeheader()
        for epsilon in (*EPSILONS, "no noise"):
            with tempfile.TemporaryDirectory() as name:
                budget = EPSILONS[0] if epsilon == "no noise" else epsilon
                planned = plan_spec(study.lay_out(Path(name), budget, MEASURE))
            bare = epsilon == "no noise"
            bound = (1.0, 1.0) if bare else flagged(compose(planned.plan), FALSE_ALARMS)
            for seed in SEEDS:
                chosen = np.random.default_rng(seed).permutation(len(study.people))
                members, others, known = (study.people.iloc[chosen[k::3]] for k in range(3))
                tables = study.tables(planned.plan.program, members)
                silent = {party: NoNoise() for party in planned.plan.parties}
                measurements = run_plaintext(planned.plan, tables, silent if bare else None)
                noise = 1e-3 if bare else 1.0
                for one in attacks(
                    planned, study, members, others, known, measurements, noise, seed
                ):
                    writer.writerow(
                        {
                            "study": options.study,
                            "attack": one.name,
                            "epsilon": epsilon,
                            "seed": seed,
                            "auc": f"{one.auc:.4f}",
                            "p_value": f"{one.p_value:.3g}",
                            "tpr_at_1": f"{one.flagged(FALSE_ALARMS[0]):.4f}",
                            "tpr_at_10": f"{one.flagged(FALSE_ALARMS[1]):.4f}",
                            "bound_at_1": f"{bound[0]:.4f}",
                            "bound_at_10": f"{bound[1]:.4f}",
                        }
                    )
                file.flush()


if __name__ == "__main__":
    main()
