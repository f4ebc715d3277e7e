"""Where a site's expression file holds a panel's genes: by their own names, or through a map."""

import csv
import io
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from secgen_dsl.diagnostics.diagnostic import Diagnostic, SecgenError, nearest
from secgen_dsl.ir.program import COUNT_TRANSFORM, UNITS, Program
from secgen_dsl.public.files import read_public_file, text_of
from secgen_dsl.runtime.site.description import GeneSystem, Site
from secgen_dsl.runtime.site.source import Orientation, Source

GENE_PREFIX = "expr:"
"""Marks a gene's column where a column that is used has the gene's name (LANGUAGE rule 7)."""

LINEAR_UNITS = frozenset({"counts", "cpm", "tpm", "fpkm"})
"""Units in which the values of a gene's several entries may be added up."""

SYSTEM_WORDS: Mapping[GeneSystem, str] = {
    "symbol": "symbols",
    "ensembl": "Ensembl ids",
    "entrez": "Entrez ids",
}

_ENSEMBL = re.compile(r"ENS[A-Z]{0,4}G[0-9]{11}(\.[0-9]+)?")
_HEADERS: Mapping[GeneSystem, tuple[str, ...]] = {
    "symbol": (
        *("symbol", "gene_symbol", "hgnc_symbol", "approved_symbol"),
        *("gene_name", "hugo_symbol"),
    ),
    "ensembl": ("ensembl", "ensembl_gene_id", "ensembl_id", "gene_stable_id"),
    "entrez": (
        *("entrez", "entrez_id", "entrez_gene_id", "entrezgene_id"),
        *("ncbi_gene_id", "ncbi_gene_formerly_entrezgene_id"),
    ),
}
"""What the header of a map may call each system, in lower case with ``_`` for other signs."""

_GENE_HEADERS = frozenset({"gene", "genes", "gene_id"}).union(*_HEADERS.values())

_LISTED = 5  # genes that a message names


def check_unit(program: Program, site: Site) -> None:
    """The unit that a site states is that of its values in every panel.

    Raises:
        SecgenError: SG418, there is no such unit; SG427, a panel asks for another one.
    """
    stated = site.description.files.unit
    key = ("files", "unit")
    if not stated:
        return
    if stated not in UNITS:
        step = f"{nearest(stated, UNITS)} the units are {', '.join(UNITS)}".strip()
        raise SecgenError(site.fault("SG418", f'there is no unit "{stated}"', key, step))
    asked = {panel.source_unit for panel in program.panels}
    faults = []
    for panel in program.panels:
        if panel.source_unit == stated:
            continue
        step = (
            f"give a file (or layer) in {panel.source_unit}; if every site has {stated}, let the"
            " spec say so"
        )
        if stated == "counts":
            step += f": counts as {COUNT_TRANSFORM}"
        if len(asked) > 1:
            step += (
                "; the spec's panels are in several units: leave the line out if the file holds"
                " each panel's genes in its own"
            )
        faults.append(
            site.fault(
                "SG427",
                f'the file is in {stated}, the panel "{panel.name}" asks for {panel.source_unit}',
                key,
                step,
            )
        )
    if faults:
        raise SecgenError(faults)


@dataclass(frozen=True)
class GeneMap:
    """A public table of gene names, of which one row holds the names of one gene.

    Attributes:
        sha256: of the file's bytes.
        names: system → the names of each row.
    """

    sha256: str
    names: Mapping[GeneSystem, Sequence[str]]


@dataclass(frozen=True)
class WantedGenes:
    """The genes of a program, and by which names its file may hold each.

    Attributes:
        file_names: gene → names.
        directly: genes that are searched for by their own names.
        map_sha256: of the map's bytes; empty if none was used.
    """

    file_names: Mapping[str, tuple[str, ...]]
    directly: int
    map_sha256: str

    def all(self) -> frozenset[str]:
        """Every name."""
        return frozenset(name for names in self.file_names.values() for name in names)


def system_of(name: str) -> GeneSystem:
    """The system that a gene's name looks to be of."""
    if _ENSEMBL.fullmatch(name):
        return "ensembl"
    return "entrez" if name.isascii() and name.isdigit() else "symbol"


def wanted_genes(program: Program, site: Site) -> WantedGenes:
    """By which names the file may hold each gene of the panels.

    A gene that is written in the file's system is looked for by its own name, any other one
    through the map.

    Raises:
        SecgenError: SG418, a map without `system`; SG422, the map cannot be used, or there is none
            and the genes need one.
    """
    genes = tuple(dict.fromkeys(gene for panel in program.panels for gene in panel.genes))
    rule = site.description.genes
    if rule.map and rule.system is None:
        raise SecgenError(
            site.fault(
                "SG418",
                "a map of genes is given, but not how the file names them",
                ("genes", "map"),
                'write `system = "ensembl"` (or symbol, or entrez) under [genes]',
            )
        )
    through = [gene for gene in genes if rule.system not in (None, system_of(gene))]
    if not through:
        return WantedGenes({gene: (gene,) for gene in genes}, len(genes), "")
    if rule.system is None or not rule.map:
        system = rule.system or "symbol"
        raise SecgenError(
            site.fault(
                "SG422",
                f"the file names its genes by {SYSTEM_WORDS[system]}, the spec {through[0]} and"
                f" others by {SYSTEM_WORDS[system_of(through[0])]}, and no map is given",
                ("genes", "system"),
                'give a table that holds both with `map = "…"` under [genes]',
            )
        )
    gene_map = _read_map(site)
    systems = {system_of(gene) for gene in through} | {rule.system}
    lacking = [SYSTEM_WORDS[system] for system in sorted(systems - set(gene_map.names))]
    if lacking:
        raise SecgenError(
            site.fault(
                "SG422",
                f"the map has no column of {' and of '.join(lacking)}",
                ("genes", "map"),
                "name its columns in the first line: symbol, ensembl, entrez",
            )
        )
    found: dict[str, dict[str, None]] = defaultdict(dict)
    for gene_system in sorted({system_of(gene) for gene in through}):
        pairs = zip(gene_map.names[gene_system], gene_map.names[rule.system], strict=True)
        for own, other in pairs:
            if own and other:
                found[_plain(own)][other] = None
    names = {gene: (gene,) for gene in genes} | {
        gene: tuple(found.get(_plain(gene), ())) for gene in through
    }
    return WantedGenes(names, len(genes) - len(through), gene_map.sha256)


def find_genes(
    program: Program, site: Site, source: Source, wanted: WantedGenes, taken: Collection[str]
) -> tuple[dict[str, tuple[int, ...]], list[Diagnostic]]:
    """Where a file holds the genes.

    Args:
        program: tells the units in which the entries of one gene may be added.
        site: its rule for genes that stand in the file several times.
        source: the file.
        wanted: the genes.
        taken: names of columns of the same table that are no genes.

    Returns:
        Gene → positions in ``source.genes``, as many as it has entries; and the faults: SG414
        genes are absent, SG421 the file is turned the other way, SG422 the map gives two genes one
        name, SG423 a gene stands there several times.
    """
    rule = site.description.genes
    places: dict[str, list[int]] = defaultdict(list)
    for place, name in enumerate(source.genes):
        if name.startswith(GENE_PREFIX) and name.removeprefix(GENE_PREFIX) in taken:
            places[name.removeprefix(GENE_PREFIX)].append(place)
        elif name not in taken:
            places[_plain(name) if rule.strip_version else name].append(place)
    positions: dict[str, tuple[int, ...]] = {}
    for gene, names in wanted.file_names.items():
        keys = dict.fromkeys(_plain(name) if rule.strip_version else name for name in names)
        positions[gene] = tuple(sorted(place for key in keys for place in places.get(key, ())))
    faults = _absent(site, source, wanted, positions, taken)
    faults += _ambiguous(site, source, positions)
    faults += _repeated(program, site, source, positions)
    return positions, faults


def rows_are_genes(source: Source) -> bool:
    """Whether a table's first column looks to name genes: by its header, or by Ensembl ids in it.

    Raises:
        SecgenError: SG411, SG416: the file cannot be read.
    """
    if re.sub(r"[^a-z0-9]+", "_", source.columns[0].lower()) in _GENE_HEADERS:
        return True
    names = [name for name in source.across() if name]
    return 2 * sum(system_of(name) == "ensembl" for name in names) > len(names)


def _plain(name: str) -> str:
    """An Ensembl id without its version; any other name as it is."""
    return name.partition(".")[0] if _ENSEMBL.fullmatch(name) else name


def _read_map(site: Site) -> GeneMap:
    name = site.description.genes.map
    try:
        file = read_public_file(site.path.parent, name)
        text = text_of(file)
    except SecgenError as error:
        (found,) = error.diagnostics
        raise SecgenError(
            site.fault(
                "SG422", f"the map of genes: {found.message}", ("genes", "map"), found.next_step
            )
        ) from error
    first = text.partition("\n")[0]
    delimiter = "\t" if "\t" in first else ","
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        header = [re.sub(r"[^a-z0-9]+", "_", each.lower()).strip("_") for each in next(rows, [])]
        table = [row for row in rows if row]
    except csv.Error as error:
        raise SecgenError(
            site.fault(
                "SG422",
                f'the map of genes "{name}" cannot be read in line {rows.line_num}: {error}',
                ("genes", "map"),
                "save it as CSV or TSV, with quotes around texts that hold the separator",
            )
        ) from error
    names: dict[GeneSystem, Sequence[str]] = {}
    for system, words in _HEADERS.items():
        for place, word in enumerate(header):
            if word in words and system not in names:
                names[system] = [row[place].strip() if place < len(row) else "" for row in table]
    return GeneMap(file.sha256, names)


def _absent(
    site: Site,
    source: Source,
    wanted: WantedGenes,
    positions: Mapping[str, Sequence[int]],
    taken: Collection[str],
) -> list[Diagnostic]:
    absent = [gene for gene, found in positions.items() if not found]
    if not absent:
        return []
    unmapped = [gene for gene in absent if not wanted.file_names[gene]]
    shown = [
        GENE_PREFIX + gene if source.shared and gene in taken else gene for gene in absent[:_LISTED]
    ]
    listed = ", ".join(shown) + (
        f", and {len(absent) - _LISTED} more" if len(absent) > _LISTED else ""
    )
    message = f"{len(absent)} of {len(positions)} genes are not in the file: {listed}"
    if 2 * len(absent) > len(positions):
        if _held(source.across(), wanted) > len(positions) - len(absent):
            return [turned(source)]
        others = [name for name in source.genes if name and name not in taken]
        looks = _commonest(others)
        sought = site.description.genes.system or _commonest(positions)
        if looks is not None and sought is not None and looks != sought:
            example = next(name for name in others if system_of(name) == looks)
            message += f"; the file's names look like {SYSTEM_WORDS[looks]}, and"
            message += f" {SYSTEM_WORDS[sought]} are looked for"
            return [_other_system(site, source, message, looks, example)]
    if unmapped:
        message += f" ({len(unmapped)} of them are not in the map)"
    candidates = [name for name in source.genes if name not in taken]
    guess = nearest(absent[0], candidates) if len(candidates) <= 5000 else ""
    step = "use names of the spec's, or a map under [genes] of a site.toml, or take the genes out"
    step += " of the panel at every site"
    return [Diagnostic("SG414", message, place=source.where, next_step=step, local=guess)]


def _held(names: Iterable[str], wanted: WantedGenes) -> int:
    """How many of the genes are among ``names``."""
    present = {_plain(name) for name in names}
    return sum(any(_plain(n) in present for n in names) for names in wanted.file_names.values())


def turned(source: Source) -> Diagnostic:
    """SG421: the file's rows are what its columns are taken for."""
    other: Orientation = "samples_by_genes"
    rows = "samples"
    if source.orientation == other:
        other, rows = "genes_by_samples", "genes"
    step = f'write `orientation = "{other}"` under [files] of a site.toml'
    if source.format == "h5ad":
        step = "write it with samples in obs and genes in var (`adata.T`)"
    return Diagnostic(
        "SG421",
        f"the file is turned the other way: its rows are {rows}",
        place=source.where,
        next_step=step,
    )


def _other_system(
    site: Site, source: Source, message: str, looks: GeneSystem, example: str
) -> Diagnostic:
    step = f'write `system = "{looks}"` and `map = "…"`, a table of both, under [genes] of a'
    step += " site.toml"
    if site.description.genes.system is not None:
        step = f'write `system = "{looks}"` under [genes] of site.toml'
    local = f"one of the file's names is {example}"
    return Diagnostic("SG414", message, place=source.where, next_step=step, local=local)


def _commonest(names: Iterable[str]) -> GeneSystem | None:
    """The system that most of the names look to be of; None without names."""
    counts = Counter(map(system_of, names))
    return counts.most_common(1)[0][0] if counts else None


def _ambiguous(
    site: Site, source: Source, positions: Mapping[str, Sequence[int]]
) -> list[Diagnostic]:
    owner: dict[int, str] = {}
    for gene, found in positions.items():
        for place in found:
            if owner.setdefault(place, gene) != gene:
                fault = site.fault(
                    "SG422",
                    "a name in the file stands for two genes of the panel:"
                    f" {owner[place]} and {gene}",
                    ("genes", "map"),
                    "keep the row of the map that is meant",
                )
                return [replace(fault, local=f'the name is "{source.genes[place]}"')]
    return []


def _repeated(
    program: Program, site: Site, source: Source, positions: Mapping[str, Sequence[int]]
) -> list[Diagnostic]:
    rule = site.description.genes.duplicates
    several = [gene for gene, found in positions.items() if len(found) > 1]
    why = "the rule for such genes is `error`"
    if rule == "sum":
        logarithms = {
            gene: panel.unit
            for panel in program.panels
            if panel.counts is None and panel.unit not in LINEAR_UNITS
            for gene in panel.genes
        }
        several = [gene for gene in several if gene in logarithms]
        if several:
            why = f"values in {logarithms[several[0]]} cannot be added up"
    if not several or rule == "first":
        return []
    shown = several[0]
    names = ", ".join(source.genes[place] for place in positions[shown][:_LISTED])
    more = f", and {len(several) - 1} more genes" if len(several) > 1 else ""
    return [
        Diagnostic(
            "SG423",
            f"the file holds {shown} {len(positions[shown])} times{more}: {why}",
            place=source.where,
            next_step='keep one entry a gene, or write `duplicates = "first"` (for counts also'
            ' "sum") under [genes] of a site.toml',
            local=f"its entries are {names}",
        )
    ]
