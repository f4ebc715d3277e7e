"""An evaluation as JSON: numbers of the metrics, no person's values."""

from math import isnan
from typing import Any

import numpy as np

from secgen_dsl.evaluation.attacks import RARE, Attack
from secgen_dsl.evaluation.biology import mean_rates
from secgen_dsl.evaluation.evaluate import Evaluation, breaks
from secgen_dsl.evaluation.utility import Scores, mean

FORMAT = "secgen.evaluation/1"
PRIVATE = (
    "Computed on private data, outside the privacy budget: not for release. It stays with whoever "
    "holds the real rows."
)


def as_json(found: Evaluation) -> dict[str, Any]:
    """The evaluation as JSON data; what cannot be said is null."""
    tables, fidelity = found.tables, found.fidelity
    tpr, fpr = mean_rates(found.pairs)
    data: dict[str, Any] = _plain(
        {
            "format": FORMAT,
            "private": PRIVATE,
            "release": False,
            "classes": tables.classes,
            "genes": len(tables.genes),
            "unit": tables.unit,
            "rows": {
                "real": len(tables.real.labels),
                "synthetic": len(tables.synthetic.labels),
                "holdout": None if tables.holdout is None else len(tables.holdout.labels),
                "reference": None if tables.reference is None else len(tables.reference.labels),
            },
            "tested_on": "withheld rows"
            if found.withheld
            else "the real rows that the synthetic ones were made from",
            "utility": {
                learner: {
                    "synthetic": _scores(scores),
                    "real": _scores(found.real_scores[learner]),
                    "ratio": ratios(scores, found.real_scores[learner]),
                }
                for learner, scores in found.synthetic_scores.items()
            },
            "fidelity": {
                "wasserstein": mean(fidelity.wasserstein),
                "wasserstein_real_sds": mean(fidelity.sds),
                "table_total_variation": mean(fidelity.total_variation),
                "bins": "the plan's" if tables.edges is not None else "quartiles of the real rows",
                "mmd_squared": fidelity.mmd_squared,
                "discriminator_auc": dict(fidelity.discriminator),
                "wasserstein_by_gene": dict(
                    zip(tables.genes, fidelity.wasserstein.tolist(), strict=True)
                ),
            },
            "biology": {
                "differential_expression": {
                    "tpr": tpr,
                    "fpr": fpr,
                    "pairs": [
                        {
                            "classes": (pair.first, pair.second),
                            "genes_in_real": int(pair.real.called.sum()),
                            "genes_in_synthetic": int(pair.synthetic.called.sum()),
                            "tpr": pair.tpr,
                            "fpr": pair.fpr,
                            "precision": pair.precision,
                            "same_direction": pair.same_direction,
                        }
                        for pair in found.pairs
                    ],
                },
                "coexpression": dict(vars(found.coexpression)),
                "gene_sets": None
                if found.sets is None
                else {
                    "sets": len(found.sets.names),
                    "class_mean_correlation": found.sets.class_correlation,
                    "mean_difference_of_correlations": found.sets.mean_difference,
                },
            },
            "privacy": _privacy(found),
            "fairness": [dict(vars(line)) for line in found.lines],
        }
    )
    return data


def ratios(scores: Scores, real: Scores) -> dict[str, float]:
    """Trained on synthetic rows, relative to trained on real ones."""
    names = ("accuracy", "balanced_accuracy", "macro_f1", "aupr")
    return {
        name: getattr(scores, name) / getattr(real, name) if getattr(real, name) else float("nan")
        for name in names
    }


def _scores(scores: Scores) -> dict[str, Any]:
    return {
        "accuracy": scores.accuracy,
        "majority_rate": scores.majority_rate,
        "balanced_accuracy": scores.balanced_accuracy,
        "macro_f1": scores.macro_f1,
        "aupr": scores.aupr,
        "confusion": scores.confusion,
    }


def _privacy(found: Evaluation) -> dict[str, Any] | None:
    privacy = found.privacy
    if privacy is None:
        return None
    members, others = privacy.distances
    return {
        "attacker_knows": privacy.reference,
        "attacks": [
            {
                **_attack(attack),
                "evidence": privacy.evidence(attack),
                "above_the_promise": breaks(found.tables.promise, attack),
            }
            for attack in privacy.attacks
        ],
        "without_noise": [_attack(attack) for attack in privacy.unprotected],
        "distance_to_closest_synthetic_row": {
            "note": "shown, never evidence",
            "members_median": float(np.median(members)),
            "others_median": float(np.median(others)),
        },
    }


def _attack(attack: Attack) -> dict[str, Any]:
    return {
        "attack": attack.name,
        "auc": attack.auc,
        "p_value": attack.p_value,
        "succeeds": attack.succeeds,
        "tpr_at_fpr": {str(rate): attack.flagged(rate) for rate in RARE},
        "least_fpr_that_shows": 1 / len(attack.others),
    }


def _plain(value: Any) -> Any:
    """The same in JSON's own types; NaN is null."""
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float):
        return None if isnan(value) else round(value, 6)
    return value
