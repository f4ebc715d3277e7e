"""Distributions of genes over bins, given labels, from contrasts with known noise.

At small ε the noise of a rare label's row is larger than its signal, and the row itself is useless.
Rows can lend each other strength, free of charge: this is post-processing.  For one panel, let
``r_l`` be the vector of all genes' bin frequencies in label cell l, in an orthonormal basis of
contrasts (a row of B frequencies has B − 1 free coordinates; noise is ``s²/n_l²`` on each).  Then

    r_l = m + a + d_l + noise_l,   a ~ N(0, α₁R + α₀I),   d_l ~ N(0, κ₁R + κ₀I)

``m`` are the public reference's frequencies (1/B each without one), ``a`` how this cohort differs
from it, ``d_l`` how a label differs from the cohort, and ``R`` the covariance of the bin indicators
of *people in the public reference*.  Labels differ along the lines along which people differ, and
R has few long axes, so that a label's noise, spread over all axes, can be told from its signal.
Without a reference R is absent and rows shrink to the panel's common row only.

The four scales are those of largest marginal likelihood (parametric empirical Bayes: Efron, Morris,
Biometrika 59 (1972) 335; Morris, JASA 78 (1983) 47); in R's eigenbasis the directions are
independent, and each is a random-effects model of L observations with two known-form variances.
The cohort's effect is predicted by its posterior mean, the best linear unbiased predictor
(Robinson, Statist. Sci. 6 (1991) 15).  A label's posterior mean is the share f = D₀/(D₀ + noise) of
its observed deviation, D₀ the effect's variance in that direction; posterior means of all labels
together lie closer to each other than the labels do, and classifiers then mistake one for the
other.  So the share is √f: the deviations keep, on average, their true size (a constrained
estimate: Louis, JASA 79 (1984) 393; Ghosh, JASA 87 (1992) 533; per direction as in Spjøtvoll,
Thomsen 1987).  It costs little in error and gains much in accuracy of classifiers.

**Beside moments** (``predicted``) m is their prediction of each cell's row, label effects
included, a and d_l what it is wrong by; it errs along the lines along which people differ, too.
Deviations are then shrunk by f itself, for the prediction has the labels' true size already.  Say
a label's effect has variance V in some direction, and was predicted as √g·(effect + noise) with
g = V/(V + noise), hence with variance V.  What that is wrong by has the variance D = 2V(1 − √g) and
the covariance √g·V − V = −D/2 with the prediction.  The prediction plus w times the observed
deviation then has the variance V + w²(D + noise) − wD, which is V at w = D/(D + noise) = f.
With √f labels would lie too far apart.  (Our derivation.)  The scales' likelihood is flat where
noise hides all; a weak prior, which says that frequencies are predicted to about .1, then leaves
the prediction as it is.

The use of a public reference's covariance as R is our own derivation.  With little noise the
estimate tends to the observed rows, whatever m and R: the reference cannot bias them then.
"""

from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from secgen_dsl.synthesis.consistency import project_to_simplex
from secgen_dsl.synthesis.measured import Floats

MAX_REFERENCE_ROWS = 1_000
"""At most so many samples of a reference, evenly spaced, enter R: its long axes need no more."""

_SCALES = (0.0, *(10.0 ** (power / 4) for power in range(-20, 1)))
"""Candidates for the four scales: squared frequencies (α₀, κ₀), or shares of R (α₁, κ₁).  Means of
labels vary less than people do, so that 1 is enough for all."""

_STANDING_OUT = 3.0

_TRUST = float(np.log(20.0))

_TYPICAL_ERROR = 0.1
"""Of a frequency that moments predict: .05 to .15 on TCGA."""

_COHORT = ("cohort_along", "cohort")
_LABEL = ("label_along", "label")


@dataclass(frozen=True)
class ReferenceBins:
    """What is known of a panel's bins from public people.

    Attributes:
        frequencies: shape (genes, bins); every row sums to 1, all entries > 0.
        axes: shape (directions, genes·(B − 1)): R's eigenvectors in the contrast basis, orthonormal
            rows; no directions without a reference.
        spread: shape (directions,): R's positive eigenvalues.
        seen: shape (genes, bins): whether anybody in the reference falls into the bin; all True
            for a gene that it lacks.
    """

    frequencies: Floats
    axes: Floats
    spread: Floats
    seen: NDArray[np.bool_]


@dataclass(frozen=True)
class Scales:
    """The fitted variance components; all ≥ 0.

    Attributes:
        cohort_along: α₁.
        cohort: α₀.
        label_along: κ₁.
        label: κ₀.
    """

    cohort_along: float
    cohort: float
    label_along: float
    label: float


def contrast_basis(bins: int) -> Floats:
    """Helmert's basis: shape (B, B − 1), orthonormal columns that sum to zero."""
    basis = np.zeros((bins, bins - 1))
    for column in range(bins - 1):
        basis[: column + 1, column] = 1.0
        basis[column + 1, column] = -(column + 1.0)
    basis /= np.linalg.norm(basis, axis=0)
    return basis


def describe_reference(bins: NDArray[np.int64], number_of_bins: int) -> ReferenceBins:
    """Frequencies and covariance of the bins in a reference.

    Args:
        bins: shape (samples, genes), from 0 to B − 1; −1 where the value is missing.  Without a
            reference there are no samples.
        number_of_bins: B ≥ 2.

    One more sample, spread evenly over the bins, keeps frequencies positive.  A missing value
    counts as the gene's mean.
    """
    samples, genes = bins.shape
    seen = bins[:, :, None] == np.arange(number_of_bins)
    frequencies = (seen.sum(axis=0) + 1 / number_of_bins) / ((bins >= 0).sum(axis=0)[:, None] + 1.0)
    chosen = np.unique(np.linspace(0, samples - 1, min(samples, MAX_REFERENCE_ROWS)).astype(int))
    indicators = seen[chosen].astype(np.float64)
    present = (bins[chosen] >= 0).astype(np.float64)[:, :, None]
    held = np.asarray((bins >= 0).any(axis=0))
    anybody = seen.any(axis=0) | ~held[:, None]
    means = indicators.sum(axis=0) / np.maximum(present.sum(axis=0), 1.0)
    deviations = (indicators - present * means) @ contrast_basis(number_of_bins)
    flat = deviations.reshape(chosen.size, genes * (number_of_bins - 1))
    if chosen.size < 3:
        return ReferenceBins(frequencies, np.zeros((0, flat.shape[1])), np.zeros(0), anybody)
    _, singular, axes = np.linalg.svd(flat, full_matrices=False)
    kept = singular > 1e-8 * max(float(singular[0]), 1.0)
    return ReferenceBins(frequencies, axes[kept], singular[kept] ** 2 / (chosen.size - 1), anybody)


def estimate_rows(
    contrasts: Floats,
    variance: float,
    people: Floats,
    reference: ReferenceBins,
    predicted: Floats | None = None,
) -> Floats:
    """p(bin | label cell) of every gene of a panel.

    Args:
        contrasts: shape (genes, L, B): noisy counts less their row's mean.
        variance: s² of a raw cell's noise; > 0.
        people: shape (L,): fitted numbers of people in the label cells; ≥ 0.
        reference: of the same genes and bins.
        predicted: shape (genes, L, B): rows by moments, ``m`` of each label cell.  Without them it
            is the reference's frequencies in every cell.

    Returns:
        Shape (genes, L, B); non-negative, every row sums to 1.
    """
    genes, labels, bins = contrasts.shape
    effects, centre = _effects(contrasts, variance, people, reference, predicted)
    # √f of deviations from a row without label effects, f of those from one that has them.
    power = 0.5 if predicted is None else 1.0
    estimated = centre + effects.predict(effects.fit(), power)
    frequencies = estimated.reshape(labels, genes, bins - 1).transpose(1, 0, 2)
    frequencies = frequencies @ contrast_basis(bins).T + 1 / bins
    empty = ~_inhabited(contrasts, variance, people, reference)
    if predicted is not None:
        empty &= np.einsum("glb,l->gb", predicted, people) < 1
    # So far below the others that the projection gives nothing to these bins.
    frequencies -= np.where(empty, 2.0 + np.ptp(frequencies), 0.0)[:, None, :]
    return project_to_simplex(frequencies, 1.0)


def likelier_prediction(
    contrasts: Floats,
    variance: float,
    people: Floats,
    reference: ReferenceBins,
    predicted: Floats,
) -> Floats | None:
    """``predicted`` if the counts are likelier beside it than beside the reference's frequencies.

    A public table's labels may be other people's idea of the classes.  But the study says that they
    are the same, which counts for odds of 20 to 1.  Arguments as of ``estimate_rows``.
    """
    likelihoods = [
        effects.log_likelihood(effects.fit())
        for effects in (
            _effects(contrasts, variance, people, reference, one)[0] for one in (predicted, None)
        )
    ]
    return predicted if likelihoods[0] > likelihoods[1] - _TRUST else None


def rows_of_labelled(
    bins: NDArray[np.int64], cells: NDArray[np.int64], labels: int, reference: ReferenceBins
) -> Floats | None:
    """What labelled public people say of p(bin | label cell): ``predicted`` of ``estimate_rows``.

    Along each of R's axes the labels' deviations from all are shrunk by their own positive-part
    factor 1 − (k − 1)/F, with F the sum of squares between k labels over the variance within
    (James, Stein 1961, towards the mean: Efron, Morris, JASA 68 (1973) 117).  Labels differ along
    few axes, and these are not known beforehand.  A label that nobody public has is as all are.

    Args:
        bins: shape (samples, genes), as ``describe_reference`` takes them.
        cells: shape (samples,): label cell of each, negative where unknown.
        labels: L.
        reference: of these bins.

    Returns:
        Shape (genes, L, B), rows sum to 1; None with fewer than two labels, or no variance within.
    """
    number_of_bins = reference.frequencies.shape[1]
    basis = contrast_basis(number_of_bins)
    known = cells >= 0
    sizes = np.bincount(cells[known], minlength=labels)
    there = sizes > 0
    freedom = int(known.sum() - there.sum())
    if there.sum() < 2 or freedom < 1 or not reference.axes.size:
        return None
    own = (bins[known][:, :, None] == np.arange(number_of_bins)) - reference.frequencies
    own[bins[known] < 0] = 0.0
    scores = (own @ basis).reshape(len(own), -1) @ reference.axes.T
    totals = np.zeros((labels, scores.shape[1]))
    np.add.at(totals, cells[known], scores)
    means = totals / np.maximum(sizes, 1)[:, None]
    deviations = np.where(there[:, None], means - scores.mean(axis=0), 0.0)
    within = ((scores - means[cells[known]]) ** 2).sum(axis=0) / freedom
    between = sizes @ deviations**2
    share = 1 - (there.sum() - 1) * within / np.maximum(between, 1e-12)
    effects = (np.maximum(share, 0.0) * deviations) @ reference.axes
    rows = effects.reshape(labels, -1, number_of_bins - 1).transpose(1, 0, 2) @ basis.T
    return project_to_simplex(rows + reference.frequencies[:, None, :], 1.0)


def _effects(
    contrasts: Floats,
    variance: float,
    people: Floats,
    reference: ReferenceBins,
    predicted: Floats | None,
) -> tuple["_Effects", Floats]:
    """The model of a panel's rows and their centre, shape (1 or L, genes·(B − 1))."""
    genes, labels, bins = contrasts.shape
    basis = contrast_basis(bins)
    # A cell with less than one person has no row to speak of; its noise then dwarfs any signal.
    row_people = np.maximum(people, 1.0)
    middle = reference.frequencies[:, None, :] if predicted is None else predicted
    centre = (middle @ basis).transpose(1, 0, 2).reshape(middle.shape[1], -1)
    observed = (contrasts / row_people[None, :, None]) @ basis
    rows = observed.transpose(1, 0, 2).reshape(labels, genes * (bins - 1)) - centre
    typical = np.inf if predicted is None else _TYPICAL_ERROR
    return _Effects(rows, variance / row_people**2, reference, typical), centre


def _inhabited(
    contrasts: Floats, variance: float, people: Floats, reference: ReferenceBins
) -> NDArray[np.bool_]:
    """Which bins of a gene hold anybody, shape (genes, B).

    Noise alone puts people into bins where there are none: a gene that lies in two of ten bins
    would get tails over the whole range.  A bin that nobody in the public reference falls into is
    therefore taken as empty, unless its count over all labels stands out of the noise by
    ``_STANDING_OUT`` standard errors.  (A threshold, as in Donoho, Johnstone, Biometrika 81
    (1994) 425; without a reference there is none.)
    """
    labels, bins = contrasts.shape[1:]
    counts = contrasts.sum(axis=1) + people.sum() / bins
    error = (labels * variance * (1 - 1 / bins)) ** 0.5
    inhabited: NDArray[np.bool_] = reference.seen | (counts > _STANDING_OUT * error)
    return inhabited


class _Effects:
    """The random-effects model of one panel's rows, in the eigenbasis of R."""

    def __init__(
        self, rows: Floats, noise: Floats, reference: ReferenceBins, typical: float = np.inf
    ) -> None:
        """``typical``: the root mean square of an effect that is expected beforehand, if any."""
        self._typical = typical
        self._axes = reference.axes
        self._spread = reference.spread
        self._noise = noise
        self._along = rows @ reference.axes.T  # (L, directions)
        self._across = rows - self._along @ reference.axes
        self._across_products = self._across @ self._across.T
        self._across_directions = rows.shape[1] - reference.spread.size

    def fit(self) -> Scales:
        """The scales of largest marginal likelihood, by coordinate ascent from a coarse grid.

        There is no test first of whether labels differ at all.  A study measures labels because
        they do, and a test would hide real differences at small ε; where the noise hides
        everything, about every other fit finds none.
        """
        best = self._climb(Scales(1.0, 1.0, 0.0, 0.0), _COHORT)
        # With one label cell its effect cannot be told from the cohort's.
        if self._noise.size == 1:
            return best
        coarse = product(_SCALES[::4], repeat=2)
        starts = [best, *(replace(best, label_along=k, label=j) for k, j in coarse)]
        return self._climb(max(starts, key=self._likelihood_and_prior), _COHORT + _LABEL)

    def _climb(self, start: Scales, names: tuple[str, ...]) -> Scales:
        """Take the best value of one scale after the other, until none gets better."""
        best, value = start, self._likelihood_and_prior(start)
        improved = True
        while improved:
            improved = False
            for name in names:
                for scale in _SCALES:
                    candidate = replace(best, **{name: float(scale)})
                    likelihood = self._likelihood_and_prior(candidate)
                    if likelihood > value + 1e-9:
                        best, value, improved = candidate, likelihood, True
        return best

    def _likelihood_and_prior(self, scales: Scales) -> float:
        """Standard deviations of effects have half-normal priors, of the scale ``typical``."""
        along = float(self._spread.sum()) / max(self._across.shape[1], 1)
        variances = (scales.cohort_along + scales.label_along) * along
        variances += scales.cohort + scales.label
        return self.log_likelihood(scales) - float(variances) / (2 * self._typical**2)

    def log_likelihood(self, scales: Scales) -> float:
        """Of the rows, up to a constant.

        In a direction with spread λ the L observations have the covariance diag(D) + A·11ᵀ, with
        ``D_l = κ₁λ + κ₀ + s²/n_l²`` and ``A = α₁λ + α₀``; Sherman-Morrison gives its inverse.
        """
        weights = 1 / self._row_variance(scales, self._spread)  # (L, directions)
        shared = scales.cohort_along * self._spread + scales.cohort
        inflation = 1 + shared * weights.sum(axis=0)
        pulled = (weights * self._along).sum(axis=0)
        value = (
            np.log(weights).sum()
            - np.log(inflation).sum()
            - (weights * self._along**2).sum()
            + (shared * pulled**2 / inflation).sum()
        )
        weights = 1 / self._row_variance(scales, np.zeros(1))[:, 0]
        inflation_across = 1 + scales.cohort * weights.sum()
        value += self._across_directions * (np.log(weights).sum() - np.log(inflation_across))
        value -= weights @ np.diag(self._across_products)
        value += scales.cohort * (weights @ self._across_products @ weights) / inflation_across
        return float(value) / 2

    def predict(self, scales: Scales, power: float) -> Floats:
        """Predicted a + d_l, shape (L, genes·(B − 1)): see the module's text.

        ``power`` is that of f by which a label's deviation is shrunk.
        """
        along = self._predict(scales, self._along, self._spread, power)
        across = self._predict(scales, self._across, np.zeros(1), power)
        return along @ self._axes + across

    def _row_variance(self, scales: Scales, spread: Floats) -> Floats:
        return scales.label_along * spread + scales.label + self._noise[:, None]

    def _predict(self, scales: Scales, rows: Floats, spread: Floats, power: float) -> Floats:
        variance = self._row_variance(scales, spread)
        shared = scales.cohort_along * spread + scales.cohort
        cohort: Floats = (
            shared * (rows / variance).sum(axis=0) / (1 + shared * (1 / variance).sum(axis=0))
        )
        share = (scales.label_along * spread + scales.label) / variance
        return cohort + share**power * (rows - cohort)
