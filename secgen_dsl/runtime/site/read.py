"""From a site's files to its samples: shape faults stop the site, content faults never do."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from secgen_dsl.diagnostics.diagnostic import Diagnostic, SecgenError
from secgen_dsl.ir.program import CategoryColumn, Program
from secgen_dsl.queries.labels import column_codes
from secgen_dsl.queries.table import SampleTable
from secgen_dsl.runtime.site.choice import Choice, Rows, choose, repeated_names
from secgen_dsl.runtime.site.columns import NeededColumns, needed_columns
from secgen_dsl.runtime.site.description import Site
from secgen_dsl.runtime.site.files import (
    OpenFiles,
    Places,
    find_places,
    open_files,
    positions_of,
    refuse_public_files,
)
from secgen_dsl.runtime.site.genes import WantedGenes, check_unit, wanted_genes
from secgen_dsl.runtime.site.report import (
    FileReport,
    GeneReport,
    ReadReport,
    missing_values,
    number_report,
    panel_report,
    spell,
)
from secgen_dsl.runtime.site.source import Content, Value, moment_of, number_of, text_of

_LISTED = 5  # names of samples in a message


def read_site(
    program: Program, path: Path, site_key: bytes, place: str
) -> tuple[SampleTable, ReadReport]:
    """Read what a program needs of a site's files.

    Numbers become the nearest float64 (float32 exactly); what is no number is NaN.  At most
    ``program.person.samples`` samples of a person are kept, or of a person and a value of
    ``program.person.per``: the earliest by ``program.person.keep``, then those of smallest
    HMAC-SHA256(site key, name of the sample).  The choice depends on the person's own rows only
    (PRIVACY 1.3, case c).  A row without a person key adds nothing, because the cap could not be
    held for it; nor does one that does not fit the header, or is in one of two files only.

    Args:
        program: names columns and genes.
        path: the site.toml, or one table that names everything as the spec does.
        site_key: the site's secret, any bytes.
        place: the site's name, for diagnostics.

    Returns:
        The samples, in the order of the table's rows, and a report for the site's own eyes.

    Raises:
        SecgenError: a shape fault.  SG411 unreadable, not UTF-8 or not a table; SG412 another
            delimiter; SG413 a column is absent; SG414 genes are absent; SG415 a needed column is
            there twice; SG416 rows do not fit the header; SG418, SG419 site.toml; SG420 format or
            layer; SG421 turned the other way; SG422 the map of genes; SG423 a gene is there
            several times; SG424 no library sizes; SG426 files that are joined hold a sample in
            several rows; SG427 another unit; SG429 a public file of the plan.  No message holds a
            name out of the files: ``Diagnostic.local`` does.
    """
    site = Site(path, place)
    needed = needed_columns(program, site)
    refuse_public_files(program, site)
    check_unit(program, site)
    wanted = wanted_genes(program, site)
    with ExitStack() as stack:
        files = open_files(stack, site, needed, wanted)
        places = find_places(program, site, files, needed, wanted)
        table = files.columns.read(
            [*places.columns.values(), *positions_of(places.sample)],
            [] if files.joined else places.flat_genes,
            None if files.joined else places.summed,
        )
        expression = table
        if files.expression is not None and files.joined:
            expression = files.expression.read(
                positions_of(places.expression_sample), places.flat_genes, places.summed
            )
    return _Read(program, site, needed, wanted, files, places, table, expression).result(site_key)


@dataclass(frozen=True, eq=False)
class _Read:
    """Everything that was read of the files, on its way to the samples that count."""

    program: Program
    site: Site
    needed: NeededColumns
    wanted: WantedGenes
    files: OpenFiles
    places: Places
    table: Content
    expression: Content

    def result(self, site_key: bytes) -> tuple[SampleTable, ReadReport]:
        """The samples that count, and the report."""
        person = self.program.person
        texts = {name: self._texts(name) for name in self._text_columns()}
        per = None
        for column in self.program.columns:
            if isinstance(column, CategoryColumn) and column.name == person.per:
                spelled, _ = spell(column, texts[column.name], self._values(column.name))
                per = column_codes(column, spelled)
        samples = self._samples(self.table, self.places.sample)
        expression_samples = None
        if self.files.joined:
            expression_samples = self._samples(self.expression, self.places.expression_sample)
            self._require_unique(samples or [], expression_samples or [])
        rows = Rows(
            persons=texts[person.key],
            samples=samples,
            per=per,
            dates=None if person.keep is None else texts[person.keep],
            contents=list(zip(*(map(text_of, cells) for cells in self.table.columns), strict=True)),
            expression=self.expression.expression,
            sums=self.expression.sums,
            expression_samples=expression_samples,
        )
        choice = choose(rows, person.samples, site_key)
        return self._table_and_report(texts, choice)

    def _require_unique(self, samples: Sequence[str], expression_samples: Sequence[str]) -> None:
        """SG426: a row that two people claim, or two rows of one name, would tie people together.

        Then one person's row could change the contributions of any number of others.
        """
        faults = []
        sources = (self.files.columns, self.files.expression)
        for source, names in zip(sources, (samples, expression_samples), strict=True):
            several = repeated_names(names)
            if source is not None and several:
                shown = ", ".join(several[:_LISTED]) + (", …" if len(several) > _LISTED else "")
                faults.append(
                    Diagnostic(
                        "SG426",
                        "the file holds a sample several times, and samples join it to another"
                        " file",
                        place=source.where,
                        next_step="give every sample one name of its own and one row in each file",
                        local=f"several rows have: {shown}",
                    )
                )
        if faults:
            raise SecgenError(faults)

    def _table_and_report(
        self, texts: Mapping[str, Sequence[str]], choice: Choice
    ) -> tuple[SampleTable, ReadReport]:
        categories = {}
        labels = {}
        numbers = {}
        number_reports = {}
        for column in self.program.columns:
            if isinstance(column, CategoryColumn):
                chosen = [texts[column.name][row] for row in choice.rows]
                mapped = self._values(column.name)
                categories[column.name], labels[column.name] = spell(column, chosen, mapped)
            else:
                numbers[column.name] = self._numbers(column.name)[choice.rows]
                number_reports[column.name] = number_report(
                    numbers[column.name], float(column.low), float(column.high)
                )
        libraries = self._libraries(choice)
        table = SampleTable(
            rows=len(choice.rows),
            categories=categories,
            expression=self._by_gene(choice.expression_rows),
            numbers=numbers,
            library_sizes=libraries,
        )
        dates = texts.get(self.program.person.keep or "", ())
        report = ReadReport(
            cohort=self.site.description.cohort.id,
            files=self._file_reports(),
            columns=dict(self.needed.file_names),
            unit=self.site.description.files.unit,
            panel_units={panel.name: panel.source_unit for panel in self.program.panels},
            genes=self._gene_report(),
            people=choice.people,
            samples=len(choice.rows),
            rows_without_person=choice.without_person,
            rows_without_value=choice.without_value,
            rows_without_expression=choice.without_expression,
            expression_without_row=choice.unused_expression,
            repeated_samples=choice.repeated,
            further_samples=choice.further,
            shared_samples=choice.shared,
            unreadable_dates=sum(moment_of(text)[0] == 2 for text in dates),
            labels=labels,
            numbers=number_reports,
            panels={panel.name: panel_report(panel, table) for panel in self.program.panels},
            library_sizes={
                name: number_report(sizes, 0.0, np.inf) for name, sizes in libraries.items()
            },
            missing_values=missing_values(table),
        )
        return table, report

    def _text_columns(self) -> set[str]:
        person = self.program.person
        names = {c.name for c in self.program.columns if isinstance(c, CategoryColumn)}
        return names | {person.key} | ({person.keep} if person.keep is not None else set())

    def _cells(self, name: str) -> Sequence[Value]:
        return self.table.columns[list(self.places.columns).index(name)]

    def _texts(self, name: str) -> list[str]:
        return [text_of(cell) for cell in self._cells(name)]

    def _numbers(self, name: str) -> NDArray[np.float64]:
        cells = self._cells(name)
        return np.fromiter(map(number_of, cells), dtype=np.float64, count=len(cells))

    def _values(self, name: str) -> Mapping[str | Decimal, str]:
        return self.needed.values.get(name, {})

    def _samples(self, content: Content, place: int | None) -> list[str] | None:
        return None if place is None else [text_of(cell) for cell in content.columns[-1]]

    def _by_gene(self, rows: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
        found = {}
        first = 0
        add = self.site.description.genes.duplicates == "sum"
        for gene, places in self.places.genes.items():
            entries = self.expression.expression[rows, first : first + len(places)]
            with np.errstate(all="ignore"):  # infinite entries
                found[gene] = entries.sum(axis=1) if add else entries[:, 0].copy()
            first += len(places)
        return found

    def _libraries(self, choice: Choice) -> dict[str, NDArray[np.float64]]:
        libraries = {}
        for panel in self.program.panels:
            if panel.counts is None:
                continue
            if panel.counts.library_column is not None:
                sizes = self._numbers(panel.counts.library_column)[choice.rows]
            elif self.expression.sums is not None:
                sizes = self.expression.sums[choice.expression_rows]
            libraries[panel.name] = np.where((sizes > 0) & (sizes < np.inf), sizes, np.nan)
        return libraries

    def _file_reports(self) -> dict[str, FileReport]:
        files = self.site.description.files
        sources = [(files.clinical, self.files.columns, self.places.sample, self.table)]
        roles = ["clinical"]
        if self.files.joined and self.files.expression is not None:
            place = self.places.expression_sample
            sources.append((files.expression, self.files.expression, place, self.expression))
            roles.append("expression")
        elif not files.clinical:
            sources = [(files.expression, *sources[0][1:])]
            roles = ["table"]
        return {
            role: FileReport(
                name=name,
                format=source.format,
                orientation=source.orientation,
                layer=files.layer if source.format == "h5ad" and role != "clinical" else "",
                sample="" if place is None else source.columns[place] or "(row names)",
                rows=len(content.expression),
                rows_that_do_not_fit=content.misfits,
            )
            for role, (name, source, place, content) in zip(roles, sources, strict=True)
        }

    def _gene_report(self) -> GeneReport:
        several = {}
        if self.files.expression is not None:
            names = self.files.expression.genes
            for gene, places in self.places.genes.items():
                if len(places) > 1:
                    several[gene] = [names[place] for place in places]
        return GeneReport(
            system=self.site.description.genes.system or "",
            directly=self.wanted.directly,
            through_map=len(self.places.genes) - self.wanted.directly,
            map_sha256=self.wanted.map_sha256,
            several=several,
        )
