"""Figures of genes: densities, differential expression, co-expression."""

from collections.abc import Iterator
from math import log10

import numpy as np

from secgen_dsl.describe.figures.drawing import (
    STROKE,
    STROKE_1,
    STROKE_2,
    WIDTH,
    cut,
    length,
    path,
    picture,
    text,
)
from secgen_dsl.evaluation.accuracy import Floats
from secgen_dsl.evaluation.biology import LEVEL, Agreement, Expressed, correlation
from secgen_dsl.evaluation.coexpression import gene_order
from secgen_dsl.evaluation.evaluate import Evaluation
from secgen_dsl.evaluation.report.parts import (
    LANGUAGE,
    SMALL_TEXT,
    Frame,
    Grid,
    Picture,
    bitmap,
    marks,
    number,
    percent,
)

_PIXELS = 240  # of a heat map's side at most
_HIGHEST = 60.0  # −log10 of an adjusted p; beyond, points lie at the top
_LISTED = 20


def densities(found: Evaluation) -> Picture:
    """Densities of the genes that are worst, typical and best."""
    tables, fidelity = found.tables, found.fidelity
    order = np.argsort(np.where(np.isnan(fidelity.sds), -1.0, fidelity.sds))
    order = order[~np.isnan(fidelity.sds[order])][::-1]
    middle = len(order) // 2
    chosen = dict.fromkeys(
        (int(gene), words)
        for words, some in (
            ("worst", order[:2]),
            ("typical", order[middle : middle + 2]),
            ("best", order[-2:]),
        )
        for gene in some
    )
    elements: list[str] = []
    for place, (gene, words) in enumerate(chosen):
        real, made = tables.real.values[:, gene], tables.synthetic.values[:, gene]
        low, high = float(min(real.min(), made.min())), float(max(real.max(), made.max()))
        grid = np.linspace(low, high, 90)
        lines = [_density(each, grid) for each in (real, made)]
        top = max(line.max() for line in lines)
        left, up = 24 + 232 * (place // 2), 34 + 166 * (place % 2)
        frame = Frame(left, up, 200, 104, (low, 0.0), (high, float(top)))
        name = cut(tables.genes[gene], 200 - length(f" ({words})"))
        elements += frame.axes(f"{name} ({words})")
        for line, ink in zip(
            lines,
            (f'{STROKE_1} stroke-width="2"', f'{STROKE_2} stroke-width="2" stroke-dasharray="5 3"'),
            strict=True,
        ):
            elements.append(path([frame.at(x, y) for x, y in zip(grid, line, strict=True)], ink))
    for place, (words, ink) in enumerate((("real", STROKE_1), ("synthetic", STROKE_2))):
        x = 24 + 120 * place
        dashes = ' stroke-dasharray="5 3"' if place else ""
        elements.append(path([(x, 354), (x + 30, 354)], f'{ink} stroke-width="2"{dashes}'))
        elements.append(text(x + 38, 358, words, SMALL_TEXT))
    title = "Densities of the worst, typical and best genes"
    unit = f" ({tables.unit})" if tables.unit else ""
    about = (
        f"Kernel densities of real and synthetic values{unit}.  Worst and best by the Wasserstein "
        "distance in standard deviations of the real rows."
    )
    worst = [int(gene) for gene in order[:_LISTED]]
    return Picture(
        "densities",
        title,
        about,
        picture("densities", 372, title, about, LANGUAGE, elements),
        Grid(
            "The genes of greatest distance",
            ("gene", "Wasserstein", "in real sds", "total variation of its table"),
            tuple(
                (
                    tables.genes[gene],
                    number(fidelity.wasserstein[gene]),
                    number(fidelity.sds[gene]),
                    number(fidelity.total_variation[gene]),
                )
                for gene in worst
            ),
        ),
    )


def _density(values: Floats, grid: Floats) -> Floats:
    """A Gaussian kernel estimate, with Silverman's bandwidth (1986)."""
    width = 0.9 * values.std() * len(values) ** -0.2
    width = max(width, (grid[-1] - grid[0]) / 60, 1e-9)
    kernels = np.exp(-0.5 * ((grid[:, None] - values) / width) ** 2)
    found: Floats = kernels.mean(axis=1) / (width * np.sqrt(2 * np.pi))
    return found


_KINDS = ("called in both", "in synthetic rows only", "in real rows only")


def volcano(found: Evaluation, pair: Agreement, place: int) -> Picture:
    """Differential expression of a pair of classes in both tables, with their agreement."""
    both = (pair.real, pair.synthetic)
    wide = max(float(np.abs(each.difference).max()) for each in both) or 1.0
    high = max(float(_height(each).max()) for each in both)
    high = max(high, 3.0)
    called, made = pair.real.called, pair.synthetic.called
    kinds = (called & made, ~called & made, called & ~made)
    elements: list[str] = []
    for side, (words, each) in enumerate(zip(("Real", "Synthetic"), both, strict=True)):
        frame = Frame(30 + 360 * side, 34, 320, 240, (-wide, 0.0), (wide, high))
        elements += frame.axes(f"{words} rows", "difference", "−log10 q")
        level = [frame.at(x, -log10(LEVEL)) for x in (-wide, wide)]
        elements.append(path(level, f'{STROKE} stroke-width="0.8" stroke-dasharray="1.5 4"'))
        points = [frame.at(x, y) for x, y in zip(each.difference, _height(each), strict=True)]
        rest = [points[gene] for gene in np.flatnonzero(~(called | made))]
        dots = "".join(f"M{x:.0f} {y:.0f}h0" for x, y in rest) or "M0 0"
        elements.append(
            f'<path d="{dots}" fill="none" class="figure-stroke-soft" stroke="#a8a8a8" '
            'stroke-width="2.6" stroke-linecap="round"/>'
        )
        for kind, those in enumerate(kinds):
            elements.append(marks(kind, [points[gene] for gene in np.flatnonzero(those)], 2.4))
    for kind, those in enumerate(kinds):
        x = 34 + 228 * kind
        elements.append(marks(kind, [(x, 318)], 4.5))
        elements.append(text(x + 12, 322, f"{_KINDS[kind]} ({those.sum():,})", SMALL_TEXT))
    title = f"{pair.first} against {pair.second}: differential expression"
    about = (
        f"True positive rate {percent(pair.tpr)} at a false positive rate of {percent(pair.fpr)}"
        + (
            f"; of the genes called in both, {percent(pair.same_direction)} go in one direction"
            if kinds[0].any()
            else ""
        )
        + ".  Each "
        "gene has the same mark in both pictures; small dots are called in neither "
        f"({(~(called | made)).sum():,}).  Above the dotted line q is below {LEVEL}."
    )
    strongest = np.argsort(pair.real.adjusted, kind="stable")[:_LISTED]
    name = f"volcano-{place}"
    return Picture(
        name,
        title,
        about,
        picture(name, 336, title, about, LANGUAGE, elements),
        Grid(
            "The genes of least q in real rows",
            ("gene", "difference, real", "synthetic", "q, real", "synthetic"),
            tuple(
                (
                    found.tables.genes[gene],
                    number(pair.real.difference[gene], 2),
                    number(pair.synthetic.difference[gene], 2),
                    f"{pair.real.adjusted[gene]:.1e}",
                    f"{pair.synthetic.adjusted[gene]:.1e}",
                )
                for gene in strongest
            ),
        ),
    )


def _height(each: Expressed) -> Floats:
    found: Floats = np.minimum(-np.log10(np.maximum(each.adjusted, 1e-300)), _HIGHEST)
    return found


def heat_maps(found: Evaluation) -> Picture:
    """Correlations of all genes in both tables, in one order."""
    tables = found.tables
    order = gene_order(tables.real.values)
    maps = [
        correlation(each.values)[np.ix_(order, order)] for each in (tables.real, tables.synthetic)
    ]
    side = 330
    elements: list[str] = []
    for place, (words, values) in enumerate(zip(("Real", "Synthetic"), maps, strict=True)):
        left = 10 + 360 * place
        elements.append(text(left, 20, f"{words} rows"))
        elements.append(
            f'<image x="{left}" y="32" width="{side}" height="{side}" '
            f'preserveAspectRatio="none" style="image-rendering: pixelated" '
            f'href="{bitmap(_fewer(values))}"/>'
        )
    elements += _scale(384)
    title = "Co-expression, genes in one order"
    about = (
        "Pearson correlation of each pair of genes; genes are ordered by average linkage of the "
        f"real rows, the same in both.  Mean |Δr| {number(found.coexpression.mean_difference)}."
    )
    if len(order) > _PIXELS:
        about += f"  Of {len(order):,} genes, squares of neighbours are averaged."
    first, second = np.triu_indices(len(order), 1)
    real, made = maps[0][first, second], maps[1][first, second]
    worst = np.argsort(-np.abs(real - made))[:_LISTED]
    return Picture(
        "coexpression",
        title,
        about,
        picture("coexpression", 412, title, about, LANGUAGE, elements),
        Grid(
            "The pairs that differ most",
            ("genes", "r, real", "r, synthetic"),
            tuple(
                (
                    f"{tables.genes[order[first[pair]]]}, {tables.genes[order[second[pair]]]}",
                    number(real[pair], 2),
                    number(made[pair], 2),
                )
                for pair in worst
            ),
        ),
    )


def _fewer(values: Floats) -> Floats:
    """A map of at most ``_PIXELS`` a side: means of squares of neighbours."""
    size = len(values)
    if size <= _PIXELS:
        return values
    starts = np.linspace(0, size, _PIXELS, endpoint=False).astype(np.int64)
    widths = np.diff(np.append(starts, size)).astype(np.float64)
    sums = np.add.reduceat(np.add.reduceat(values, starts, axis=0), starts, axis=1)
    found: Floats = sums / np.outer(widths, widths)
    return found


def _scale(top: float) -> Iterator[str]:
    """The colours of correlations from −1 to 1."""
    values = np.linspace(-1, 1, 101)[None, :]
    yield (
        f'<image x="{WIDTH - 250}" y="{top}" width="160" height="10" preserveAspectRatio="none" '
        f'href="{bitmap(values)}"/>'
    )
    yield text(WIDTH - 258, top + 10, "r = −1", f'{SMALL_TEXT} text-anchor="end"')
    yield text(WIDTH - 82, top + 10, "1", SMALL_TEXT)


def class_means(found: Evaluation) -> Picture | None:
    """Mean scores of gene sets by class, real against synthetic; None without sets."""
    sets = found.sets
    if sets is None or not sets.names:
        return None
    known = np.concatenate([sets.real_means.ravel(), sets.synthetic_means.ravel()])
    most = float(np.nanmax(np.abs(known))) or 1.0
    frame = Frame(40, 34, 330, 330, (-most, -most), (most, most))
    elements = frame.axes("Mean scores", "real", "synthetic", 2)
    elements.append(
        path([frame.at(-most, -most), frame.at(most, most)], 'stroke="#a8a8a8" stroke-width="1"')
    )
    classes = found.tables.classes
    for kind in range(len(classes)):
        points = [
            frame.at(x, y)
            for x, y in zip(sets.real_means[kind], sets.synthetic_means[kind], strict=True)
            if not np.isnan(x + y)
        ]
        elements.append(marks(kind, points, 3.4))
        elements.append(marks(kind, [(420, 52 + 22 * kind)], 4.5))
        elements.append(text(434, 56 + 22 * kind, cut(classes[kind], 270), SMALL_TEXT))
    title = "Gene sets: mean scores of classes, real and synthetic"
    about = (
        "A mark for each set and class; on the line, synthetic rows have the real mean.  "
        f"Correlation {number(sets.class_correlation)}."
    )
    rows = tuple(
        (
            name,
            f"{sets.genes[place]}",
            *(
                f"{number(sets.real_means[kind, place], 2)} / "
                f"{number(sets.synthetic_means[kind, place], 2)}"
                for kind in range(len(classes))
            ),
        )
        for place, name in enumerate(sets.names)
    )
    return Picture(
        "sets",
        title,
        about,
        picture("sets", max(400, 52 + 22 * len(classes)), title, about, LANGUAGE, elements),
        Grid("Mean scores, real / synthetic", ("set", "genes", *classes), rows),
    )
