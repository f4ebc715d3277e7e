"""The whole evaluation of a synthetic table: every metric, with what it was computed from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from secgen_dsl.diagnostics.diagnostic import Diagnostic, fail
from secgen_dsl.evaluation.accuracy import Floats, LabelledTable
from secgen_dsl.evaluation.attacks import Attack, attack_all, closest_distances
from secgen_dsl.evaluation.biology import (
    Agreement,
    SetScores,
    differential_expression,
    set_scores,
)
from secgen_dsl.evaluation.coexpression import Coexpression, coexpression
from secgen_dsl.evaluation.fairness import FEWEST, ClassLine, by_class
from secgen_dsl.evaluation.fidelity import (
    discriminator_auc,
    in_real_sds,
    mmd_squared,
    quantile_edges,
    standardised,
    table_total_variation,
    wasserstein,
)
from secgen_dsl.evaluation.utility import LEARNERS, Scores, cross_validate, train_and_test

_BINS = 4
_OTHER_UNIT = 5.0  # real standard deviations: no noise moves the mean of half of the genes so far


@dataclass(frozen=True)
class Promise:
    """What a run promised, for the figure of the attacks.

    Attributes:
        words: the budget in words.
        false_alarms: shares of others that a test wrongly flags, rising.
        flagged: for each, at most so great a share of participants is flagged.
    """

    words: str
    false_alarms: tuple[float, ...]
    flagged: tuple[float, ...]


@dataclass(frozen=True)
class Tables:
    """What is compared.  All tables have the same genes.

    Attributes:
        genes: their names.
        classes: that are told apart; rows with other labels count in what asks for no class.
        unit: of the values; empty: not known.
        real: rows that the synthetic ones were made from.
        synthetic: the synthetic rows.
        holdout: real rows that nothing was made from, of the same population; or None.
        reference: public rows, with empty labels if they have none; or None.
        unprotected: synthetic rows from a run on the same real rows without noise; or None.
        sets: gene sets by name.
        edges: inner edges of each gene's public bins; None: quartiles of the real rows are taken.
        measured: class → its size as measured, with noise; None: no table has it.
        promise: of the run; None: none is known.
        warnings: of the reading, SG714 and SG715: what is left out.
    """

    genes: tuple[str, ...]
    classes: tuple[str, ...]
    unit: str
    real: LabelledTable
    synthetic: LabelledTable
    holdout: LabelledTable | None = None
    reference: LabelledTable | None = None
    unprotected: LabelledTable | None = None
    sets: Mapping[str, Sequence[str]] | None = None
    edges: Sequence[Floats] | None = None
    measured: Mapping[str, float] | None = None
    promise: Promise | None = None
    warnings: tuple[Diagnostic, ...] = ()


@dataclass(frozen=True)
class Fidelity:
    """See ``evaluation.fidelity``.  ``wasserstein`` and ``sds`` are of each gene."""

    wasserstein: Floats
    sds: Floats
    total_variation: Floats
    mmd_squared: float
    discriminator: Mapping[str, float]


@dataclass(frozen=True)
class Privacy:
    """Attacks on membership, if there are withheld rows.

    Attributes:
        attacks: on the synthetic rows.
        unprotected: the same attacks on the run without noise; empty: there is none.
        reference: what the attacker knows of others, in words.
        distances: of the members, and of the withheld rows, to the closest synthetic row.
    """

    attacks: tuple[Attack, ...]
    unprotected: tuple[Attack, ...]
    reference: str
    distances: tuple[Floats, Floats]

    def evidence(self, attack: Attack) -> bool:
        """Whether the attack counts: it succeeds where there is no noise."""
        return any(each.name == attack.name and each.succeeds for each in self.unprotected)


def breaks(promise: Promise | None, attack: Attack) -> bool | None:
    """Whether an attack does better than was promised, beyond chance; None without a promise."""
    return None if promise is None else attack.exceeds(promise.false_alarms, promise.flagged)


@dataclass(frozen=True)
class Evaluation:
    """Everything that was found.

    Attributes:
        tables: that were compared, without classes of too few rows.
        withheld: whether the classifiers were tested on withheld rows.
        synthetic_scores: by learner, trained on synthetic rows.
        real_scores: by learner, trained on real rows; cross-validated if none are withheld.
        pairs: differential expression of each pair of classes.
        sets: None without gene sets.
        privacy: None without withheld rows.
        lines: every metric by class.
        warnings: those of the tables, and SG716, SG719, SG720.
    """

    tables: Tables
    withheld: bool
    synthetic_scores: Mapping[str, Scores]
    real_scores: Mapping[str, Scores]
    fidelity: Fidelity
    pairs: tuple[Agreement, ...]
    coexpression: Coexpression
    sets: SetScores | None
    privacy: Privacy | None
    lines: tuple[ClassLine, ...]
    warnings: tuple[Diagnostic, ...]


def evaluate(tables: Tables, seed: int = 0) -> Evaluation:
    """Compute every metric.

    Args:
        tables: finite values; ten rows or more of each table.
        seed: of folds, and of rows that are drawn.

    Raises:
        SecgenError: SG717, fewer than two classes have enough rows.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):  # tables are small: threads mostly wait for each other
        return _evaluate(tables, seed)


def _evaluate(tables: Tables, seed: int) -> Evaluation:
    tables, warnings = _with_enough_rows(tables)
    warnings += _warn_of_units(tables)
    real, made, classes = tables.real, tables.synthetic, tables.classes
    test = tables.holdout or real
    scores: dict[str, Scores] = {}
    real_scores: dict[str, Scores] = {}
    for learner in LEARNERS:
        scores[learner] = train_and_test(
            made.values, made.labels, test.values, test.labels, classes, learner, seed
        )
        if tables.holdout is None:
            real_scores[learner] = cross_validate(
                real.values, real.labels, classes, learner, seed=seed
            )
        else:
            real_scores[learner] = train_and_test(
                real.values, real.labels, test.values, test.labels, classes, learner, seed
            )
    pairs = differential_expression(real.values, real.labels, made.values, made.labels, classes)
    privacy = _privacy(tables, seed)
    if privacy is None and (tables.unprotected or tables.reference):
        warnings.append(
            Diagnostic(
                "SG719",
                "attacks on membership are left out: no people are known who took no part",
                "warning",
                place="--holdout",
                next_step="withhold some patients from the run, and give them with --holdout",
            )
        )
    sets = None
    if tables.sets is not None:
        sets = set_scores(
            real.values,
            real.labels,
            made.values,
            made.labels,
            tables.genes,
            tables.sets,
            classes,
        )
    lines = by_class(
        real.values,
        real.labels,
        made.values,
        made.labels,
        classes,
        scores,
        real_scores,
        pairs,
        () if privacy is None else privacy.attacks,
        real.labels,
        None if tables.holdout is None else _targets(tables, seed)[0].labels,
        tables.measured,
    )
    return Evaluation(
        tables=tables,
        withheld=tables.holdout is not None,
        synthetic_scores=scores,
        real_scores=real_scores,
        fidelity=_fidelity(tables, seed),
        pairs=pairs,
        coexpression=coexpression(real.values, made.values),
        sets=sets,
        privacy=privacy,
        lines=lines,
        warnings=tuple(warnings),
    )


def _with_enough_rows(tables: Tables) -> tuple[Tables, list[Diagnostic]]:
    """The tables with the classes that can be judged, and warnings of the others."""
    sizes = {name: int(np.sum(tables.real.labels == name)) for name in tables.classes}
    few = [
        name
        for name in tables.classes
        if sizes[name] < FEWEST
        or (tables.holdout is not None and not np.any(tables.holdout.labels == name))
    ]
    kept = tuple(name for name in tables.classes if name not in few)
    warnings = list(tables.warnings)
    if few and len(kept) > 1:
        names = ", ".join(f'"{name}"' for name in few)
        warnings.append(
            Diagnostic(
                "SG716",
                f"left out for too few rows: {names}",
                "warning",
                place="evaluation",
                next_step=f"a class needs {FEWEST} real rows, and a withheld one if some are "
                "withheld; or merge classes",
            )
        )
    if len(kept) < 2 or not np.isin(tables.synthetic.labels, kept).any():
        raise fail(
            "SG717",
            "fewer than two classes have enough rows; real ones: "
            + ", ".join(_counted(tables, name, size) for name, size in sizes.items()),
            place="evaluation",
            next_step=f"give real rows with two labels or more, {FEWEST} of each (and withheld "
            "ones of each, if some are withheld), and synthetic rows with the same labels",
        )
    lost = [name for name in kept if not np.any(tables.synthetic.labels == name)]
    if lost:
        warnings.append(
            Diagnostic(
                "SG716",
                "no synthetic row is of " + ", ".join(f'"{name}"' for name in lost),
                "warning",
                place="evaluation",
                next_step="whoever uses the rows will not know of the class: draw more rows, or "
                "merge it with another",
            )
        )
    return replace(tables, classes=kept), warnings


def _warn_of_units(tables: Tables) -> list[Diagnostic]:
    """SG720: tables whose genes differ so much that one of them is in another unit."""
    found = []
    for words, table in (
        ("synthetic", tables.synthetic),
        ("withheld", tables.holdout),
        ("reference", tables.reference),
        ("unprotected", tables.unprotected),
    ):
        if table is None:
            continue
        gaps = np.abs(table.values.mean(axis=0) - tables.real.values.mean(axis=0))
        sds = in_real_sds(gaps, tables.real.values)
        known = sds[~np.isnan(sds)]
        if known.size and np.median(known) > _OTHER_UNIT:
            found.append(
                Diagnostic(
                    "SG720",
                    f"the {words} rows look like another unit: half of the genes' means differ "
                    f"from the real ones by {np.median(known):,.0f} real standard deviations or "
                    "more",
                    "warning",
                    place=words + " rows",
                    next_step="give both tables in one unit, for example both as log2(x + 1): "
                    "until then the figures say nothing of the rows",
                )
            )
    return found


def _counted(tables: Tables, name: str, size: int) -> str:
    held = tables.holdout
    withheld = "" if held is None else f" (withheld {np.sum(held.labels == name):,})"
    return f'"{name}" {size:,}{withheld}'


def _fidelity(tables: Tables, seed: int) -> Fidelity:
    real, made = tables.real, tables.synthetic
    edges = tables.edges or quantile_edges(real.values, _BINS)
    distances = wasserstein(real.values, made.values)
    return Fidelity(
        wasserstein=distances,
        sds=in_real_sds(distances, real.values),
        total_variation=table_total_variation(
            real.values, real.labels, made.values, made.labels, edges, tables.classes
        ),
        mmd_squared=mmd_squared(real.values, made.values),
        discriminator={
            learner: discriminator_auc(real.values, made.values, learner, seed=seed)
            for learner in LEARNERS
        },
    )


def _targets(tables: Tables, seed: int) -> tuple[LabelledTable, LabelledTable]:
    """The people who took no part and are attacked, and those that the attacker knows."""
    held = tables.holdout
    if held is None:
        raise ValueError("no rows are withheld")
    if tables.reference is not None:
        return held, tables.reference
    order = np.random.default_rng(seed).permutation(len(held.labels))
    halves = np.array_split(order, 2)
    one, other = (LabelledTable(held.values[rows], held.labels[rows]) for rows in halves)
    return one, other


def _privacy(tables: Tables, seed: int) -> Privacy | None:
    if tables.holdout is None:
        return None
    others, known = _targets(tables, seed)

    def attacked(made: LabelledTable) -> tuple[Attack, ...]:
        return attack_all(
            tables.real.values,
            tables.real.labels,
            others.values,
            others.labels,
            made.values,
            made.labels,
            known.values,
            known.labels,
            tables.edges,
        )

    _, made, members, held = standardised(
        tables.real.values, tables.synthetic.values, tables.real.values, others.values
    )
    half = "half of the withheld rows (the other half is attacked)"
    return Privacy(
        attacks=attacked(tables.synthetic),
        unprotected=() if tables.unprotected is None else attacked(tables.unprotected),
        reference=half if tables.reference is None else "the reference's rows",
        distances=(closest_distances(members, made), closest_distances(held, made)),
    )
