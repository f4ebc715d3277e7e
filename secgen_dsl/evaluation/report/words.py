"""The words and tables of the page, section by section."""

from collections.abc import Iterator

import numpy as np

from secgen_dsl.evaluation.attacks import RARE
from secgen_dsl.evaluation.biology import LEVEL, mean_rates
from secgen_dsl.evaluation.coexpression import STRONG
from secgen_dsl.evaluation.evaluate import Evaluation
from secgen_dsl.evaluation.report.genes import class_means, densities, heat_maps, volcano
from secgen_dsl.evaluation.report.parts import Block, Grid, Part, number, percent
from secgen_dsl.evaluation.report.people import (
    attack_table,
    attacks,
    components,
    confusion,
    rows_of,
)
from secgen_dsl.evaluation.results import ratios
from secgen_dsl.evaluation.utility import mean

_LEARNERS = {"logistic": "logistic regression", "boosting": "gradient boosting"}
_SCORES = (
    ("accuracy", "accuracy"),
    ("balanced accuracy", "balanced_accuracy"),
    ("macro F1", "macro_f1"),
    ("AUPR", "aupr"),
)
_MOST_PAIRS = 10


def headline(found: Evaluation) -> list[tuple[str, str]]:
    """The figures of the terminal and of the page's head."""
    tpr, fpr = mean_rates(found.pairs)
    scores, real = found.synthetic_scores["logistic"], found.real_scores["logistic"]
    ratio = ratios(scores, real)
    fidelity, together = found.fidelity, found.coexpression
    lines = [
        ("classes", ", ".join(found.tables.classes)),
        (
            "TSTR accuracy",
            f"{number(scores.accuracy)} (trained on real rows {number(real.accuracy)}; ratio "
            f"{number(ratio['accuracy'], 2)}; majority class for all "
            f"{number(scores.majority_rate)})",
        ),
        (
            "balanced accuracy",
            f"{number(scores.balanced_accuracy)} (trained on real rows "
            f"{number(real.balanced_accuracy)}; ratio {number(ratio['balanced_accuracy'], 2)}; "
            f"one class for all {number(1 / np.sum(scores.confusion.sum(axis=1) > 0))})",
        ),
        (
            "Wasserstein, mean",
            f"{number(mean(fidelity.wasserstein))} "
            f"({number(mean(fidelity.sds))} real standard deviations)",
        ),
        ("discriminator AUC", number(max(fidelity.discriminator.values()))),
        ("DE genes", f"TPR {percent(tpr)} at FPR {percent(fpr)}"),
        (
            "co-expression",
            f"mean |Δr| {number(together.mean_difference)}; edges: precision "
            f"{percent(together.precision)}, recall {percent(together.recall)}",
        ),
    ]
    if found.privacy is None:
        lines.append(("attacks", "none: no withheld rows (--holdout)"))
        return lines
    for attack in found.privacy.attacks:
        counts = "" if found.privacy.evidence(attack) else "; not counted as evidence"
        lines.append(
            (
                "attack",
                f"{attack.name}: AUC {number(attack.auc)}, TPR "
                f"{percent(attack.flagged(RARE[1]))} at FPR 1%{counts}",
            )
        )
    return lines


def parts(found: Evaluation, label: str) -> tuple[Part, ...]:
    """The sections of the page."""
    return (
        Part("summary", "At a glance", tuple(_summary(found, label))),
        Part("utility", "Use: train on synthetic rows, test on real ones", tuple(_utility(found))),
        Part("fidelity", "Fidelity: distributions", tuple(_fidelity(found))),
        Part("biology", "Biology: what analyses find", tuple(_biology(found))),
        Part("privacy", "Privacy: attacks on membership", tuple(_privacy(found))),
        Part("classes", "Fairness: each class", tuple(_classes(found))),
    )


def _summary(found: Evaluation, label: str) -> Iterator[Block]:
    tables = found.tables
    yield Grid("What was found", (), tuple(headline(found)))
    yield Grid(
        "What was compared",
        (),
        (
            ("real rows", rows_of(tables.real)),
            ("synthetic rows", rows_of(tables.synthetic)),
            ("withheld rows", rows_of(tables.holdout)),
            ("reference rows", rows_of(tables.reference)),
            ("rows without noise", rows_of(tables.unprotected)),
            ("genes", f"{len(tables.genes):,}"),
            ("unit", tables.unit or "not known"),
            ("classes", f"{label}: {', '.join(tables.classes)}"),
            ("promise", tables.promise.words if tables.promise else "none known"),
        ),
    )
    yield from (each.message[0].upper() + each.message[1:] + "." for each in found.warnings)


def _utility(found: Evaluation) -> Iterator[Block]:
    if found.withheld:
        yield (
            "Classifiers were tested on withheld rows: neither the synthetic rows nor those that "
            "the comparison was trained on are made from them."
        )
    else:
        yield (
            "No rows were withheld. The classifiers trained on synthetic rows were tested on the "
            "very rows that those were made from: the scores may be too good. Training on real "
            "rows is cross-validated (five folds). Withhold some patients, and give them with "
            "--holdout."
        )
    rows = []
    for learner, scores in found.synthetic_scores.items():
        real = found.real_scores[learner]
        ratio = ratios(scores, real)
        for words, name in _SCORES:
            rows.append(
                (
                    f"{_LEARNERS[learner]}: {words}",
                    number(getattr(scores, name)),
                    number(getattr(real, name)),
                    number(ratio[name], 2),
                )
            )
    yield Grid(
        "Scores, by what the classifier was trained on",
        ("score", "synthetic", "real", "ratio"),
        tuple(rows),
    )
    yield (
        "Accuracy says little by itself: calling every row by the most frequent class has "
        f"{number(found.synthetic_scores['logistic'].majority_rate)} in the same test rows. "
        "Balanced accuracy is the mean of the classes' recalls: each class counts alike."
    )
    for learner in found.synthetic_scores:
        yield confusion(found, learner, _LEARNERS[learner])


def _fidelity(found: Evaluation) -> Iterator[Block]:
    fidelity = found.fidelity
    bins = "the plan's bins" if found.tables.edges is not None else "quartiles of the real rows"
    known = fidelity.sds[~np.isnan(fidelity.sds)]
    worst = float(known.max()) if known.size else float("nan")
    yield Grid(
        "Distances of the distributions",
        ("distance", "value"),
        (
            ("Wasserstein, mean over genes", number(mean(fidelity.wasserstein))),
            ("the same in real standard deviations", number(mean(fidelity.sds))),
            ("that of the worst gene", number(worst)),
            (f"total variation of tables ({bins})", number(mean(fidelity.total_variation))),
            ("MMD², RBF kernel with γ = 1/genes", number(fidelity.mmd_squared, 5)),
            *(
                (f"discriminator AUC, {_LEARNERS[name]}", number(auc))
                for name, auc in fidelity.discriminator.items()
            ),
        ),
    )
    yield (
        "A discriminator learns to tell real rows from synthetic ones: .5 means that it cannot. "
        "Logistic regression sees shifts of genes; boosting, on principal components, sees also "
        "which genes go together."
    )
    yield components(found)
    yield densities(found)


def _biology(found: Evaluation) -> Iterator[Block]:
    yield (
        "What real rows show is taken as the truth: the rank-sum test with Benjamini and "
        f"Hochberg's q below {LEVEL}. True and false positive rates belong together: whoever calls "
        "every gene finds all true ones."
    )
    tpr, fpr = mean_rates(found.pairs)
    yield Grid(
        "Differential expression",
        ("classes", "genes in real", "in synthetic", "TPR", "FPR", "precision", "direction"),
        (
            *(
                (
                    f"{pair.first} – {pair.second}",
                    f"{pair.real.called.sum():,}",
                    f"{pair.synthetic.called.sum():,}",
                    percent(pair.tpr),
                    percent(pair.fpr),
                    percent(pair.precision),
                    percent(pair.same_direction),
                )
                for pair in found.pairs
            ),
            ("mean", "", "", percent(tpr), percent(fpr), "", ""),
        ),
    )
    together = found.coexpression
    yield Grid(
        f"Co-expression; an edge is a pair of genes with |r| above {STRONG}",
        ("measure", "value"),
        (
            ("mean |Δr| over all pairs of genes", number(together.mean_difference)),
            ("edges in real rows", f"{together.edges:,}"),
            ("precision of synthetic edges", percent(together.precision)),
            ("recall of real edges", percent(together.recall)),
            ("real edges with the same sign", percent(together.sign_agreement)),
        ),
    )
    if found.sets is not None:
        yield Grid(
            "Gene sets",
            ("measure", "value"),
            (
                ("sets with two genes or more here", f"{len(found.sets.names):,}"),
                (
                    "correlation of classes' mean scores, real and synthetic",
                    number(found.sets.class_correlation),
                ),
                ("mean |Δr| of the correlations between sets", number(found.sets.mean_difference)),
            ),
        )
    yield heat_maps(found)
    picture = class_means(found)
    if picture is not None:
        yield picture
    for place, pair in enumerate(found.pairs[:_MOST_PAIRS]):
        yield volcano(found, pair, place)
    if len(found.pairs) > _MOST_PAIRS:
        yield f"Of {len(found.pairs):,} pairs of classes, the first {_MOST_PAIRS} are drawn."


def _privacy(found: Evaluation) -> Iterator[Block]:
    privacy = found.privacy
    if privacy is None:
        yield (
            "Attacks need people who took no part: withhold some patients from the run, and give "
            "them with --holdout. The promise does not hang on attacks: it is proved."
        )
        return
    yield (
        "The attacker knows the model, the synthetic rows and other people: "
        f"{privacy.reference}. An attack counts as evidence only if it succeeds on a run without "
        "noise (--unprotected): one that fails there may just be a poor attack. It succeeds if "
        "chance alone would do as well with a probability below 1%."
    )
    if not privacy.unprotected:
        yield "No run without noise was given: no attack here is counted as evidence."
    if found.tables.promise is None:
        yield "No run is known: there is no curve to hold the attacks against."
    yield attack_table(found, privacy)
    yield (
        "A rate in few rows scatters: an attack is above the promise only if it lies above the "
        "curve by more than 95% bands for all thresholds at once. A dash: too few withheld rows."
    )
    yield attacks(found, privacy)
    members, others = privacy.distances
    yield Grid(
        "Distance to the closest synthetic row: shown, never evidence",
        ("rows", "least", "median"),
        (
            ("members", number(float(members.min())), number(float(np.median(members)))),
            ("withheld", number(float(others.min())), number(float(np.median(others)))),
        ),
    )
    yield (
        "Distances are in real standard deviations, per root of the genes. Rows may be far from "
        "all people and still tell of them."
    )


def _classes(found: Evaluation) -> Iterator[Block]:
    yield (
        "A class that is rare is measured with the same noise as a common one, so that it fares "
        "worse. Sizes are those that the run measured, with noise."
        if found.tables.measured is not None
        else "Sizes are not shown: they are not among what was measured."
    )
    yield Grid(
        "Use, by class",
        ("class", "size, measured", "synthetic rows", "recall", "from real", "F1", "AUPR"),
        tuple(
            (
                line.name,
                number(line.measured, 0),
                f"{line.synthetic_rows:,}",
                percent(line.recall["logistic"]),
                percent(line.real_recall["logistic"]),
                number(line.f1["logistic"]),
                number(line.aupr["logistic"]),
            )
            for line in found.lines
        ),
    )
    attacked = list(found.lines[0].auc)
    yield Grid(
        "Fidelity, biology and attacks, by class",
        (
            "class",
            "Wasserstein",
            "in real sds",
            "mean |Δr|",
            "DE: TPR",
            "DE: FPR",
            *(f"AUC of {name}" for name in attacked),
        ),
        tuple(
            (
                line.name,
                number(line.wasserstein),
                number(line.wasserstein_sds),
                number(line.correlation_difference),
                percent(line.tpr),
                percent(line.fpr),
                *(number(line.auc[name]) for name in attacked),
            )
            for line in found.lines
        ),
    )
