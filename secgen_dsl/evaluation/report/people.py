"""Figures of rows: principal components, confusion of classes, attacks under the promise."""

from collections.abc import Iterator, Sequence
from math import log10

import numpy as np

from secgen_dsl.describe.figures.drawing import (
    STROKE,
    STROKE_1,
    STROKE_SOFT,
    box,
    cut,
    path,
    picture,
    text,
)
from secgen_dsl.evaluation.accuracy import LabelledTable
from secgen_dsl.evaluation.attacks import RARE, Attack
from secgen_dsl.evaluation.evaluate import Evaluation, Privacy, breaks
from secgen_dsl.evaluation.fidelity import standardised
from secgen_dsl.evaluation.report.parts import (
    COLOURS,
    LANGUAGE,
    SMALL_TEXT,
    Frame,
    Grid,
    Picture,
    marks,
    number,
    percent,
)
from secgen_dsl.evaluation.utility import Scores

_MOST_POINTS = 700
_FEW = 5  # classes whose names may be cut
_LEAST_CELL = 20  # pixels that a number takes
_LEAST = 1e-3  # the left end of the figure of attacks


def components(found: Evaluation) -> Picture:
    """Real and synthetic rows on the two leading principal components of the real ones."""
    from sklearn.decomposition import PCA

    tables = found.tables
    real, made = standardised(tables.real.values, tables.synthetic.values)
    size = min(2, real.shape[1], len(real) - 1)
    model = PCA(size, random_state=0).fit(real) if size == 2 else None
    places = [
        model.transform(each) if model is not None else np.zeros((len(each), 2))
        for each in (real, made)
    ]
    both = np.concatenate(places)
    low, high = both.min(axis=0), both.max(axis=0)
    shares = [0.0, 0.0] if model is None else model.explained_variance_ratio_.tolist()
    elements: list[str] = []
    rows = []
    sides = zip(("Real", "Synthetic"), (tables.real, tables.synthetic), places, strict=True)
    for side, (name, table, points) in enumerate(sides):
        frame = Frame(30 + 360 * side, 34, 320, 300, (low[0], low[1]), (high[0], high[1]))
        elements += frame.axes(
            f"{name} rows",
            f"component 1 ({percent(shares[0], 0)})",
            f"component 2 ({percent(shares[1], 0)})",
        )
        shown = np.random.default_rng(0).permutation(len(points))[:_MOST_POINTS]
        for kind, label in enumerate(tables.classes):
            own = [frame.at(x, y) for x, y in points[shown[table.labels[shown] == label]]]
            elements.append(marks(kind, own))
            of_class = points[table.labels == label]
            if len(of_class):
                middle = of_class.mean(axis=0)
                spread = of_class.std(axis=0)
                rows.append(
                    (
                        f"{label}, {name.lower()}",
                        *(number(value, 1) for value in (*middle, *spread)),
                    )
                )
    elements += legend(tables.classes, 380)
    height = 380 + 20 * ((len(tables.classes) + 3) // 4) + 8
    about = (
        "Rows of either kind on the two directions in which real rows vary most; one scale for "
        f"both pictures, at most {_MOST_POINTS:,} rows of each.  Synthetic rows should lie where "
        "real rows of their class lie, as widely spread.  (UMAP is not drawn: it needs further "
        "libraries, and its pictures change with its settings.)"
    )
    title = "Real and synthetic rows side by side"
    return Picture(
        "components",
        title,
        about,
        picture("components", height, title, about, LANGUAGE, elements),
        Grid(
            "Mean and standard deviation of each class",
            ("class", "component 1", "component 2", "sd of 1", "sd of 2"),
            tuple(rows),
        ),
    )


def legend(names: tuple[str, ...], top: float) -> Iterator[str]:
    """Marks with their names, four a line."""
    for kind, name in enumerate(names):
        x, y = 34 + 172 * (kind % 4), top + 20 * (kind // 4)
        yield marks(kind, [(x, y - 4)], 4.5)
        yield text(x + 12, y, cut(name, 150), SMALL_TEXT)


def confusion(found: Evaluation, learner: str, words: str) -> Picture:
    """Which class real rows are called, by what the classifier was trained on.

    Columns have the classes' names, or numbers if a name does not fit.
    """
    sides = (
        ("Trained on synthetic rows", found.synthetic_scores[learner]),
        ("Trained on real rows", found.real_scores[learner]),
    )
    classes = found.tables.classes
    cell = min(270 / len(classes), 64.0)
    numbered = any(cut(name, cell, 12) != name for name in classes) and len(classes) > _FEW
    heads = [str(k) if numbered else cut(name, cell, 12) for k, name in enumerate(classes, start=1)]
    elements: list[str] = []
    rows = []
    for side, (title, scores) in enumerate(sides):
        if not side:
            size = min(12.0, cell)
            names = [
                f"{cut(name, 62, size)} · {k}" if numbered else cut(name, 84, size)
                for k, name in zip(heads, classes, strict=True)
            ]
            elements += _names(names, 88, cell)
        elements += _matrix(scores, title, 96 + 352 * side, cell, heads)
        for name, row in zip(classes, scores.confusion, strict=True):
            rows.append((f"{name} ({title.lower()})", *(f"{count:,}" for count in row)))
    title = f"Which class real rows are called: {words}"
    about = (
        "A line for each true class, a column for each class that rows are called: share of the "
        "line, in per cent.  Where the two pictures differ, synthetic rows teach something else."
    )
    if numbered:
        about += "  Columns have the numbers of the lines."
    name = f"confusion-{learner}"
    height = 66 + cell * len(classes) + 20
    return Picture(
        name,
        title,
        about,
        picture(name, height, title, about, LANGUAGE, elements),
        Grid("Numbers of rows", ("true class", *classes), tuple(rows)),
    )


def _names(names: Sequence[str], right: float, cell: float) -> Iterator[str]:
    """Headings of lines."""
    size = min(12.0, cell)
    for row, name in enumerate(names):
        middle = 56 + row * cell + cell / 2 + size / 3
        yield text(right, middle, name, f'font-size="{size:.0f}" text-anchor="end"')


def _matrix(
    scores: Scores, title: str, left: float, cell: float, heads: Sequence[str]
) -> Iterator[str]:
    yield text(left, 20, title)
    totals = scores.confusion.sum(axis=1)
    for row, head in enumerate(heads):
        top = 56 + row * cell
        middle = left + row * cell + cell / 2
        if cell >= _LEAST_CELL or row % 5 == 4:
            yield text(middle, 48, head, f'{SMALL_TEXT} text-anchor="middle"')
        for column, count in enumerate(scores.confusion[row]):
            share = count / totals[row] if totals[row] else 0.0
            x = left + column * cell
            shade = f'fill="{COLOURS[0]}" fill-opacity="{0.6 * share:.2f}"'
            yield box(x, top, cell, cell, f'{shade} {STROKE_SOFT} stroke-width="0.6"')
            if cell >= _LEAST_CELL:
                yield text(
                    x + cell / 2, top + cell / 2 + 4, f"{100 * share:.0f}", 'text-anchor="middle"'
                )


def attacks(found: Evaluation, privacy: Privacy) -> Picture:
    """ROC curves of the attacks, under what the run promised."""
    frame = Frame(66, 34, 400, 400, (log10(_LEAST), log10(_LEAST)), (0.0, 0.0))
    elements = [*_decades(frame)]

    def line(xs: list[float], ys: list[float]) -> list[tuple[float, float]]:
        return [
            frame.at(log10(max(x, _LEAST)), log10(max(y, _LEAST)))
            for x, y in zip(xs, ys, strict=True)
        ]

    elements.append(path(line([_LEAST, 1], [_LEAST, 1]), f'{STROKE} stroke-dasharray="1.5 4"'))
    entries = [(f'{STROKE} stroke-dasharray="1.5 4"', "guessing")]
    promise = found.tables.promise
    if promise is not None:
        known = [
            (x, y)
            for x, y in zip(promise.false_alarms, promise.flagged, strict=True)
            if x >= _LEAST
        ]
        ink = f'{STROKE_1} stroke-width="2.8"'
        elements.append(path(line([x for x, _ in known], [y for _, y in known]), ink))
        entries.append((ink, f"no test is above: the plan's f-DP curve ({promise.words})"))
    kinds: dict[str, int] = {}  # by a line's words: no line is known by its colour alone
    for number_of, attack in enumerate(privacy.attacks):
        colour = COLOURS[1 + number_of]
        for each, dashes, words in (
            (attack, "", attack.name),
            *(
                (other, ' stroke-dasharray="6 4"', f"{other.name}, without noise")
                for other in privacy.unprotected
                if other.name == attack.name
            ),
        ):
            ink = f'stroke="{colour}" stroke-width="1.6"{dashes}'
            points = line(*_shown(each))
            elements.append(path(points, ink))
            some = range(len(points) // 6, len(points), max(len(points) // 3, 1))
            elements.append(marks(1 + number_of, [points[place] for place in some], 4.0))
            entries.append((ink, words))
            kinds[words] = 1 + number_of
    top = 44.0
    for ink, words in entries:
        elements.append(path([(490, top - 4), (516, top - 4)], ink))
        if words in kinds:
            elements.append(marks(kinds[words], [(503, top - 4)], 4.0))
        for each_line in _wrapped(words, 190):
            elements.append(text(524, top, each_line, SMALL_TEXT))
            top += 16
        top += 6
    title = "Attacks on membership, and what the promise allows"
    about = (
        "Across: share of people who took no part and are wrongly flagged; up: share of members "
        "who are flagged; both logarithmic.  Rates below "
        f"{percent(1 / len(privacy.attacks[0].others), 2)} cannot be told from 0 with so few "
        "withheld rows: curves begin there."
    )
    return Picture(
        "attacks",
        title,
        about,
        picture("attacks", 486, title, about, LANGUAGE, elements),
        attack_table(found, privacy),
    )


def _shown(attack: Attack) -> tuple[list[float], list[float]]:
    """The ROC curve from where one of the others is flagged on: before, rates are unknown."""
    x, y = attack.roc()
    least = 1 / len(attack.others)
    later = x >= least * (1 + 1e-9)
    return [least, least, *x[later]], [_LEAST, float(y[~later].max()), *y[later]]


def _decades(frame: Frame) -> Iterator[str]:
    for power in range(-3, 1):
        x, bottom = frame.at(power, frame.low[1])
        left, y = frame.at(frame.low[0], power)
        words = percent(10.0**power, 1 if power < -2 else 0)
        yield path([(left, y), (left + frame.width, y)], f'{STROKE_SOFT} stroke-width="0.6"')
        yield text(left - 8, y + 4, words, f'{SMALL_TEXT} text-anchor="end"')
        yield text(x, bottom + 18, words, f'{SMALL_TEXT} text-anchor="middle"')
    corner = frame.at(*frame.low)
    yield path([(frame.left, frame.top), corner, (frame.left + frame.width, corner[1])], STROKE)
    yield text(frame.left - 50, frame.top - 14, "members flagged")
    middle = frame.left + frame.width / 2
    yield text(middle, corner[1] + 38, "others flagged", 'text-anchor="middle"')


def _wrapped(words: str, room: float) -> list[str]:
    from secgen_dsl.describe.figures.drawing import SMALL, wrapped

    return wrapped(words, room, SMALL)


def attack_table(found: Evaluation, privacy: Privacy) -> Grid:
    """What every attack reached, and whether it counts."""
    words = {None: "no promise known", False: "no", True: "yes, beyond chance"}

    def row(attack: Attack, name: str, above: str, counts: str) -> tuple[str, ...]:
        return (
            name,
            number(attack.auc),
            "< 0.0001" if attack.p_value < 1e-4 else number(attack.p_value, 4),
            *(percent(attack.flagged(rate)) for rate in RARE),
            above,
            counts,
        )

    rows = [
        row(
            each,
            each.name,
            words[breaks(found.tables.promise, each)],
            "yes" if privacy.evidence(each) else "not counted as evidence",
        )
        for each in privacy.attacks
    ]
    rows += [
        row(each, f"{each.name}, without noise", "", "succeeds" if each.succeeds else "fails")
        for each in privacy.unprotected
    ]
    return Grid(
        "Attacks on membership",
        (
            "attack",
            "AUC",
            "p of chance",
            "TPR at FPR 0.1%",
            "TPR at FPR 1%",
            "above the promise",
            "counts",
        ),
        tuple(rows),
    )


def rows_of(table: LabelledTable | None) -> str:
    """How many rows a table has, in words."""
    return "none" if table is None else f"{len(table.labels):,}"
