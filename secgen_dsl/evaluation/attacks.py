"""Privacy: membership attacks by somebody who knows the model, and what they reach.

An attack gives every candidate a score: the higher, the likelier the person was among those whose
data were used.  Scores of members and of others make a ROC curve; no test of a differentially
private release can lie above the release's trade-off curve (Dong, Roth, Su, J. R. Stat. Soc. B 84
(2022) 3).  An attack that fails says little unless it succeeds where there is no protection.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from secgen_dsl.evaluation.accuracy import Floats, Labels
from secgen_dsl.evaluation.fidelity import quantile_edges, standardised

RARE = (0.001, 0.01)
"""False alarm rates at which attacks are judged (Carlini et al., IEEE S&P 2022)."""

SUCCESS = 0.01
"""An attack succeeds if chance alone would let it do as well with less than this probability."""

_SMOOTHING = 10.0  # rows of the pooled table that are added to a class's
_COMPONENTS = 10
_BINS = 8


@dataclass(frozen=True)
class Attack:
    """What an attack reached.

    Attributes:
        name: of the attack.
        members: shape (members,): their scores.
        others: shape (others,): scores of people whose data were not used.
    """

    name: str
    members: Floats
    others: Floats

    @property
    def auc(self) -> float:
        """Probability that a member scores above another person; ties count half."""
        from scipy.stats import mannwhitneyu

        whole = len(self.members) * len(self.others)
        return float(mannwhitneyu(self.members, self.others, method="asymptotic").statistic / whole)

    @property
    def p_value(self) -> float:
        """Probability that chance alone gives such an AUC or more (rank-sum test, one-sided)."""
        from scipy.stats import mannwhitneyu

        with np.errstate(all="ignore"):
            found = mannwhitneyu(
                self.members, self.others, alternative="greater", method="asymptotic"
            ).pvalue
        return 1.0 if np.isnan(found) else float(found)

    @property
    def succeeds(self) -> bool:
        """Whether it does better than chance: ``p_value`` below ``SUCCESS``."""
        return self.p_value < SUCCESS

    def flagged(self, false_alarms: float) -> float:
        """Share of members flagged, where at most so great a share of others is; or NaN.

        NaN where not even half a person of ``others`` would be: too few to tell the rate from 0.
        """
        if false_alarms * len(self.others) < 0.5:
            return float("nan")
        x, y = self.roc()
        return float(y[x <= false_alarms + 1e-12].max())

    def roc(self) -> tuple[Floats, Floats]:
        """Shares of others and of members that score at least a threshold, thresholds falling."""
        both = np.concatenate([self.members, self.others])
        own = np.concatenate([np.ones(len(self.members)), np.zeros(len(self.others))])
        order = np.argsort(-both, kind="stable")
        last = np.append(np.diff(both[order]) != 0, True)
        y = np.cumsum(own[order])[last] / len(self.members)
        x = np.cumsum(1 - own[order])[last] / len(self.others)
        return np.append(0.0, x), np.append(0.0, y)

    def exceeds(self, false_alarms: Sequence[float], flagged: Sequence[float]) -> bool:
        """Whether the attack does better than a trade-off curve allows, beyond chance.

        The bands of Dvoretzky, Kiefer and Wolfowitz with Massart's constant (Ann. Probab. 18 (1990)
        1269) hold for all thresholds at once: both together with 95%.

        Args:
            false_alarms: of the curve, rising.
            flagged: of the curve: at most so great a share of members.
        """
        members, others = (
            np.sqrt(np.log(4 / 0.05) / (2 * len(each))) for each in (self.members, self.others)
        )
        x, y = self.roc()
        # Between two points the greater one is taken: a curve rises.
        place = np.searchsorted(false_alarms, np.minimum(x + others, 1.0))
        allowed = np.append(flagged, 1.0)[place]
        return bool(np.any(y - members > allowed))


def marginal_likelihood_ratio(
    candidates: Floats,
    candidate_labels: Labels,
    synthetic: Floats,
    synthetic_labels: Labels,
    reference: Floats,
    reference_labels: Labels,
    edges: Sequence[Floats] | None = None,
) -> Floats:
    """Scores Σ_genes log p(bin | class, synthetic) − log p(bin | class, reference).

    The likelihood ratio test on marginals (Sankararaman et al., Nat. Genet. 41 (2009) 965), with
    the classes' own tables.  A class's shares are drawn towards those of all classes, by as much as
    ten rows weigh.

    Args:
        candidates: shape (people, genes).
        candidate_labels: shape (people,).
        synthetic: shape (rows, genes).
        synthetic_labels: shape (rows,).
        reference: shape (reference rows, genes): other people, as the attacker knows them.
        reference_labels: shape (reference rows,).
        edges: inner edges of the genes' bins, as the model has them; None: eight bins of the
            reference's quantiles.

    Returns:
        Shape (people,).
    """
    inner = quantile_edges(reference, _BINS) if edges is None else edges
    classes = np.unique(candidate_labels)
    scores = np.zeros(len(candidates))
    for gene, cuts in enumerate(inner):
        own = np.searchsorted(cuts, candidates[:, gene], side="right")
        sides = [
            _class_shares(table[:, gene], labels, cuts, classes)
            for table, labels in ((synthetic, synthetic_labels), (reference, reference_labels))
        ]
        row = np.searchsorted(classes, candidate_labels)
        scores += np.log(sides[0][row, own]) - np.log(sides[1][row, own])
    return scores


def _class_shares(values: Floats, labels: Labels, cuts: Floats, classes: Labels) -> Floats:
    """Shape (classes, bins): shares of a class's rows, drawn towards those of all; all above 0."""
    bins = np.searchsorted(cuts, values, side="right")
    count = len(cuts) + 1
    pooled = np.bincount(bins, minlength=count) + 0.5
    pooled /= pooled.sum()
    own = np.array([np.bincount(bins[labels == name], minlength=count) for name in classes])
    shares: Floats = (own + _SMOOTHING * pooled) / (own.sum(axis=1)[:, None] + _SMOOTHING)
    return shares


def mean_likelihood_ratio(
    candidates: Floats,
    candidate_labels: Labels,
    synthetic: Floats,
    synthetic_labels: Labels,
    reference: Floats,
    reference_labels: Labels,
) -> Floats:
    """Scores by the likelihood ratio of two normal laws with the class's mean here and there.

    (x − (m₁ + m₀)/2)ᵀ Σ⁻¹ (m₁ − m₀), over its standard deviation: Fisher's linear discriminant of
    synthetic (m₁) and reference rows (m₀) of the candidate's class.  Unlike the ratio of marginals
    it knows which genes go together, so that what many genes share counts once.  Σ is the
    covariance within the classes of the reference, drawn towards its diagonal (Ledoit, Wolf,
    J. Multivar. Anal. 88 (2004) 365).

    Args:
        candidates: shape (people, genes).
        candidate_labels: shape (people,).
        synthetic: shape (rows, genes).
        synthetic_labels: shape (rows,).
        reference: shape (reference rows, genes), two rows or more: other people.
        reference_labels: shape (reference rows,).

    Returns:
        Shape (people,).
    """
    from sklearn.covariance import ledoit_wolf_shrinkage

    within = reference - _means(reference, reference_labels, reference_labels, 0.0)
    spread = np.where(within.std(axis=0) > 1e-9, within.std(axis=0), 1.0)
    within /= spread
    kept = max(float(ledoit_wolf_shrinkage(within)), 1e-3)
    _, singular, axes = np.linalg.svd(within, full_matrices=False)
    own = singular**2 / len(within) * (1 - kept)
    here, there = (
        _means(table, labels, candidate_labels, _SMOOTHING / 2) / spread
        for table, labels in ((synthetic, synthetic_labels), (reference, reference_labels))
    )
    apart = here - there
    # Σ is diagonal but for the axes: its inverse is applied without ever being written down.
    weights = apart / kept + ((apart @ axes.T) * (1 / (own + kept) - 1 / kept)) @ axes
    scale = np.sqrt(np.maximum((apart * weights).sum(axis=1), 1e-30))
    scores: Floats = ((candidates / spread - (here + there) / 2) * weights).sum(axis=1) / scale
    return scores


def _means(values: Floats, labels: Labels, wanted: Labels, added: float) -> Floats:
    """The mean of each wanted label's class, drawn to that of all rows as by so many of those."""
    pooled = values.mean(axis=0)
    found = np.empty((len(wanted), values.shape[1]))
    for name in np.unique(wanted):
        own = values[labels == name]
        rows = len(own) + added
        mean = (own.sum(axis=0) + added * pooled) / rows if rows else pooled
        found[wanted == name] = mean
    return found


def density_ratio(
    candidates: Floats, synthetic: Floats, reference: Floats, components: int = _COMPONENTS
) -> Floats:
    """Scores log p(x | synthetic) − log p(x | reference), as in DOMIAS.

    Van Breugel et al., AISTATS 2023.  Densities are Gaussian kernel estimates (Scott's bandwidth)
    on the leading principal components of synthetic and reference rows, each scaled to variance 1.

    Args:
        candidates: shape (people, genes).
        synthetic: shape (rows, genes), two rows or more.
        reference: shape (reference rows, genes), two rows or more: other people.
        components: so many at most.

    Returns:
        Shape (people,).
    """
    from sklearn.decomposition import PCA
    from sklearn.neighbors import KernelDensity

    known = np.concatenate([synthetic, reference])
    known, people = standardised(known, candidates)
    size = min(components, known.shape[1], min(len(synthetic), len(reference)) - 1)
    if size < 1:
        return np.zeros(len(candidates))
    model = PCA(size, whiten=True, svd_solver="randomized", random_state=0).fit(known)
    placed, people = model.transform(known), model.transform(people)
    sides = []
    for rows in (placed[: len(synthetic)], placed[len(synthetic) :]):
        density = KernelDensity(bandwidth="scott").fit(rows)
        sides.append(density.score_samples(people))
    scores: Floats = sides[0] - sides[1]
    return scores


def attack_all(
    members: Floats,
    member_labels: Labels,
    others: Floats,
    other_labels: Labels,
    synthetic: Floats,
    synthetic_labels: Labels,
    reference: Floats,
    reference_labels: Labels,
    edges: Sequence[Floats] | None = None,
) -> tuple[Attack, ...]:
    """Every attack.

    Args:
        members: shape (members, genes): whose data were used.
        member_labels: shape (members,).
        others: shape (others, genes): of the same population; their data were not used.
        other_labels: shape (others,).
        synthetic: what was released: shape (rows, genes).
        synthetic_labels: shape (rows,).
        reference: shape (reference rows, genes): what the attacker knows of others.  Neither
            members nor ``others`` are among them.
        reference_labels: shape (reference rows,).
        edges: as the model has them; see ``marginal_likelihood_ratio``.
    """
    people = np.concatenate([members, others])
    labels = np.concatenate([member_labels, other_labels])
    ratio = marginal_likelihood_ratio(
        people, labels, synthetic, synthetic_labels, reference, reference_labels, edges
    )
    means = mean_likelihood_ratio(
        people, labels, synthetic, synthetic_labels, reference, reference_labels
    )
    density = density_ratio(people, synthetic, reference)
    found = {
        "likelihood ratio of marginals": ratio,
        "likelihood ratio of class means": means,
        "density ratio (DOMIAS)": density,
    }
    size = len(members)
    return tuple(Attack(name, each[:size], each[size:]) for name, each in found.items())


def closest_distances(people: Floats, synthetic: Floats) -> Floats:
    """Euclidean distance of each person to the closest synthetic row, per square root of genes.

    Shown, but no evidence: rows may be far from all people and still tell of them, and a good
    model's rows come close to people that it never saw (Yao et al., arXiv:2505.01524).

    Args:
        people: shape (people, genes), scaled as is wanted; likewise ``synthetic``.

    Returns:
        Shape (people,).
    """
    from sklearn.metrics import pairwise_distances_argmin_min

    _, distances = pairwise_distances_argmin_min(people, synthetic)
    found: Floats = distances / np.sqrt(max(people.shape[1], 1))
    return found
