"""Reads what `secgen evaluate` compares: a run or a pair of tables."""

import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from secgen_dsl.cli.more_rows import RECORD, opened_run
from secgen_dsl.diagnostics.diagnostic import Diagnostic, SecgenError, fail, for_the_site
from secgen_dsl.evaluation.accuracy import Floats, LabelledTable, Labels
from secgen_dsl.evaluation.evaluate import Promise, Tables
from secgen_dsl.evaluation.frames import (
    Frame,
    common_genes,
    common_label,
    finite,
    first_few,
    joined,
    left_out,
    read_frame,
    require_rows,
    single_class,
)
from secgen_dsl.ir.program import CategoryColumn, decimal_text
from secgen_dsl.ir.queries import Marginal

if TYPE_CHECKING:
    from secgen_dsl.ir.plan import Measurements, Plan
    from secgen_dsl.ir.program import Panel, Program
    from secgen_dsl.queries.table import SampleTable

_CURVE = tuple(10 ** (-4 + step / 25) for step in range(101))


@dataclass(frozen=True)
class Given:
    """The files that were given; see the command's options."""

    synthetic: Path
    real: Sequence[Path]
    holdout: Sequence[Path] = ()
    reference: Path | None = None
    unprotected: Path | None = None
    label: str | None = None
    sets: Path | None = None


def read_tables(given: Given) -> tuple[Tables, str]:
    """Read everything.

    Returns:
        The tables, and the name of the label column.

    Raises:
        SecgenError: SG531 the folder holds no results of a run; SG713–SG715, SG717, SG718 tables
            that cannot be compared; SG213 gene sets; SG411–SG428 a site's files.
    """
    sets = None
    if given.sets is not None:
        from secgen_dsl.public.files import read_public_file
        from secgen_dsl.public.sets import gene_sets

        sets = gene_sets(read_public_file(Path(), str(given.sets)))
    if given.synthetic.is_dir() and not (given.synthetic / RECORD).is_file():
        return _of_run(given, sets)
    return _of_tables(given, sets)


# -- any pair of tables --------------------------------------------------------------------------


def _of_tables(given: Given, sets: Mapping[str, Sequence[str]] | None) -> tuple[Tables, str]:
    descriptions = [path for path in (*given.real, *given.holdout) if path.suffix == ".toml"]
    if descriptions:
        raise fail(
            "SG713",
            "a site.toml is read as a study's plan says, and no run's folder is given",
            place=str(descriptions[0]),
            next_step="give the results' folder of the run, or the table itself",
        )
    made = _synthetic_rows(given.synthetic)
    real = [read_frame(path) for path in given.real]
    held = [read_frame(path) for path in given.holdout]
    for frame in (made, *real, *held):
        require_rows(len(frame.data), frame.path)
    label = given.label or common_label([made, *real])
    genes = common_genes([made, *real, *held], label)

    def table(frames: Sequence[Frame]) -> LabelledTable:
        return joined([LabelledTable(each.values(genes), each.labels(label)) for each in frames])

    ours, theirs = table([made]), table(real)
    shared = np.intersect1d(ours.labels, theirs.labels)
    classes = tuple(name for name in shared.tolist() if name)
    if not classes:
        raise fail(
            "SG715",
            f'no value of "{label}" is in both real and synthetic rows',
            place=str(given.synthetic),
            next_step="spell the labels alike, or give another column with --label",
        )
    if len(set(ours.labels.tolist()) - {""}) == 1 < len(set(theirs.labels.tolist()) - {""}):
        raise SecgenError([single_class(label, made.path)])
    return Tables(
        genes=genes,
        classes=classes,
        unit="",
        warnings=(
            *_warn_of_columns([made, *real, *held], genes, label),
            *_warn_of_labels(ours.labels, theirs.labels, label),
        ),
        real=theirs,
        synthetic=ours,
        holdout=table(held) if held else None,
        reference=_reference(given, {gene: (gene,) for gene in genes}, label),
        unprotected=None
        if given.unprotected is None
        else table([_synthetic_rows(given.unprotected)]),
        sets=sets,
    ), label


def _warn_of_columns(
    frames: Sequence[Frame], genes: Sequence[str], label: str
) -> Iterator[Diagnostic]:
    """Columns that are not compared may be genes that a table lacks, or holds as words."""
    names = left_out(frames, genes, label)
    if names:
        yield Diagnostic(
            "SG714",
            f"{len(genes):,} columns are compared; {len(names):,} are left out, for not all tables "
            f"hold them as numbers: {first_few(names)}",
            "warning",
            place=str(frames[0].path),
            next_step="if genes are among them, name them alike and mend cells that are no numbers",
        )


def _warn_of_labels(made: Labels, real: Labels, label: str) -> Iterator[Diagnostic]:
    """A class that only one table has is not judged."""
    lost, extra = (
        [f'"{name}" ({words} rows only)' for name in np.setdiff1d(some, others).tolist() if name]
        for some, others, words in ((real, made, "real"), (made, real, "synthetic"))
    )
    if lost and extra:
        advice = "spell the labels alike, if some are the same"
    elif lost:
        advice = "draw rows of these, too, if they were not left out on purpose"
    else:
        advice = "give real rows of these, too, to judge them"
    if lost or extra:
        yield Diagnostic(
            "SG715",
            f'values of "{label}" that are left out: {first_few([*lost, *extra])}',
            "warning",
            place=label,
            next_step=advice + "; a class that has no synthetic rows is lost to whoever uses them"
            if lost
            else advice,
        )


def _synthetic_rows(path: Path) -> Frame:
    """The rows of a run's folder, or of a table."""
    if not path.is_dir():
        return read_frame(path)
    for name in ("synthetic.csv", "synthetic.h5ad"):
        if (path / name).is_file():
            return read_frame(path / name)
    return read_frame(path / "synthetic.csv")


def _reference(
    given: Given, columns: Mapping[str, Sequence[str]], label: str
) -> LabelledTable | None:
    if given.reference is None:
        return None
    frame = read_frame(given.reference)
    values = frame.values([_present(frame, names) for names in columns.values()])
    if label in frame.data:
        return LabelledTable(values, frame.labels(label))
    return LabelledTable(values, np.full(len(values), "", dtype=np.str_))


def _present(frame: Frame, names: Sequence[str]) -> str:
    """The one of a gene's possible names that the table has; else the last."""
    return next((name for name in names if name in frame.data), names[-1])


# -- a run ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Gene:
    """A gene of a panel, and the names that its column in ``synthetic.csv`` may have."""

    panel: "Panel"
    symbol: str

    @property
    def columns(self) -> tuple[str, ...]:
        full = f"{self.panel.name}.{self.symbol}"
        return full, f"expr:{self.symbol}", self.symbol


def _of_run(given: Given, sets: Mapping[str, Sequence[str]] | None) -> tuple[Tables, str]:
    from secgen_dsl.verifier import verify

    plan, measurements, _ = opened_run(given.synthetic)
    verify(plan)
    program = plan.program
    label = _label(program, given)
    made = _synthetic_rows(given.synthetic)
    every = [_Gene(panel, symbol) for panel in program.panels for symbol in panel.genes]
    genes = {}
    for gene in every:
        name = _present(made, gene.columns)
        if name in made.data and name not in genes:
            genes[name] = gene
    if len(genes) < 2:
        raise fail(
            "SG714",
            "the run's synthetic rows have fewer than two genes",
            place=str(made.path),
            next_step="evaluate a run whose spec has a panel",
        )
    names = list(genes)

    def made_table(frame: Frame) -> LabelledTable:
        own = [_present(frame, genes[name].columns) for name in names]
        return LabelledTable(frame.values(own), frame.labels(label.name))

    def real_table(paths: Sequence[Path]) -> LabelledTable:
        return joined([_read_real(program, path, list(genes.values()), label) for path in paths])

    return Tables(
        genes=tuple(genes[name].symbol for name in names)
        if len({gene.symbol for gene in genes.values()}) == len(genes)
        else tuple(names),
        classes=tuple(value for value in label.values if value != label.otherwise),
        unit=", ".join(dict.fromkeys(gene.panel.unit for gene in genes.values())),
        real=real_table(given.real),
        synthetic=made_table(made),
        holdout=real_table(given.holdout) if given.holdout else None,
        reference=_reference(
            given, {name: gene.columns for name, gene in genes.items()}, label.name
        ),
        unprotected=None
        if given.unprotected is None
        else made_table(_synthetic_rows(given.unprotected)),
        sets=sets,
        edges=_edges(plan, measurements, list(genes.values())),
        measured=_measured(plan, measurements, label),
        promise=_promise(plan),
    ), label.name


def _label(program: "Program", given: Given) -> CategoryColumn:
    """The column whose values are the classes: as asked for, else the first beside a panel."""
    columns = {c.name: c for c in program.columns if isinstance(c, CategoryColumn)}
    wanted = [given.label] if given.label else []
    if not wanted:
        wanted = [
            name
            for query in program.queries
            if query.panel
            for name in getattr(query, "columns", ())
        ]
    for name in wanted:
        if name in columns:
            return columns[name]
    raise fail(
        "SG715",
        f'the spec has no category column "{given.label}"'
        if given.label
        else "no category column is measured beside a panel",
        place=str(given.synthetic),
        next_step="give one of the spec's with --label: " + ", ".join(columns)
        if columns
        else "evaluate a run whose spec has a column of categories",
    )


def _read_real(
    program: "Program", path: Path, genes: Sequence[_Gene], label: CategoryColumn
) -> LabelledTable:
    """A site's samples, read as its party reads them."""
    from secgen_dsl.runtime.site.read import read_site

    if not path.is_file():
        read_frame(path)  # says what is wrong
    try:
        # Any key will do: which of a person's samples count is drawn anew, not how many.
        table, _ = read_site(program, path, secrets.token_bytes(32), "")
    except SecgenError as error:
        raise for_the_site(error) from error
    values = np.column_stack([_expression(table, gene) for gene in genes])
    texts = table.categories[label.name]
    labels = np.where(np.isin(texts, label.values), texts, label.otherwise or "")
    symbols = [gene.symbol for gene in genes]
    return LabelledTable(finite(values, symbols, path, as_in_file=False), labels)


def _expression(table: "SampleTable", gene: _Gene) -> Floats:
    """A gene's values in its panel's unit, clamped to the panel's range as they are binned."""
    panel = gene.panel
    values: Floats = table.expression[gene.symbol]
    if panel.counts is not None:
        sizes = table.library_sizes[panel.name]
        values = np.where(values >= 0, np.log2(1e6 * np.maximum(values, 0) / sizes + 1), np.nan)
    if panel.missing is not None:
        values = np.where(np.isnan(values), float(panel.missing), values)
    clamped: Floats = np.clip(values, float(panel.low), float(panel.high))
    return clamped


def _edges(
    plan: "Plan", measurements: "Measurements", genes: Sequence[_Gene]
) -> list[Floats] | None:
    """Inner edges of the genes' bins, as planned or learned; None if some genes have no bins."""
    from secgen_dsl.ir.learned import with_learned_edges

    opened = {one.query: one.values for one in measurements.measurements}
    program = with_learned_edges(plan, opened)
    found: dict[tuple[str, str], Floats] = {}
    for query in program.queries:
        if isinstance(query, Marginal) and query.panel is not None:
            for symbol, edges in zip(program.genes(query), query.edges, strict=True):
                inner = np.unique([float(edge) for edge in edges])
                found.setdefault((query.panel, symbol), inner)
    keys = [(gene.panel.name, gene.symbol) for gene in genes]
    return [found[key] for key in keys] if all(key in found for key in keys) else None


def _measured(
    plan: "Plan", measurements: "Measurements", label: CategoryColumn
) -> dict[str, float] | None:
    """Sizes of the classes as measured: of the table whose noise there is least."""
    from secgen_dsl.synthesis.measured import read_measurements

    best: tuple[float, Floats] | None = None
    for table in read_measurements(plan, measurements).categories:
        if label.name not in table.columns:
            continue
        shape = [len(plan.program.column(name).values) for name in table.columns]
        axis = table.columns.index(label.name)
        cells = table.counts.reshape(shape)
        sizes = cells.sum(axis=tuple(each for each in range(len(shape)) if each != axis))
        noise = table.variance * cells.size / len(sizes)
        if best is None or noise < best[0]:
            best = noise, sizes
    if best is None:
        return None
    return dict(zip(label.values, best[1].tolist(), strict=True))


def _promise(plan: "Plan") -> Promise:
    from secgen_dsl.describe.odds import flagged
    from secgen_dsl.privacy.bound import compose

    privacy = plan.program.privacy
    words = f"ε = {decimal_text(privacy.epsilon)}"
    if privacy.delta:
        words += f", δ = {decimal_text(privacy.delta)}"
    return Promise(words, _CURVE, flagged(compose(plan), _CURVE))
