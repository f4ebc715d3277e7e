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
        """Share of members flagged at most, where at most so great a share of others is.

        No rate below 1 / number of others can be told from 0.
        """
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
    density = density_ratio(people, synthetic, reference)
    size = len(members)
    return (
        Attack("likelihood ratio of marginals", ratio[:size], ratio[size:]),
        Attack("density ratio (DOMIAS)", density[:size], density[size:]),
    )


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
