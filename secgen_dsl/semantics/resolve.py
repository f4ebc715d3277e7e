"""Tree to program: every name resolved, every list read, every default filled in and said."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TypeVar

from secgen_dsl.diagnostics.diagnostic import Diagnostic, SecgenError, Source, Span, nearest
from secgen_dsl.ir.program import (
    Audience,
    CategoryColumn,
    Marginal,
    Panel,
    Person,
    Privacy,
    Program,
    Reference,
    SampleFormat,
    SampleRelease,
    Silo,
    Study,
    Terms,
)
from secgen_dsl.semantics.marginals import resolve_marginals
from secgen_dsl.semantics.public_files import (
    PublicFile,
    gene_list,
    read_public_file,
)
from secgen_dsl.syntax import tree

BlockT = TypeVar("BlockT")
LineT = TypeVar("LineT", bound="tree.Item | object")

PARTY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
_MAXIMUM_GENES = 20_000
_MAXIMUM_ROWS = 1_000_000


@dataclass(frozen=True)
class Resolved:
    """A spec's meaning and what stays outside the plan's hash.

    Attributes:
        sources: marginal id → ``spec:line`` of its statement.
        reference_files: reference name → its file.
        simulate: silo name → local sample file.
        defaults: what was filled in, in words.
    """

    program: Program
    study: Study
    sources: dict[str, str]
    reference_files: dict[str, PublicFile]
    simulate: dict[str, Path]
    defaults: tuple[str, ...]
    warnings: tuple[Diagnostic, ...]


class Findings:
    """Collects diagnostics, so that one run reports many."""

    def __init__(self) -> None:
        self.diagnostics: list[Diagnostic] = []
        self.warnings: list[Diagnostic] = []

    def error(self, code: str, message: str, span: Span, label: str = "", next_step: str = "") -> None:
        """Record an error at a span."""
        self.diagnostics.append(
            Diagnostic(code, message, span=span, label=label, next_step=next_step)
        )

    def warn(self, code: str, message: str, span: Span, label: str = "", next_step: str = "") -> None:
        """Record a warning at a span."""
        self.warnings.append(
            Diagnostic(code, message, "warning", span=span, label=label, next_step=next_step)
        )

    def from_file(self, error: SecgenError, span: Span) -> None:
        """Point the errors of a public file at the place in the spec that names it."""
        for diagnostic in error.diagnostics:
            label = diagnostic.place
            self.error(diagnostic.code, diagnostic.message, span, label, diagnostic.next_step)


def resolve(spec: tree.Spec, source: Source, folder: Path) -> Resolved:
    """The program of a spec.

    Args:
        folder: the spec's folder; the files that it names are relative to it.

    Raises:
        SecgenError: every error found, each with its span (codes SG113 and SG2xx, SG301–SG307).
    """
    return _Resolver(spec, source, folder).run()


class _Resolver:
    def __init__(self, spec: tree.Spec, source: Source, folder: Path) -> None:
        self.spec = spec
        self.source = source
        self.folder = folder
        self.found = Findings()
        self.defaults: list[str] = []
        self.reference_files: dict[str, PublicFile] = {}

    # ---- blocks and lines ------------------------------------------------------------------
    def block(self, kind: type[BlockT], word: str, example: str) -> BlockT | None:
        """The one block of a kind; a missing or second one is an error."""
        blocks = list(self.spec.all(kind))
        if not blocks:
            end = len(self.source.text.rstrip())
            self.found.error(
                "SG201",
                f"the spec has no `{word}`",
                Span(self.source, max(end - 1, 0), end),
                f"no `{word}` up to here",
                f"add, for example: {example}",
            )
            return None
        for extra in blocks[1:]:
            self.found.error(
                "SG202",
                f"a second `{word}`",
                extra.span,  # type: ignore[attr-defined]
                "written twice",
                "put everything into one",
            )
        return blocks[0]

    def once(self, lines: Sequence[LineT], name: Callable[[LineT], str]) -> dict[str, LineT]:
        """The lines of a block by name; a name that comes twice is an error."""
        known: dict[str, LineT] = {}
        for line in lines:
            key = name(line)
            if key in known:
                self.found.error(
                    "SG204",
                    f"`{key}` stands here twice",
                    line.span,  # type: ignore[attr-defined]
                    "the second one",
                    "remove one of them",
                )
            else:
                known[key] = line
        return known

    def whole(self, number: tree.Number, low: int, high: int, what: str) -> int:
        """A whole number in a range; else an error and the nearest allowed one."""
        value = number.value
        if value.denominator != 1 or not low <= value <= high:
            self.found.error(
                "SG216",
                f"{what} must be a whole number from {low:,} to {high:,}",
                number.span,
                "not allowed",
                f"write a whole number from {low:,} to {high:,}",
            )
            return low
        return int(value)

    def distinct(self, names: Iterable[tree.Name], what: str) -> tuple[str, ...]:
        """The names of a list; repeats and empty names are errors."""
        known: dict[str, None] = {}
        for name in names:
            if not name.text or not name.text.isprintable():
                self.found.error(
                    "SG207",
                    f"a {what} needs a name that can be printed",
                    name.span,
                    "empty, or with control characters",
                    "write plain text",
                )
            elif name.text in known:
                self.found.error(
                    "SG207",
                    f'the {what} "{name.text}" is listed twice',
                    name.span,
                    "the second time",
                    "remove it",
                )
            known.setdefault(name.text)
        return tuple(known)

    # ---- the whole -------------------------------------------------------------------------
    def run(self) -> Resolved:
        self.version()
        study_block = self.block(tree.StudyBlock, "study", 'study "Title" { purpose "…" }')
        silos_block = self.block(
            tree.SilosBlock, "silos", "silos hold patients { north terms open }"
        )
        silos = self.silos(silos_block)
        helpers = self.helper_lines()
        tolerated = self.trust(len(silos) + len(helpers), silos_block)
        person = self.person()
        columns = self.columns()
        references = self.references()
        panels = self.panels()
        privacy = self.privacy(person)
        samples, measurements = self.release(silos)
        measure = self.block(tree.MeasureBlock, "measure", "measure { marginal COLUMN }")
        marginals: tuple[Marginal, ...] = ()
        sources: dict[str, str] = {}
        if measure is not None:
            if not measure.marginals:
                self.found.error(
                    "SG208", "`measure` is empty", measure.span, "", "add a line: marginal COLUMN"
                )
            marginals, sources = resolve_marginals(
                measure, columns, panels, references, self.reference_files, self.found
            )
        self.name_spaces(columns, panels)
        simulate = self.simulate(silos)
        if self.found.diagnostics:
            raise SecgenError(self.found.diagnostics + self.found.warnings)
        if study_block is None or person is None or privacy is None:  # pragma: no cover
            raise AssertionError("a missing block was not reported")
        program = Program(
            format="secgen.program/1",
            silos=silos,
            helpers=tuple(line.name.text for line in helpers),
            tolerated=tolerated,
            person=person,
            columns=columns,
            references=references,
            panels=panels,
            privacy=privacy,
            marginals=marginals,
            samples=samples,
            measurements=measurements,
        )
        return Resolved(
            program=program,
            study=self.study(study_block, silos_block, helpers),
            sources=sources,
            reference_files=self.reference_files,
            simulate=simulate,
            defaults=tuple(self.defaults),
            warnings=tuple(self.found.warnings),
        )

    def version(self) -> None:
        line = self.block(tree.Version, "secgen 1", "secgen 1")
        if line is not None and line.number.value != 1:
            self.found.error(
                "SG113",
                "this release reads version 1 of the language",
                line.number.span,
                "not version 1",
                "write: secgen 1",
            )

    def study(
        self,
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
        return Study(
            format="secgen.study/1",
            title=block.title.text,
            **{kind: prose.get(kind, "") for kind in kinds},
            silo_titles=tuple(line.title.text if line.title else "" for line in lines),
            silo_sources=tuple(sources),
            helper_titles=tuple(line.title.text if line.title else "" for line in helpers),
        )

    # ---- who -------------------------------------------------------------------------------
    def silos(self, block: tree.SilosBlock | None) -> tuple[Silo, ...]:
        study = next(self.spec.all(tree.StudyBlock), None)
        if study is not None:
            self.once(study.lines, lambda line: line.kind.replace("_", " "))
        if block is None:
            return ()
        if block.hold.text != "patients":
            self.found.error(
                "SG217",
                "in version 1 silos hold patients: different people, the same columns",
                block.hold.span,
                "not in version 1",
                "write: silos hold patients { … }",
            )
        self.distinct((line.name for line in block.silos), "silo")
        for line in block.silos:
            self.party_name(line.name)
        silos = []
        for line in block.silos:
            terms = [c for c in line.clauses if isinstance(c, tree.TermsClause)]
            self.once(
                line.clauses, lambda c: "terms" if isinstance(c, tree.TermsClause) else "source"
            )
            if not terms:
                self.found.error(
                    "SG203",
                    f'the silo "{line.name.text}" does not state its terms',
                    line.span,
                    "no `terms`",
                    'add: terms open, terms consent "CODE" or terms controlled "dbGaP phs…"',
                )
                continue
            reference = terms[0].reference.text if terms[0].reference else ""
            kind = terms[0].kind
            silos.append(
                Silo(name=line.name.text, terms=Terms(kind=kind, reference=reference))  # type: ignore[arg-type]
            )
        return tuple(silos)

    def helper_lines(self) -> tuple[tree.HelperLine, ...]:
        blocks = list(self.spec.all(tree.HelpersBlock))
        for extra in blocks[1:]:
            self.found.error(
                "SG202", "a second `helpers`", extra.span, "written twice", "put all into one"
            )
        lines = blocks[0].helpers if blocks else ()
        silos = next(self.spec.all(tree.SilosBlock), None)
        taken = [line.name for line in silos.silos] if silos else []
        for line in lines:
            self.party_name(line.name)
            if line.name.text in {name.text for name in taken}:
                self.found.error(
                    "SG206",
                    f'"{line.name.text}" is the name of another party already',
                    line.name.span,
                    "the second one",
                    "give the helper a name of its own",
                )
            taken.append(line.name)
        return lines

    def party_name(self, name: tree.Name) -> None:
        """A party's name becomes a folder and a certificate's subject: plain words only."""
        if not PARTY_NAME.fullmatch(name.text):
            self.found.error(
                "SG207",
                "the name of a party has only letters, digits, `-` and `_`, and at most 40 of them",
                name.span,
                "not a party's name",
                'put the full name behind it, in quotes: north "North Hospital"',
            )

    def trust(self, parties: int, silos: tree.SilosBlock | None) -> int:
        block = self.block(tree.TrustBlock, "trust", "trust { tolerate 1 colluding party }")
        if block is None:
            return 1
        if not block.lines:
            self.found.error(
                "SG203",
                "`trust` does not say how many parties may collude",
                block.span,
                "",
                "add: tolerate 1 colluding party",
            )
            return 1
        self.once(block.lines, lambda line: "tolerate")
        line = block.lines[0]
        tolerated = self.whole(line.number, 1, 1_000, "the number of colluding parties")
        place = silos.span if silos is not None else block.span
        if parties < 3:
            self.found.error(
                "SG303",
                f"{parties} {'party' if parties == 1 else 'parties'} cannot hide anything "
                "from each other; at least 3 are needed",
                Span(place.source, place.start, place.start + len("silos")),
                "with two parties, a share of the total is the other party's value",
                'add a party without data: helpers { university "University computing centre" }',
            )
        elif 2 * tolerated >= parties:
            most = (parties - 1) // 2
            self.found.error(
                "SG304",
                f"{tolerated} of {parties} parties is not a minority",
                line.number.span,
                f"at most {most} here",
                f"tolerate at most {most}, or add helpers (2·{tolerated} + 1 = "
                f"{2 * tolerated + 1} parties are needed)",
            )
        return tolerated

    def person(self) -> Person | None:
        block = self.block(
            tree.PersonBlock,
            "person",
            "person { key patient; at most 1 sample; in at most 1 silo }",
        )
        if block is None:
            return None
        words = {
            "samples": "at most … sample",
            "silos": "in at most … silo",
            "people": "at most … people in all",
        }
        known = self.once(
            block.lines,
            lambda line: "key" if isinstance(line, tree.PersonKey) else words[line.kind],
        )
        examples = {
            "key": "key patient",
            "at most … sample": "at most 1 sample",
            "in at most … silo": "in at most 1 silo",
        }
        for word, example in examples.items():
            if word not in known:
                self.found.error(
                    "SG306",
                    f"`person` does not say `{word}`: what is protected would be unknown",
                    Span(block.span.source, block.span.start, block.span.start + len("person")),
                    "nothing is assumed here",
                    f"add: {example}",
                )
        bounds = {
            line.kind: line.number for line in block.lines if isinstance(line, tree.PersonBound)
        }
        for kind, noun in (("samples", "sample"), ("silos", "silo")):
            if kind in bounds and bounds[kind].value > 1:
                self.found.error(
                    "SG112",
                    f"more than one {noun} a person comes with a later release",
                    bounds[kind].span,
                    "1 in this release",
                    f"write: at most 1 {noun}",
                )
            elif kind in bounds:
                self.whole(bounds[kind], 1, 1, f"the number of {noun}s a person")
        people = None
        if "people" in bounds:
            people = self.whole(bounds["people"], 1, 2**32, "the bound on people")
        key = next((x.name.text for x in block.lines if isinstance(x, tree.PersonKey)), "")
        return Person(key=key, samples=1, silos=1, people_bound=people)

    # ---- what ------------------------------------------------------------------------------
    def columns(self) -> tuple[CategoryColumn, ...]:
        block = self.block(
            tree.ColumnsBlock, "columns", "columns { subtype category { A, B } else B }"
        )
        if block is None:
            return ()
        self.distinct((line.name for line in block.columns), "column")
        columns = {}
        for line in block.columns:
            values = self.distinct(line.values, "value")
            if len(values) < 2:
                self.found.error(
                    "SG208",
                    f'the column "{line.name.text}" needs at least two values',
                    line.span,
                    "",
                    "list the public values: { a, b }",
                )
            by_number: dict[Fraction, str] = {}
            for value in values:
                number = _number(value)
                if number is not None and number in by_number:
                    self.found.error(
                        "SG207",
                        f'the values "{by_number[number]}" and "{value}" are the same number',
                        line.span,
                        "",
                        "keep one of them",
                    )
                elif number is not None:
                    by_number[number] = value
            otherwise = line.otherwise.text if line.otherwise else None
            if line.otherwise is not None and otherwise not in values:
                self.found.error(
                    "SG205",
                    f'"{otherwise}" is not a value of "{line.name.text}"',
                    line.otherwise.span,
                    "not in the list",
                    nearest(line.otherwise.text, values) or "add it to the list",
                )
            columns[line.name.text] = CategoryColumn(
                kind="category", name=line.name.text, values=values, otherwise=otherwise
            )
        return tuple(columns.values())

    def references(self) -> tuple[Reference, ...]:
        references: dict[str, Reference] = {}
        for line in self.spec.all(tree.PublicLine):
            name = line.name.text
            if name in references:
                self.found.error(
                    "SG206",
                    f'there are two public tables called "{name}"',
                    line.name.span,
                    "the second one",
                    "give it another name",
                )
                continue
            try:
                file = read_public_file(self.folder, line.file.text)
            except SecgenError as error:
                self.found.from_file(error, line.file.span)
                continue
            self.reference_files[name] = file
            references[name] = Reference(
                name=name,
                unit=line.unit.text,
                sha256=file.sha256,
                provenance=line.provenance.text if line.provenance else "",
            )
        return tuple(references.values())

    def panels(self) -> tuple[Panel, ...]:
        panels: dict[str, Panel] = {}
        for line in self.spec.all(tree.PanelLine):
            if line.low.value >= line.high.value:
                self.found.error(
                    "SG210",
                    "the range of a panel goes from a smaller to a greater value",
                    Span(line.low.span.source, line.low.span.start, line.high.span.end),
                    "not a range",
                    "write, for example: 0..20",
                )
                continue
            listed = ""
            if line.genes is not None:
                genes = self.distinct(line.genes, "gene")
                place = line.span
            else:
                assert line.file is not None  # noqa: S101 - the grammar has no third form
                place = line.file.span
                try:
                    file = read_public_file(self.folder, line.file.text)
                    genes = gene_list(file)
                except SecgenError as error:
                    self.found.from_file(error, line.file.span)
                    continue
                listed = file.sha256
                twice = sorted({gene for gene in genes if genes.count(gene) > 1})
                if twice:
                    self.found.error(
                        "SG207",
                        f'the gene "{twice[0]}" is listed twice in "{line.file.text}"',
                        place,
                        "a gene counts once",
                        "remove one of them from the file",
                    )
            if not genes or len(genes) > _MAXIMUM_GENES:
                self.found.error(
                    "SG208",
                    f'the panel "{line.name.text}" has '
                    + ("no genes" if not genes else f"more than {_MAXIMUM_GENES:,} genes"),
                    place,
                    "",
                    "list the genes: { MLH1, MSH2 }",
                )
                continue
            if line.name.text in panels:
                self.found.error(
                    "SG206",
                    f'there are two panels called "{line.name.text}"',
                    line.name.span,
                    "the second one",
                    "give it another name",
                )
                continue
            panels[line.name.text] = Panel(
                name=line.name.text,
                unit=line.unit.text,
                low=line.low.value,
                high=line.high.value,
                genes=genes,
                list_sha256=listed,
            )
        return tuple(panels.values())

    def name_spaces(self, columns: Sequence[CategoryColumn], panels: Sequence[Panel]) -> None:
        names = {column.name for column in columns}
        for line in self.spec.all(tree.PanelLine):
            if line.name.text in names and any(p.name == line.name.text for p in panels):
                self.found.error(
                    "SG206",
                    f'"{line.name.text}" is a column and a panel',
                    line.name.span,
                    "also a column",
                    "give the panel another name",
                )

    # ---- the promise and the releases ------------------------------------------------------
    def privacy(self, person: Person | None) -> Privacy | None:
        block = self.block(
            tree.PrivacyBlock,
            "privacy",
            "privacy { add or remove one person; epsilon 4; delta 1e-6 }",
        )
        if block is None:
            return None
        known = self.once(
            block.lines,
            lambda line: (
                line.kind if isinstance(line, tree.BudgetLine) else "add or remove one person"
            ),
        )
        head = Span(block.span.source, block.span.start, block.span.start + len("privacy"))
        if "add or remove one person" not in known:
            self.found.error(
                "SG306",
                "`privacy` does not say what is hidden",
                head,
                "nothing is assumed here",
                "add: add or remove one person",
            )
        numbers = {x.kind: x.number for x in block.lines if isinstance(x, tree.BudgetLine)}
        epsilon = Fraction(1)
        if "epsilon" not in numbers:
            self.found.error(
                "SG203", "`privacy` does not state epsilon", head, "", "add, for example: epsilon 1"
            )
        else:
            epsilon = numbers["epsilon"].value
            if not Fraction(1, 1000) <= epsilon <= 50:
                self.found.error(
                    "SG301",
                    "epsilon must lie between 0.001 and 50",
                    numbers["epsilon"].span,
                    "0 would forbid any answer" if epsilon == 0 else "out of range",
                    "usual values are 0.5 to 8; smaller protects more",
                )
                epsilon = Fraction(1)
        bound = person.people_bound if person is not None else None
        if "delta" in numbers:
            delta = numbers["delta"].value
            if not Fraction(1, 10**12) <= delta <= Fraction(1, 1000):
                self.found.error(
                    "SG302",
                    "delta must lie between 1e-12 and 0.001",
                    numbers["delta"].span,
                    "out of range",
                    "usual is 1e-6: less than one in the number of people",
                )
            elif bound is not None and delta * bound > 1:
                self.found.error(
                    "SG305",
                    f"delta is greater than one in {bound:,} people: it would allow giving "
                    "somebody's row away",
                    numbers["delta"].span,
                    f"at most 1/{bound}",
                    "write: delta 1e-6",
                )
        else:
            delta = min(Fraction(1, 10**6), Fraction(1, 10 * (bound or 1)))
            self.defaults.append(f"delta {float(delta):.3g}")
        return Privacy(adjacency="add-or-remove", epsilon=epsilon, delta=delta)

    def release(self, silos: Sequence[Silo]) -> tuple[SampleRelease | None, Audience]:
        block = self.block(
            tree.ReleaseBlock, "release", "release { samples 500 to silos as csv }"
        )
        if block is None:
            return None, "silos"
        known = self.once(
            block.lines,
            lambda line: "samples" if isinstance(line, tree.SamplesLine) else "measurements",
        )
        samples: SampleRelease | None = None
        measurements: Audience = "silos"
        line = known.get("samples")
        if isinstance(line, tree.SamplesLine):
            rows = self.whole(line.rows, 1, _MAXIMUM_ROWS, "the number of samples")
            formats = self.formats(line)
            samples = SampleRelease(
                rows=rows, audience=self.audience(line.audience, silos), formats=formats
            )
        line = known.get("measurements")
        if isinstance(line, tree.MeasurementsLine):
            measurements = self.audience(line.audience, silos)
        else:
            self.defaults.append("measurements to silos")
        return samples, measurements

    def formats(self, line: tree.SamplesLine) -> tuple[SampleFormat, ...]:
        if not line.formats:
            self.defaults.append("samples as csv")
            return ("csv",)
        self.distinct(line.formats, "format")
        formats: list[SampleFormat] = []
        for name in line.formats:
            if name.text == "csv" or name.text == "h5ad":
                formats.append(name.text)
            else:
                self.found.error(
                    "SG205",
                    f'there is no format "{name.text}"',
                    name.span,
                    "unknown",
                    nearest(name.text, ("csv", "h5ad")) or "use csv or h5ad",
                )
        return tuple(formats)

    def audience(self, name: tree.Name, silos: Sequence[Silo]) -> Audience:
        if name.text in ("named", "registered"):
            self.found.error(
                "SG112",
                f"the audience `{name.text}` comes with a later release",
                name.span,
                "not in this release",
                "release to silos or to public",
            )
            return "silos"
        if name.text not in ("silos", "public"):
            self.found.error(
                "SG205",
                f'there is no audience "{name.text}"',
                name.span,
                "unknown",
                nearest(name.text, ("silos", "public")) or "use silos or public",
            )
            return "silos"
        if name.text == "silos":
            return "silos"
        for silo in silos:
            if silo.terms.kind != "open":
                self.found.error(
                    "SG307",
                    f'the silo "{silo.name}" does not allow a public release '
                    f"(terms {silo.terms.kind})",
                    name.span,
                    "wider than the strictest terms",
                    "release to silos",
                )
                break
        return "public"

    def simulate(self, silos: Sequence[Silo]) -> dict[str, Path]:
        blocks = list(self.spec.all(tree.SimulateBlock))
        for extra in blocks[1:]:
            self.found.error(
                "SG202", "a second `simulate`", extra.span, "written twice", "put all into one"
            )
        files: dict[str, Path] = {}
        names = [silo.name for silo in silos]
        for line in blocks[0].files if blocks else ():
            if line.silo.text not in names:
                self.found.error(
                    "SG205",
                    f'there is no silo "{line.silo.text}"',
                    line.silo.span,
                    "unknown",
                    nearest(line.silo.text, names) or f"the silos are {', '.join(names)}",
                )
            elif line.silo.text in files:
                self.found.error(
                    "SG204",
                    f'"{line.silo.text}" stands here twice',
                    line.silo.span,
                    "the second one",
                    "remove one of them",
                )
            else:
                files[line.silo.text] = self.folder / line.file.text
        return files


def _number(text: str) -> Fraction | None:
    try:
        return Fraction(text)
    except (ValueError, ZeroDivisionError):
        return None
