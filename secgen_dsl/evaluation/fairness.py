"""Fairness: how well each class fares, with its size as the run measured it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from secgen_dsl.evaluation.accuracy import Floats, Labels
from secgen_dsl.evaluation.attacks import Attack
from secgen_dsl.evaluation.biology import Agreement, mean_rates
from secgen_dsl.evaluation.coexpression import coexpression
from secgen_dsl.evaluation.fidelity import in_real_sds, wasserstein
from secgen_dsl.evaluation.utility import Scores, mean

FEWEST = 5
"""Rows of a class, real and synthetic, below which its distribution is not judged."""


@dataclass(frozen=True)
class ClassLine:
    """The metrics of one class; NaN where nothing can be said.

    Attributes:
        name: the class.
        measured: its size as measured, with noise; None if no table has it.
        synthetic_rows: how many there are.
        recall: by learner: share of its real rows that are recognised, trained on synthetic ones.
        real_recall: by learner: the same, trained on real rows (cross-validated).
        f1: by learner, trained on synthetic rows.
        aupr: by learner, trained on synthetic rows.
        wasserstein: mean over the genes, within the class, in their unit.
        wasserstein_sds: mean over the genes, in standard deviations of the class's real rows.
        correlation_difference: mean |Δr| within the class.
        tpr: of differential expression, mean over the pairs with the class.
        fpr: likewise.
        auc: by attack: on the class's members alone, against all others of the class.
    """

    name: str
    measured: float | None
    synthetic_rows: int
    recall: Mapping[str, float]
    real_recall: Mapping[str, float]
    f1: Mapping[str, float]
    aupr: Mapping[str, float]
    wasserstein: float
    wasserstein_sds: float
    correlation_difference: float
    tpr: float
    fpr: float
    auc: Mapping[str, float]


def by_class(
    real: Floats,
    real_labels: Labels,
    synthetic: Floats,
    synthetic_labels: Labels,
    classes: Sequence[str],
    scores: Mapping[str, Scores],
    real_scores: Mapping[str, Scores],
    pairs: Sequence[Agreement],
    attacks: Sequence[Attack] = (),
    member_labels: Labels | None = None,
    other_labels: Labels | None = None,
    measured: Mapping[str, float] | None = None,
) -> tuple[ClassLine, ...]:
    """Every metric per class.

    Args:
        real: shape (rows, genes).
        real_labels: shape (rows,).
        synthetic: shape (synthetic rows, genes).
        synthetic_labels: shape (synthetic rows,).
        classes: as in ``scores`` and ``real_scores``.
        scores: by learner, trained on synthetic rows.
        real_scores: by learner, trained on real rows.
        pairs: differential expression.
        attacks: see ``attack_all``.
        member_labels: of the attacks' members.
        other_labels: of the attacks' others.
        measured: class → size with noise.
    """
    lines = []
    for place, name in enumerate(classes):
        own, made = real[real_labels == name], synthetic[synthetic_labels == name]
        distance = spread = difference = float("nan")
        if min(len(own), len(made)) >= FEWEST:
            genes = wasserstein(own, made)
            distance, spread = mean(genes), mean(in_real_sds(genes, own))
            difference = coexpression(own, made).mean_difference
        tpr, fpr = mean_rates([pair for pair in pairs if name in (pair.first, pair.second)])
        auc = {}
        if member_labels is not None and other_labels is not None:
            for attack in attacks:
                members = attack.members[member_labels == name]
                others = attack.others[other_labels == name]
                enough = min(len(members), len(others)) >= FEWEST
                auc[attack.name] = (
                    Attack(attack.name, members, others).auc if enough else float("nan")
                )
        lines.append(
            ClassLine(
                name=name,
                measured=None if measured is None else measured.get(name),
                synthetic_rows=len(made),
                recall={learner: float(s.recall[place]) for learner, s in scores.items()},
                real_recall={learner: float(s.recall[place]) for learner, s in real_scores.items()},
                f1={learner: float(s.f1[place]) for learner, s in scores.items()},
                aupr={learner: float(s.aupr_by_class[place]) for learner, s in scores.items()},
                wasserstein=distance,
                wasserstein_sds=spread,
                correlation_difference=difference,
                tpr=tpr,
                fpr=fpr,
                auc=auc,
            )
        )
    return tuple(lines)
