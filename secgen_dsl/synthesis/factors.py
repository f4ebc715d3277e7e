"""Class means and co-expression of a panel, from moments with known noise and a public reference.

With K factor scores f of a person's standardised genes, moments give noisy sums of f by label, a
noisy second moment of f, and noisy sums of the genes.  The model is

    genes = mean of the label cell + loadings·factors + residual,     all normal.

1. *Means of scores.*  ``μ_l = a + d_l`` with ``a ~ N(0, αΛ)``, how the cohort differs from the
   reference, and ``d_l ~ N(0, κΛ)``, how a label differs from the cohort; Λ are the factors'
   public variances: labels differ along the lines along which people differ.  α and κ are those of
   largest marginal likelihood, deviations keep their true size on average (as in ``shrinkage``).
2. *Unlabelled public people help.*  The reference's own scores are a mixture of the same classes
   in unknown shares: what the noisy means say of who belongs to which class, and what the public
   people then say of the means, are iterated (EM: Dempster, Laird, Rubin, J. R. Statist. Soc. B 39
   (1977) 1; labelled and unlabelled data: Nigam et al., Machine Learning 39 (2000) 103).  A public
   person counts as .1 of a patient, for the reference is another population, of which a shift is
   estimated too.
   *Labelled public people* (a reference that is ``labelled by`` the moments' columns) are a second
   observation of ``μ_l``: their means are N(μ_l − b, τΛ + W/n_l), b ~ N(0, βΛ) how the populations
   differ, τ how labels differ between them, W the variance within labels.  β and τ are those of
   largest marginal likelihood of the differences between patients' and public means.  *Beyond the K
   factors* patients say nothing of labels: their differences are those of the n_l labelled people,
   times n_l/(n_l + 30) and 1 − τ/2κ, at least 0; public labels differ by κΛ along the factors.
3. *Covariance within labels*: second moment, shrunk to the public one entry by entry (a normal
   prior of the scale of largest marginal likelihood), less the means' part; eigenvalues relative
   to the public ones are kept above ``_LEAST_PART``.
4. *Beyond the K factors* budget is spent on means only.  Covariance is the reference's, shrunk to
   its diagonal as its own sampling error asks (Schäfer, Strimmer, Statist. Appl. Genet. Mol. Biol.
   4 (2005) 32).  Means are shrunk along the reference's axes, with one scale.
5. What the factors explain less of a gene than among public people is its own part: components of
   few people are partly chance, and others hardly vary along them.
6. Clipping shortens long vectors.  How much that takes from each score is known for public people,
   and made up for.

All of it is post-processing.  With little noise means and second moment of scores tend to the
measured ones, whatever the reference.
"""

from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from secgen_dsl.ir.learned import WITHIN
from secgen_dsl.ir.vectors import GREATEST_DEVIATION, LOADING_ONE
from secgen_dsl.public.labels import UNLABELLED
from secgen_dsl.synthesis.decoding import BinCurve, bin_curve
from secgen_dsl.synthesis.measured import Floats, MomentSums
from secgen_dsl.synthesis.model import FactorModel
from secgen_dsl.synthesis.shrinkage import MAX_REFERENCE_ROWS

_SCALES = (0.0, *(10.0 ** (power / 8) for power in range(-24, 5)))
"""Candidates for α and κ, in public variances."""

_PUBLIC_WEIGHT = 0.1
_ROUNDS = 40
_LEAST_PART = 0.15
"""Of a factor's public variance, what is left of it within labels at least."""

_LEAST_UNIQUE = 0.02
"""Of a gene's public variance, what no factor explains at least."""

_NORMAL_KNOTS = 200

_PART_OF_SETS = 0.4
"""Variance of a gene as a part of a gene set's factor: genes of a set vary together."""

_LEAST_VARIANCE = 1e-4
"""Of scores without a reference, in units of the panel's scale squared."""

_PEOPLE_OF_PRIOR = 30.0
"""As many people's worth of no difference are there between labels beyond the factors."""

_SHIFT_SCALE = 0.02
"""Of how far the reference's classes lie from the cohort's, in public variances."""


@dataclass(frozen=True)
class PublicFactors:
    """What is known without patients, in public standard deviations.

    Attributes:
        lift: shape (K, genes): from scores to genes.
        divisors: shape (K,): scores were divided by them before they were clipped.
        variances: shape (K,), Λ > 0.
        scores: shape (people, K), of the reference; no people without one.
        cells: shape (people,), their label cells, ``UNLABELLED`` where they are not known.
        axes: shape (rest, genes): orthonormal, of what the factors leave of the reference.
        spread: shape (rest,), their variances, > 0.
        kept: shrunk covariances of the rest as a part of the reference's, 0..1.
        beyond: shape (L, genes): how labelled people differ from the mean in what factors leave,
            shrunk; 0 where that is not known.
        gene_variance: mean variance of a gene.
    """

    lift: Floats
    divisors: Floats
    variances: Floats
    scores: Floats
    cells: NDArray[np.int64]
    axes: Floats
    spread: Floats
    kept: float
    beyond: Floats
    gene_variance: float = 1.0


def describe_factors(
    sums: MomentSums, reference: Floats, cells: NDArray[np.int64] | None = None
) -> PublicFactors:
    """The public side of moments.

    Args:
        sums: whose query has loadings and scale.
        reference: shape (people, genes), in the panel's unit, NaN where missing; may have no
            people.
        cells: shape (people,), label cells of the moments, ``UNLABELLED`` where a person's is not
            known; None: of nobody.
    """
    query = sums.query
    loadings = np.array(query.loadings, dtype=np.float64) / LOADING_ONE
    divisors = np.array([float(one) for one in query.divisors])
    variances = np.array([float(one) for one in query.variances])
    lift = np.asarray(np.linalg.pinv(loadings).T, dtype=np.float64)
    chosen = np.unique(
        np.linspace(0, len(reference) - 1, min(len(reference), MAX_REFERENCE_ROWS)).astype(int)
    )
    centres = np.array([float(one) for one in query.standard.centres])
    scales = np.array([float(one) for one in query.standard.scales])
    values = np.nan_to_num((reference[chosen] - centres) / scales)
    values = values.clip(-GREATEST_DEVIATION, GREATEST_DEVIATION)
    scores = values @ loadings.T
    known = np.full(len(chosen), UNLABELLED) if cells is None else cells[chosen]
    rest = values - scores @ lift
    people = len(values)
    beyond = np.zeros((len(sums.scores), loadings.shape[1]))
    if people < 3:
        axes, spread = np.zeros((0, loadings.shape[1])), np.zeros(0)
        return PublicFactors(
            lift, divisors, variances, scores, known, axes, spread, kept=0.0, beyond=beyond
        )
    rest -= rest.mean(axis=0)
    labelled = known != UNLABELLED
    means, sizes = _label_means(rest[labelled], known[labelled], len(beyond))
    if (sizes > 0).sum() > 1:
        apart = means - rest[labelled].mean(axis=0)
        beyond = apart * (sizes / (sizes + _PEOPLE_OF_PRIOR))[:, None]
        rest[labelled] -= beyond[known[labelled]]  # their covariance within labels is left
        rest -= rest.mean(axis=0)
    squares, sides = np.linalg.eigh(rest @ rest.T)
    held = squares > 1e-8 * max(float(squares[-1]), 1.0)
    axes = (sides[:, held] / np.sqrt(squares[held])).T @ rest
    return PublicFactors(
        lift=lift,
        divisors=divisors,
        variances=variances,
        scores=scores,
        cells=known,
        axes=axes,
        spread=squares[held] / (people - 1),
        kept=_kept_part(rest),
        beyond=beyond,
    )


def _label_means(
    values: Floats, cells: NDArray[np.int64], labels: int
) -> tuple[Floats, NDArray[np.int64]]:
    """Means of labelled people, shape (L, columns), 0 where there are none; how many each has."""
    sizes = np.bincount(cells, minlength=labels)
    sums = np.zeros((labels, values.shape[1]))
    np.add.at(sums, cells, values)
    return sums / np.maximum(sizes, 1)[:, None], sizes


def fit_factors(
    sums: MomentSums, shares: Floats, people: float, public: PublicFactors
) -> FactorModel:
    """The factor model of one panel's moments.

    Args:
        sums: noisy.
        shares: shape (L,): fitted, of the label cells of the moments; sum to 1.
        people: fitted number of people, ≥ 1.
        public: of the same moments.
    """
    # A cell with less than one person has no mean to speak of.
    cell_people = np.maximum(shares * people, 1.0)
    unclipped = _unclipped(sums, public)
    units = public.divisors * unclipped
    observed = sums.scores / cell_people[:, None] * units
    noise = sums.scores_variance / cell_people[:, None] ** 2 * units**2
    centre = np.zeros(units.size)
    moment = sums.products * np.outer(units, units) / people
    if not len(public.scores):
        centre, public = _without_reference(sums, people, public)
        observed = observed - centre
        moment -= np.outer(centre, centre)
    second = _second_moment(moment, sums, people, public, units)
    observed, noise, slope = _joined_with_labelled(observed, noise, public)
    means = _class_means(observed, noise, shares, second, public)
    within = _within(means, shares, second, public.variances)
    rest = _rest_of_means(sums, people, public) + slope * _centred(public.beyond, shares)
    return _assembled(sums, shares, means + centre, within, rest, public)


def moment_curve(
    sums: MomentSums, model: FactorModel, gene: int, reference: Floats | None
) -> BinCurve:
    """A gene's values by quantile, 0..1: the reference's shape, with the model's mean and spread.

    Args:
        sums: the moments.
        model: fitted to them.
        gene: position in both.
        reference: finite values in the reference, or None: the shape is normal.
    """
    mean, deviation = (float(of[0]) for of in model.pooled([gene]))
    standard = sums.query.standard
    centre, scale = float(standard.centres[gene]), float(standard.scales[gene])
    shape = ndtri((np.arange(_NORMAL_KNOTS) + 0.5) / _NORMAL_KNOTS)
    if reference is not None and reference.size > 2 and np.ptp(reference) > 0:
        shape = (reference - reference.mean()) / reference.std()
    values = centre + scale * (mean + deviation * shape)
    return bin_curve(np.zeros(0), float(sums.panel.low), float(sums.panel.high), values)


def _kept_part(rest: Floats) -> float:
    """1 − Σ var(r)/Σ r² over pairs of genes; shape of ``rest``: (people, genes), centred."""
    people = len(rest)
    deviations = np.sqrt((rest**2).mean(axis=0))
    standard = rest / np.where(deviations > 0, deviations, 1.0)
    genes = float((deviations > 0).sum())
    gram = standard @ standard.T / people
    # Σ r² over all pairs, from the people's side: ‖ZᵀZ‖ = ‖ZZᵀ‖.
    total = float((gram**2).sum()) - genes
    error = (genes**2 - genes) / people  # var(r) ≈ 1/n where r is small
    return float(np.clip(1 - error / total, 0.0, 1.0)) if total > 0 else 0.0


def _unclipped(sums: MomentSums, public: PublicFactors) -> Floats:
    """By what clipped scores are too short, shape (K,), ≥ 1: of public people."""
    if len(public.scores) < 3:
        return np.ones(public.divisors.size)
    divided = public.scores / public.divisors
    norms = np.maximum(np.linalg.norm(divided, axis=1, keepdims=True), 1e-9)
    clipped = divided * np.minimum(1.0, sums.clip / norms)
    ratio = (divided**2).sum(axis=0) / np.maximum((clipped**2).sum(axis=0), 1e-9)
    longer: Floats = np.sqrt(np.clip(ratio, 1.0, 4.0))
    return longer


def _without_reference(
    sums: MomentSums, people: float, public: PublicFactors
) -> tuple[Floats, PublicFactors]:
    """The scores' mean, shape (K,), and in place of public variances their own mean variance.

    Where nothing public is known, all else is seen from the mean, and every factor has the same
    prior variance.  That variance is one noisy number: it is weighed against what the learned scale
    takes genes to vary by, give or take a half.
    """
    centre = sums.scores.sum(axis=0) / people * public.divisors
    square = np.diag(sums.products) / people * public.divisors**2
    noise = sums.scores_variance * len(sums.scores) * public.divisors**2 / people**2
    found = float((square - centre**2 + noise).mean())
    sixth = float(sums.panel.high - sums.panel.low) / 6
    units = np.array([float(scale) for scale in sums.query.standard.scales])
    taken = float(WITHIN) / _PART_OF_SETS * float(((sixth / units) ** 2).mean())
    error = sums.products_variance / people**2 * float((public.divisors**4).mean()) / centre.size
    weight = error / (error + (taken / 2) ** 2)
    variance = max((1 - weight) * found + weight * taken, _LEAST_VARIANCE)
    variances = np.full(centre.size, variance)
    return centre, replace(public, variances=variances, gene_variance=variance * _PART_OF_SETS)


def _second_moment(
    moment: Floats, sums: MomentSums, people: float, public: PublicFactors, units: Floats
) -> Floats:
    """The scores' second moment around the public mean, shrunk to Λ; shape (K, K).

    Args:
        moment: as measured, shape (K, K).
        sums: for its noise.
        people: fitted number.
        public: for Λ.
        units: shape (K,): scores are multiples of them.
    """
    scale = np.outer(units, units) / people
    size = units.size
    half = np.where(np.eye(size, dtype=bool), 1.0, 0.5)
    noise = sums.products_variance * half * scale**2
    away = moment - np.diag(public.variances)
    # A normal prior whose entries vary as those of a Wishart matrix.
    prior = np.outer(public.variances, public.variances) * half
    upper = np.triu_indices(size)

    def log_likelihood(factor: float) -> float:
        total = (factor * prior + noise)[upper]
        return float(-(np.log(total) + away[upper] ** 2 / total).sum())

    best = max((10.0 ** (power / 4) for power in range(-24, 9)), key=log_likelihood)
    shrunk: Floats = np.diag(public.variances) + best * prior / (best * prior + noise) * away
    return shrunk


class _RandomEffects:
    """μ_l = a + d_l of every factor, with α and κ of largest marginal likelihood."""

    def __init__(self, observed: Floats, noise: Floats, variances: Floats) -> None:
        self._variances = variances
        self._cohort, self._label = max(
            product(_SCALES, _SCALES), key=lambda pair: self._log_likelihood(observed, noise, *pair)
        )

    def _log_likelihood(
        self, observed: Floats, noise: Floats, cohort: float, label: float
    ) -> float:
        weights = 1 / (label * self._variances + noise)
        shared = cohort * self._variances
        inflation = 1 + shared * weights.sum(axis=0)
        pulled = (weights * observed).sum(axis=0)
        value = np.log(weights).sum() - np.log(inflation).sum()
        value += (shared * pulled**2 / inflation).sum() - (weights * observed**2).sum()
        return float(value)

    @property
    def label_variance(self) -> Floats:
        """κΛ, shape (K,)."""
        variance: Floats = self._label * self._variances
        return variance

    def predict(self, observed: Floats, noise: Floats) -> tuple[Floats, Floats, Floats]:
        """a of shape (K,), and d_l of shape (L, K): posterior means, and of their true size."""
        effects = self.label_variance
        weights = 1 / (effects + noise)
        shared = self._cohort * self._variances
        cohort = shared * (weights * observed).sum(axis=0) / (1 + shared * weights.sum(axis=0))
        share = effects * weights
        away = observed - cohort
        return cohort, share * away, np.sqrt(share) * away


def _class_means(
    observed: Floats, noise: Floats, shares: Floats, second: Floats, public: PublicFactors
) -> Floats:
    """Means of the scores in the label cells, shape (L, K): steps 1 and 2 of the module's text."""
    effects = _RandomEffects(observed, noise, public.variances)
    cohort, deviations, sized = effects.predict(observed, noise)
    scores = public.scores[public.cells == UNLABELLED]
    people = len(scores)
    if people == 0 or shares.size == 1:
        return cohort + sized
    means = cohort + deviations
    public_shares, shift = shares, np.zeros(second.shape[0])
    for _ in range(_ROUNDS):
        within = _within(means, shares, second, public.variances)
        members = _memberships(scores - shift, means, within, public_shares)
        sizes = members.sum(axis=0)
        public_shares = (sizes + 20 * shares) / (people + 20)
        own = members.T @ scores / np.maximum(sizes, 1e-9)[:, None]
        spread = np.diag(within)
        away = (sizes[:, None] * (own - means)).sum(axis=0) / people
        shift = away / (1 + spread / people / (_SHIFT_SCALE * public.variances))
        weight = _PUBLIC_WEIGHT * sizes[:, None] / spread
        precision = 1 / noise + weight
        joined = (observed / noise + weight * (own - shift)) / precision
        cohort, deviations, sized = effects.predict(joined, 1 / precision)
        moved = float(np.abs((cohort + deviations - means) / np.sqrt(spread)).max())
        means = cohort + deviations
        if moved < 1e-3:
            break
    return cohort + sized


def _joined_with_labelled(
    observed: Floats, noise: Floats, public: PublicFactors
) -> tuple[Floats, Floats, float]:
    """Patients' means of scores and their noise, (L, K) each, once labelled people have spoken.

    One label alone cannot be told from how the populations differ, and adds nothing.  Also returned
    is the slope, 0..1, with which patients' labels differ as public ones do.
    """
    labelled = public.cells != UNLABELLED
    scores, cells = public.scores[labelled], public.cells[labelled]
    own, sizes = _label_means(scores, cells, len(observed))
    there = sizes > 0
    if there.sum() < 2:
        return observed, noise, 0.0
    freedom = max(len(scores) - int(there.sum()), 1)
    within = ((scores - own[cells]) ** 2).sum(axis=0) / freedom
    error = within / sizes[there, None]
    apart = (observed - own)[there]
    effects = _RandomEffects(apart, noise[there] + error, public.variances)
    shift, _, _ = effects.predict(apart, noise[there] + error)
    weight = np.zeros_like(noise)
    weight[there] = 1 / np.maximum(effects.label_variance + error, _LEAST_VARIANCE)
    precision = 1 / noise + weight
    joined = (observed / noise + weight * (own + shift)) / precision
    # Of patients' label effects p and public ones q, both of variance κ: the regression of p on q
    # has the slope cov(p, q)/κ = 1 − τ/2κ, for τ = var(p − q).
    variance = float(_RandomEffects(own[there], error, public.variances).label_variance.sum())
    differing = float(effects.label_variance.sum())
    slope = 1 - differing / (2 * variance) if variance > 0 else 0.0
    return joined, 1 / precision, max(slope, 0.0)


def _centred(means: Floats, shares: Floats) -> Floats:
    centred: Floats = means - shares @ means
    return centred


def _memberships(scores: Floats, means: Floats, within: Floats, shares: Floats) -> Floats:
    """P(label cell | scores) of people, shape (people, L)."""
    inverse = np.linalg.inv(within)
    lines = means @ inverse
    logarithm = scores @ lines.T - (lines * means).sum(axis=1) / 2
    logarithm += np.log(np.maximum(shares, 1e-12))
    odds = np.exp(logarithm - logarithm.max(axis=1, keepdims=True))
    members: Floats = odds / odds.sum(axis=1, keepdims=True)
    return members


def _within(means: Floats, shares: Floats, second: Floats, variances: Floats) -> Floats:
    """Second moment less that of the means; eigenvalues relative to Λ at least _LEAST_PART."""
    deviations = np.sqrt(variances)
    left = (second - (shares[:, None] * means).T @ means) / np.outer(deviations, deviations)
    values, vectors = np.linalg.eigh((left + left.T) / 2)
    repaired: Floats = (vectors * np.maximum(values, _LEAST_PART)) @ vectors.T
    repaired *= np.outer(deviations, deviations)
    return repaired


def _rest_of_means(sums: MomentSums, people: float, public: PublicFactors) -> Floats:
    """How the genes' means differ from the public ones beyond the factors, shape (genes,).

    The difference is N(0, α(R + rI)) with R the covariance of the rest in the reference, r what
    its axes leave of a gene; α of largest marginal likelihood.
    """
    means = sums.means / people
    noise = sums.means_variance / people**2
    rest = means - (means @ public.lift.T) @ np.linalg.pinv(public.lift).T
    # Without a reference genes are compared with each other, not with the public mean.
    common = 0.0 if len(public.scores) else float(rest.mean())
    rest = rest - common
    along = public.axes @ rest
    across = rest - along @ public.axes
    directions = rest.size - along.size - len(public.lift)
    explained = public.kept * float(public.spread.sum()) + float(public.variances.sum())
    left = max(1 - explained / rest.size, _LEAST_UNIQUE)  # in public variances
    spread = public.kept * public.spread + left

    def log_likelihood(scale: float) -> float:
        total = scale * spread + noise
        value = (np.log(total) + along**2 / total).sum()
        other = scale * left + noise
        return -float(value + directions * np.log(other) + (across**2).sum() / other)

    scale = max(_SCALES, key=log_likelihood)
    shift: Floats = (along * scale * spread / (scale * spread + noise)) @ public.axes
    shift += across * (scale * left / (scale * left + noise)) + common
    return shift


def _assembled(
    sums: MomentSums,
    shares: Floats,
    means: Floats,
    within: Floats,
    rest_of_means: Floats,
    public: PublicFactors,
) -> FactorModel:
    """The model; ``rest_of_means`` of shape (L, genes) is what the factors leave of the means."""
    measured = np.linalg.cholesky(within).T @ public.lift
    rest = np.sqrt(public.kept * public.spread)[:, None] * public.axes
    loadings = np.concatenate([measured, rest])
    apart = _centred(means, shares)
    found = (within + (shares[:, None] * apart).T @ apart) @ public.lift
    explained = (rest**2).sum(axis=0) + np.minimum(
        public.variances @ public.lift**2, (public.lift * found).sum(axis=0)
    )
    explained += shares @ _centred(rest_of_means, shares) ** 2
    unique = np.maximum(public.gene_variance - explained, _LEAST_UNIQUE * public.gene_variance)
    deviations = np.sqrt((loadings**2).sum(axis=0) + unique)
    return FactorModel(
        columns=sums.query.columns,
        shares=shares,
        means=means @ public.lift + rest_of_means,
        deviations=deviations,
        loadings=loadings / deviations,
        unique=np.sqrt(unique) / deviations,
    )
