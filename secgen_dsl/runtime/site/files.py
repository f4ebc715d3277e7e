"""A site's files: opened by what their first bytes say, and searched for what a program needs."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path

from secgen_dsl.diagnostics.diagnostic import Diagnostic, SecgenError, fail
from secgen_dsl.ir.program import Program
from secgen_dsl.runtime.site.columns import (
    SAMPLE_COLUMNS,
    NeededColumns,
    find_columns,
    find_sample,
    no_sample,
)
from secgen_dsl.runtime.site.description import Site
from secgen_dsl.runtime.site.genes import WantedGenes, find_genes
from secgen_dsl.runtime.site.source import Source, location
from secgen_dsl.runtime.site.text import open_gene_rows, open_sample_rows

_HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
_PARQUET_MAGIC = b"PAR1"
_GZIP_MAGIC = b"\x1f\x8b"
_NAMED = {".h5ad": "h5ad", ".parquet": "Parquet", ".pq": "Parquet"}


@dataclass(frozen=True)
class OpenFiles:
    """The open files: one table, or a table and the expression values (if any are needed)."""

    columns: Source
    expression: Source | None

    @property
    def joined(self) -> bool:
        """Whether samples are joined between two files."""
        return self.expression is not None and self.expression is not self.columns


@dataclass(frozen=True)
class Places:
    """Where the files hold what is needed.

    Attributes:
        columns: name in the spec → position.
        sample: of the samples' names in the same file, or None.
        expression_sample: of the samples' names in the expression file, or None.
        genes: gene → positions, as many as it has entries.
        summed: positions of all genes whose counts make the library sizes, or None.
    """

    columns: Mapping[str, int]
    sample: int | None
    expression_sample: int | None
    genes: Mapping[str, tuple[int, ...]]
    summed: Sequence[int] | None

    @property
    def flat_genes(self) -> list[int]:
        """All positions of genes, one after another."""
        return [place for places in self.genes.values() for place in places]


def refuse_public_files(program: Program, site: Site) -> None:
    """SG429: a file of the site is a public one of the plan, byte for byte.

    Either public people would be counted as patients, or patients were passed off as public.
    """
    public = {one.sha256: one.name for one in program.references}
    public |= {sha256: one.name for one in program.bridges for sha256 in one.sha256}
    if not public:
        return
    files = site.description.files
    faults = []
    for key, name in (("clinical", files.clinical), ("expression", files.expression)):
        path = site.file(name)
        if not path.is_file():
            continue
        try:
            with path.open("rb") as file:
                found = public.get(file_digest(file, "sha256").hexdigest())
        except (OSError, ValueError):
            continue  # said by whoever opens it
        if found is not None:
            faults.append(
                site.fault(
                    "SG429",
                    f'the file is the public table "{found}" of the spec, byte for byte',
                    ("files", key),
                    "name the file of the site's own patients; if this is it, it was taken for a "
                    "public one: tell who wrote the spec, and do not take part before it is out",
                )
            )
    if faults:
        raise SecgenError(faults)


def positions_of(place: int | None) -> list[int]:
    """The position in a list, or an empty list."""
    return [] if place is None else [place]


def open_files(
    stack: ExitStack, site: Site, needed: NeededColumns, wanted: WantedGenes
) -> OpenFiles:
    """Open what is needed of a site's files: no file of expression values if there are no panels.

    Raises:
        SecgenError: SG411, SG412, SG416 or SG420, a file cannot be read as it is described; SG418
            a file that is needed is not named.
    """
    files = site.description.files
    columns = frozenset(needed.file_names.values())
    genes = wanted.all()
    if not files.clinical:
        if not files.expression:
            fault = site.fault(
                "SG418",
                "no file is named",
                ("files",),
                'write `expression = "…"` under [files]',
            )
            raise SecgenError(fault)
        one = stack.enter_context(open_file(site, files.expression, columns | genes, values=True))
        if one.orientation == "genes_by_samples":
            key = next(iter(needed.file_names.values()))
            fault = site.fault(
                "SG418",
                f'a file with genes as rows holds no column "{key}", and no other file is named',
                ("files", "orientation"),
                'name the table of the columns with `clinical = "…"` under [files]',
            )
            raise SecgenError(fault)
        return OpenFiles(one, one if wanted.file_names else None)
    clinical = stack.enter_context(open_file(site, files.clinical, columns, values=False))
    if not wanted.file_names:
        return OpenFiles(clinical, None)
    if not files.expression:
        raise SecgenError(
            site.fault(
                "SG418",
                "the spec has panels of genes, and no file of expression values is named",
                ("files", "clinical"),
                'name it with `expression = "…"` under [files]',
            )
        )
    expression = stack.enter_context(open_file(site, files.expression, genes, values=True))
    return OpenFiles(clinical, expression)


def open_file(
    site: Site, name: str, expected: Collection[str], *, values: bool
) -> AbstractContextManager[Source]:
    """Open a file, whose format its first bytes tell.

    Args:
        site: where the file stands, and how it is turned.
        name: the file as site.toml writes it.
        expected: names that it should hold.
        values: whether it is the file of expression values: orientation and layer are its.
    """
    files = site.description.files
    path = site.file(name)
    try:
        with path.open("rb") as file:
            magic = file.read(8)
    except (OSError, ValueError):
        magic = b""  # said by whoever opens it
    found = "text"
    if magic == _HDF5_MAGIC:
        found = "h5ad"
    elif magic[:4] == _PARQUET_MAGIC:
        found = "Parquet"
    named = next((_NAMED[s.lower()] for s in path.suffixes if s.lower() in _NAMED), found)
    if magic and named != found:
        packed = magic[:2] == _GZIP_MAGIC
        raise fail(
            "SG420",
            f"the file is named as {named}, but it is {'packed' if packed else 'none'}",
            place=location(path, site.place),
            next_step="unpack it first" if packed else "give it the ending of what it is",
        )
    if values and files.layer and found != "h5ad":
        raise SecgenError(
            site.fault(
                "SG420",
                f'"{name}" is {found}, which has no layers',
                ("files", "layer"),
                "take the line out: only h5ad files have layers",
            )
        )
    turned = values and files.orientation == "genes_by_samples"
    if found == "h5ad":
        if turned:
            raise SecgenError(
                site.fault(
                    "SG420",
                    "an h5ad file has samples as rows: obs",
                    ("files", "orientation"),
                    "take the line out; write a file with samples in var the other way (`adata.T`)",
                )
            )
        from secgen_dsl.runtime.site.h5ad import open_h5ad

        return open_h5ad(path, site.place, files.layer if values else "")
    if found == "Parquet":
        from secgen_dsl.runtime.site.parquet import open_parquet

        orientation = files.orientation if values else "samples_by_genes"
        return open_parquet(path, site.place, orientation)
    if turned:
        return nullcontext(open_gene_rows(path, site.place))
    return nullcontext(open_sample_rows(path, site.place, expected))


def has_column(path: Path, name: str, place: str) -> bool:
    """Whether the table of a site's columns has one of that name; False if it cannot be opened.

    Args:
        path: the site.toml, or a table.
        name: as the file's header writes it.
        place: the site's name.
    """
    try:
        site = Site(path, place)
        files = site.description.files
        table = files.clinical or files.expression
        with open_file(site, table, frozenset({name}), values=not files.clinical) as source:
            return name in source.columns
    except SecgenError:
        return False  # whoever reads the site says what is wrong


def find_places(
    program: Program, site: Site, files: OpenFiles, needed: NeededColumns, wanted: WantedGenes
) -> Places:
    """Where the files hold what ``program`` needs.

    Raises:
        SecgenError: SG413 to SG415, SG421 to SG424: all faults of the headers at once.
    """
    asked = site.description.files.sample
    counts = any(panel.source_unit == "counts" for panel in program.panels)
    columns, faults = find_columns(files.columns, needed, wanted.all(), counts=counts)
    sample, more = find_sample(files.columns, asked, join=files.joined)
    faults += more
    expression_sample = None
    if files.joined and files.expression is not None:
        expression_sample, more = find_sample(files.expression, asked, join=True)
        faults += more
    sources = [files.columns, *([files.expression] if files.joined and files.expression else [])]
    if asked and not any(asked in source.columns for source in sources):
        faults += no_sample(files.columns, asked)
    elif files.joined:
        for source, place in zip(sources, (sample, expression_sample), strict=True):
            if place is None and not any(fault.code == "SG415" for fault in faults):
                faults += no_sample(source, "")
    genes: dict[str, tuple[int, ...]] = {}
    summed = None
    if files.expression is not None:
        source = files.expression
        taken: set[str] = set()
        if source.shared:
            taken = {source.columns[place] for place in positions_of(expression_sample)}
            if not files.joined:
                taken = {
                    source.columns[place] for place in (*columns.values(), *positions_of(sample))
                }
                taken |= set(needed.file_names.values())
        genes, more = find_genes(program, site, source, wanted, taken)
        faults += more
        if any(panel.counts and panel.counts.library_column is None for panel in program.panels):
            summed, more = _all_genes(program, files, needed, expression_sample)
            faults += more
    turned = {fault.place for fault in faults if fault.code == "SG421"}
    # Of a file that is turned nothing else is worth saying.
    faults = [fault for fault in faults if fault.code == "SG421" or fault.place not in turned]
    if faults:
        raise SecgenError(faults)
    return Places(columns, sample, expression_sample, genes, summed)


def _all_genes(
    program: Program, files: OpenFiles, needed: NeededColumns, sample: int | None
) -> tuple[list[int], list[Diagnostic]]:
    """Positions of all genes of the expression file; SG424 if it holds more than genes."""
    source = files.expression
    if source is None:
        return [], []
    if not source.shared:
        return list(range(len(source.genes))), []
    # Not the categories and numbers: a mutation and a gene may share a name.
    labels = {column.name for column in program.columns}
    others = {name for spec, name in needed.file_names.items() if spec not in labels}
    others |= set(SAMPLE_COLUMNS) - {gene for panel in program.panels for gene in panel.genes}
    strangers = [
        name for place, name in enumerate(source.columns) if place != sample and name in others
    ]
    faults = []
    if strangers or not files.joined:
        shown = f": {', '.join(strangers[:5])}" if strangers else ""
        faults.append(
            Diagnostic(
                "SG424",
                "library sizes are the sum of all genes in the file, but it holds other columns as"
                f" well{shown}",
                place=source.where,
                next_step="give genes and the sample's name alone as `expression`, all other"
                " columns as `clinical`; or write `library size from column …` in the spec",
            )
        )
    return [place for place, name in enumerate(source.columns) if name and place != sample], faults
