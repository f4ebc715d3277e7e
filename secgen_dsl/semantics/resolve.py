"""Tree to program: every name resolved, every list read, every default filled in and said."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from secgen_dsl.diagnostics.diagnostic import Diagnostic, SecgenError, Source, Span
from secgen_dsl.ir.program import Person, Program, Study
from secgen_dsl.ir.queries import Asked, Marginal, Moments
from secgen_dsl.public.files import PublicFile
from secgen_dsl.semantics.binning import Binner
from secgen_dsl.semantics.connected import check_cliques
from secgen_dsl.semantics.marginals import Vocabulary, resolve_queries
from secgen_dsl.semantics.moments import check_limit
from secgen_dsl.semantics.pairs import resolve_sets
from secgen_dsl.semantics.promise import resolve_privacy, resolve_release, resolve_simulate
from secgen_dsl.semantics.reader import Reader
from secgen_dsl.semantics.references import check_labels, resolve_references
from secgen_dsl.semantics.vocabulary import (
    Columns,
    check_name_spaces,
    check_units_agree,
    resolve_columns,
    resolve_panels,
)
from secgen_dsl.semantics.who import (
    check_person,
    resolve_expectations,
    resolve_helpers,
    resolve_person,
    resolve_silos,
    resolve_trust,
)
from secgen_dsl.syntax import tree


@dataclass(frozen=True)
class Resolved:
    """A spec's meaning and what stays outside the plan's hash.

    Attributes:
        spans: marginal id → its statement.
        epsilon: where the budget is stated.
        files: every public file that was read, by its name in the spec.
        reference_files: reference name → its file.
        simulate: silo name → local sample file.
        defaults: what was filled in, in words.
        labelled: how many people of the references have which label, in words.
    """

    program: Program
    study: Study
    spans: dict[str, Span]
    epsilon: Span
    files: dict[str, PublicFile]
    reference_files: dict[str, PublicFile]
    simulate: dict[str, Path]
    defaults: tuple[str, ...]
    labelled: tuple[str, ...]
    warnings: tuple[Diagnostic, ...]

    @property
    def sources(self) -> dict[str, str]:
        """Marginal id → ``spec:line`` of its statement, whatever the spec's folder."""
        return {
            name: f"{span.source.name.replace(chr(92), '/').rsplit('/', 1)[-1]}:{span.line}"
            for name, span in self.spans.items()
        }


def resolve(
    spec: tree.Spec, source: Source, folder: Path, held: Mapping[str, PublicFile] | None = None
) -> Resolved:
    """The program of a spec.

    Args:
        folder: the spec's folder; the files that it names are relative to it.
        held: the files that came with the spec, by their names in it: no other is then read.

    Raises:
        SecgenError: every error found, each with its span (codes SG113 and SG2xx, SG301–SG307).
    """
    return _run(Reader(spec, source, folder, held))


def _run(reader: Reader) -> Resolved:
    _version(reader)
    study_block = reader.block(tree.StudyBlock, "study", 'study "Title" { purpose "…" }')
    silos_block = reader.block(tree.SilosBlock, "silos", "silos hold patients { north terms open }")
    silos = resolve_silos(reader, silos_block)
    helpers = resolve_helpers(reader)
    tolerated = resolve_trust(reader, len(silos) + len(helpers), silos_block)
    person = resolve_person(reader, len(silos))
    references, bridges = resolve_references(reader)
    sets = resolve_sets(reader)
    binner = Binner(reader, references, bridges)
    columns = resolve_columns(reader, binner)
    check_person(reader, columns)
    panels = resolve_panels(reader)
    check_units_agree(reader, panels)
    privacy, person = resolve_privacy(reader, person)
    expectations = resolve_expectations(reader, columns)
    samples, measurements = resolve_release(reader, silos, person)
    measure = reader.block(tree.MeasureBlock, "measure", "measure { marginal COLUMN }")
    queries: tuple[Asked, ...] = ()
    spans: dict[str, Span] = {}
    if measure is not None:
        if not measure.queries:
            reader.found.error(
                "SG208",
                "`measure` is empty",
                measure.span,
                "nothing to measure",
                "add a line: marginal COLUMN",
            )
        if any(reader.spec.all(tree.ColumnsBlock)):
            vocabulary = Vocabulary(
                columns.columns,
                columns.groups,
                panels,
                sets,
                person,
                privacy,
                parties=len(silos) + len(helpers),
                tolerated=tolerated or 0,
            )
            queries, spans = resolve_queries(reader, measure, vocabulary, binner)
    if privacy is not None and privacy.mechanism == "laplace":
        _check_countable(reader, queries, spans)
    binner.read_all(panels)
    labelled = check_labels(reader, references, columns, binner.faulty)
    check_limit(reader)
    if samples is not None and measure is not None:
        check_cliques(reader, measure.span, columns.columns, queries, spans)
    check_name_spaces(reader, columns, panels)
    simulate = resolve_simulate(reader, silos)
    study = _study(reader, study_block, silos_block, helpers) if study_block is not None else None
    if reader.found.diagnostics:
        raise SecgenError(reader.found.diagnostics + reader.found.warnings)
    if study is None or person is None or privacy is None:  # pragma: no cover
        raise AssertionError("a missing block was not reported")
    _check_measured(reader, columns, person, queries)
    program = Program(
        format="secgen.program/3",
        silos=silos,
        helpers=tuple(line.name.text for line in helpers),
        tolerated=tolerated,
        person=person,
        columns=columns.columns,
        references=references,
        bridges=bridges,
        sets=sets.declared,
        panels=tuple(sorted(panels, key=lambda panel: panel.name)),
        privacy=privacy,
        expectations=expectations,
        queries=queries,
        samples=samples,
        measurements=measurements,
    )
    return Resolved(
        program=program,
        study=study,
        spans=spans,
        epsilon=_epsilon(reader),
        files=reader.files,
        reference_files=reader.reference_files,
        simulate=simulate,
        defaults=tuple(reader.defaults),
        labelled=labelled,
        warnings=tuple(reader.found.warnings),
    )


def _check_countable(reader: Reader, queries: Sequence[Asked], spans: Mapping[str, Span]) -> None:
    """Laplace noise goes on counts: sums of clipped vectors have an L2 bound, and no useful L1."""
    for query in queries:
        learns = isinstance(query, Marginal) and query.learned is not None
        if not learns and not isinstance(query, Moments):
            continue
        what = "bins are learned from" if learns else "moments are"
        reader.found.error(
            "SG220",
            f"{what} sums of vectors, on which no Laplace noise is planned",
            spans[query.id],
            "needs Gaussian noise",
            ("take the bins from a public table: in 4 bins from REFERENCE" if learns else
             "measure tables: marginal COLUMN * PANEL in 4 bins from REFERENCE")
            + "; or write a delta above 0, such as delta 1e-6, without `mechanism laplace`",
        )  # fmt: skip


def _epsilon(reader: Reader) -> Span:
    """The number behind `epsilon`, of a spec without errors."""
    lines = [line for block in reader.spec.all(tree.PrivacyBlock) for line in block.lines]
    return next(
        line.number.span
        for line in lines
        if isinstance(line, tree.BudgetLine) and line.kind == "epsilon"
    )


def _check_measured(
    reader: Reader, columns: Columns, person: Person, queries: Sequence[Asked]
) -> None:
    """Warn of columns, groups and panels that nothing measures."""
    used = {person.per, *(query.panel for query in queries)}
    for query in queries:
        used |= set(query.columns)
    used |= {name for name, genes in columns.groups.items() if used & set(genes)}
    names = [
        *((line.name, "panel") for line in reader.spec.all(tree.PanelLine)),
        *(
            (line.name, "column")
            for block in reader.spec.all(tree.ColumnsBlock)
            for line in block.columns
        ),
    ]
    for name, kind in names:
        if name.text not in used:
            what, form = kind, f"marginal {name.text}"
            if kind == "panel":
                form = f"marginal COLUMN * {name.text} in 4 equal bins"
            elif name.text in columns.groups:
                what, form = "group", f"marginal each {name.text}"
            reader.found.warn(
                "SG221",
                f'nothing measures the {what} "{name.text}"',
                name.span,
                "every site needs it, no result holds it",
                f"measure it: {form}; or remove it here",
            )


def _version(reader: Reader) -> None:
    line = next(reader.spec.all(tree.Version), None)
    if line is None:
        reader.found.error(
            "SG201",
            "the spec does not state its version",
            Span(reader.source, reader.spec.span.start, reader.spec.span.start + 1),
            "it belongs before this",
            "add as the first line: secgen 1",
        )
        return
    reader.block(tree.Version, "secgen 1", "secgen 1")
    if line.number.value != 1:
        reader.found.error(
            "SG113",
            "this release reads version 1 of the language",
            line.number.span,
            "not version 1",
            "write: secgen 1",
        )


def _study(
    reader: Reader,
    block: tree.StudyBlock,
    silos: tree.SilosBlock | None,
    helpers: Sequence[tree.HelperLine],
) -> Study:
    prose = {line.kind: line.text.text for line in block.lines}
    lines = silos.silos if silos is not None else ()
    sources = []
    for line in lines:
        texts = [c.text.text for c in line.clauses if isinstance(c, tree.SourceClause)]
        sources.append(texts[0] if texts else "")
    kinds = (
        "purpose", "reference", "contact", "cohort", "inclusion", "not_for", "retention",
    )  # fmt: skip
    study = Study(
        format="secgen.study/1",
        title=block.title.text,
        **{kind: prose.get(kind, "") for kind in kinds},
        silo_titles=tuple(line.title.text if line.title else "" for line in lines),
        silo_sources=tuple(sources),
        helper_titles=tuple(line.title.text if line.title else "" for line in helpers),
    )
    named = (*study.silo_titles, *study.silo_sources, *study.helper_titles)
    if not all(text.isprintable() for text in (study.title, *prose.values(), *named)):
        reader.found.error(
            "SG207",
            "a text of the study or of a party cannot be printed",
            block.title.span,
            "of this study",
            "write it again without tabs, no-break spaces and control characters",
        )
    return study
