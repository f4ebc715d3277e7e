"""The distinguishing game: how well can the strongest attacker tell whether a person is there?

The attacker knows the plan, all other people, the noise of t parties and the opened sums, hence the
honest parties' noised sum.  What is sought is one person who is in one cell of every table: the
worst that the plan allows.  The attacker's best statistic is the log-likelihood ratio, and the
bound on μ needs no belief about it: any rule that is right too often refutes the claim.

Everything that makes the sums is the real thing: encoder, noise and map of
``queries.contribution``.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from secgen_dsl.ir.plan import GaussianNoise, Plan, Release
from secgen_dsl.ir.queries import Query
from secgen_dsl.queries.contribution import noised_contribution, raw_cells
from secgen_dsl.queries.maps import apply_map
from secgen_dsl.queries.table import SampleTable
from secgen_dsl.runtime.noise import NoiseSource
from tests.trials.studies import LABELS, query_of, some_people, with_people

FIRST_ALARM, CERTAIN_ALARM = 1e-3, 5e-10
SECOND_RUNS, SECOND_ALARM = 3_000, 5e-7


@dataclass(frozen=True)
class Games:
    """Log-likelihood ratios, one game for each run and sought person.

    Attributes:
        absent: shape (games, releases), of each release's sums, from runs without the person.
        present: the same from runs with the person.
        claimed: μ of each release by the plan, or ε where it is pure; shape (releases,).
        pure: the plan has Laplace noise.
    """

    absent: NDArray[np.float64]
    present: NDArray[np.float64]
    claimed: NDArray[np.float64]
    pure: bool = False

    def lower_bounds(self, promised: float, alarm: float) -> list[tuple[float, float]]:
        """(bound, claim) for the whole plan and for each release by itself.

        The whole first, against ``promised``.  A release that has too little noise may be a small
        part of the whole; noise that has gone missing from it then shows here only.

        Args:
            promised: μ, or ε, that the whole plan may have.
            alarm: probability that any of the bounds is wrong where all claims hold.
        """
        each = alarm / (1 + len(self.claimed))
        views = [(self.absent.sum(axis=1), self.present.sum(axis=1), promised)]
        views += [
            (self.absent[:, place], self.present[:, place], float(claim))
            for place, claim in enumerate(self.claimed)
        ]
        bound = epsilon_lower_bound if self.pure else mu_lower_bound
        return [(bound(absent, present, claim, each), claim) for absent, present, claim in views]


@dataclass(frozen=True)
class Target:
    """A sought person's mark on a release.

    Attributes:
        shift: what the person adds to the opened sums, A(x′) − A(x); shape (opened,).
        weights: Σ⁻¹·shift, Σ the covariance of A(z) with the variance that the plan claims.
    """

    shift: NDArray[np.float64]
    weights: NDArray[np.float64]

    @property
    def mu_squared(self) -> float:
        """What the person costs of μ² in this release, by the real encoder and map."""
        return float(self.shift @ self.weights)


def target_of(plan: Plan, release: Release, before: SampleTable, after: SampleTable) -> Target:
    """The mark of the people whom ``after`` has in addition to ``before``."""
    query = query_of(plan, release)
    shift = (
        exact_sums(plan, release, query, after) - exact_sums(plan, release, query, before)
    ).astype(np.float64)
    return Target(shift, weights_of(plan, release, shift))


def weights_of(plan: Plan, release: Release, shift: NDArray[np.float64]) -> NDArray[np.float64]:
    """Σ⁻¹·shift, Σ the covariance of A(z) with the Gaussian variance that the plan claims."""
    noise = release.noise
    if not isinstance(noise, GaussianNoise):
        raise ValueError(f"{release.query} has no Gaussian noise")
    if release.map == "identity":
        variances = np.full(shift.size, float(noise.variance))
        variances[shift.size - release.halved :] /= 2
        return shift / variances
    tables, labels, bins = plan.program.shape(query_of(plan, release))
    # A works on every table by itself; its matrix on one table, column by column.
    units = np.eye(labels * bins, dtype=np.int64).reshape(-1, 1, labels, bins)
    matrix = np.stack([apply_map(release.map, unit) for unit in units], axis=1).astype(np.float64)
    covariance = float(noise.variance) * matrix @ matrix.T
    weights: NDArray[np.float64] = np.linalg.solve(covariance, shift.reshape(tables, -1).T)
    return weights.T.reshape(-1)


def exact_sums(plan: Plan, release: Release, query: Query, table: SampleTable) -> NDArray[np.int64]:
    """A(x) of one table of people."""
    return apply_map(release.map, raw_cells(plan.program, query, table))


def play(plan: Plan, source: Callable[[], NoiseSource], runs: int) -> Games:
    """``runs`` runs in each world.

    One person is sought in each label cell: their rows share no noise, so these games are
    independent.  Run k has the persons whose bit of k is set, so that every game is played in
    both worlds beside the same others.

    Args:
        plan: of the twenty-gene study, or one with its program.
        source: a fresh source for every party; t of the m parties collude, and their noise is
            known, so that only m − t draw.
        runs: of each world.
    """
    honest = plan.parties[: len(plan.parties) - plan.threshold]
    silo, others = some_people(30, 1), some_people(30, 2)
    values = np.array([3.0, 10.0, 17.0] * 7)[:20]  # every bin, in some gene
    present = [
        with_people(silo, [label for place, label in enumerate(LABELS) if k >> place & 1], values)
        for k in range(2 ** len(LABELS))
    ]
    marks = [
        {
            query_of(plan, release).id: target_of(plan, release, silo, present[1 << place])
            for release in plan.releases()
        }
        for place in range(len(LABELS))
    ]
    known = {
        query_of(plan, release).id: sum(
            exact_sums(plan, release, query_of(plan, release), table) for table in (silo, others)
        )
        for release in plan.releases()
    }
    sources = [source() for _ in honest]
    ratios: dict[bool, list[list[float]]] = {False: [], True: []}
    for k in range(2 * runs):
        world = k % len(present)
        tables = [present[world], *([others] * (len(honest) - 1))]
        noised = [
            noised_contribution(plan, one_round, table, noise)
            for one_round in plan.rounds
            for table, noise in zip(tables, sources, strict=True)
        ]
        for place, mark in enumerate(marks):
            parts = []
            for name, target in mark.items():
                seen = sum(y[name] for y in noised if name in y) - known[name]
                parts.append(float(target.weights @ (seen - target.shift / 2)))
            ratios[bool(world >> place & 1)].append(parts)
    claims = [
        release.noise.sensitivity_squared / release.noise.variance for release in plan.releases()
    ]
    return Games(
        absent=np.array(ratios[False]),
        present=np.array(ratios[True]),
        claimed=np.array([float(claim) ** 0.5 for claim in claims]),
    )


def mu_lower_bound(
    absent: NDArray[np.float64], present: NDArray[np.float64], claimed: float, alarm: float
) -> float:
    """A lower bound on μ, wrong with probability at most ``alarm`` if μ-GDP holds.

    Three rules fixed beforehand (Bonferroni), each bounded by Clopper and Pearson:

    - "present if the ratio is ≥ 0" is right in at most Φ(μ/2) of balanced games.  (The number of
      right answers is a sum of unlike coins; its tail is below the binomial one, Hoeffding 1956.)
    - two rules of few false alarms, and of few misses: Φ⁻¹(TPR) − Φ⁻¹(FPR) ≤ μ.

    Power: with n games a world the first bound lies about 3.7·1.8/√n below the true μ at an alarm
    of 10⁻³ for three bounds, which is .15 at n = 2,000.
    """
    from scipy.stats import norm

    each = alarm / 3
    right = int((absent < 0).sum() + (present >= 0).sum())
    bounds = [2 * norm.ppf(_at_least(right, len(absent) + len(present), each))]
    for cut in (1.645 * claimed, -1.645 * claimed):
        threshold = cut + (-1 if cut > 0 else 1) * claimed**2 / 2
        found = _at_least(int((present >= threshold).sum()), len(present), each / 2)
        alarms = 1 - _at_least(int((absent < threshold).sum()), len(absent), each / 2)
        bounds.append(norm.ppf(found) - norm.ppf(alarms))
    return max(0.0, *map(float, bounds))


def epsilon_lower_bound(
    absent: NDArray[np.float64], present: NDArray[np.float64], claimed: float, alarm: float
) -> float:
    """A lower bound on ε, wrong with probability at most ``alarm`` if ε-DP holds.

    Four events fixed beforehand: the ratio is at least 0, or at least half of the claim, and the
    same the other way round.  Each has at most e^ε times the probability in the other world;
    both are bounded by Clopper and Pearson.
    """
    bounds = [0.0]
    for likely, other in ((present, absent), (-absent, -present)):
        for cut in (0.0, claimed / 2):
            seen = _at_least(int((likely >= cut).sum()), len(likely), alarm / 8)
            unlikely = 1 - _at_least(int((other < cut).sum()), len(other), alarm / 8)
            if seen > 0:
                bounds.append(float(np.log(seen / unlikely)))
    return max(bounds)


def _at_least(successes: int, trials: int, alarm: float) -> float:
    """Clopper and Pearson's lower bound on a probability."""
    from scipy.stats import beta

    return float(beta.ppf(alarm, successes, trials - successes + 1)) if successes else 0.0


@dataclass(frozen=True)
class Verdict:
    """What the games say of a plan.

    Attributes:
        refuted: whether some claim fails.
        bound: lower bound on the whole plan's μ.
        bounds: (bound, claim) of the whole plan and of each release, from the last stage.
    """

    refuted: bool
    bound: float
    bounds: tuple[tuple[float, float], ...]


def judge(games: Games, promised: float, alarm: float) -> Verdict:
    """Whether any bound exceeds its claim; false with probability at most ``alarm``."""
    bounds = games.lower_bounds(promised, alarm)
    return Verdict(any(bound > claim for bound, claim in bounds), bounds[0][0], tuple(bounds))


def trial(promised: float, play_runs: Callable[[int], Games], first_runs: int) -> Verdict:
    """Play, and play again what looks wrong.

    What the first runs refute at the alarm 5·10⁻¹⁰ is refuted.  What they flag at 10⁻³ is tried
    again with at least 3,000 fresh runs a world at 5·10⁻⁷.  True claims are refuted with
    probability at most 10⁻⁹.
    """
    games = play_runs(first_runs)
    certain = judge(games, promised, CERTAIN_ALARM)
    if certain.refuted:
        return certain
    verdict = judge(games, promised, FIRST_ALARM)
    if not verdict.refuted:
        return verdict
    return judge(play_runs(max(first_runs, SECOND_RUNS)), promised, SECOND_ALARM)
