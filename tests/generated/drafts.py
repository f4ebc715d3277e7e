"""A spec under construction: what was declared so far, and the files that it names."""

import csv
import gzip
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

from hypothesis import strategies as st

from tests.generated.layout import SEPARATOR, Block, Statement, text_of
from tests.generated.words import quoted, written


@dataclass(frozen=True)
class GeneratedSpec:
    """A spec that the type rules allow, and the files that it names.

    Attributes:
        blocks: in the order in which the strategy made them.
        files: path, relative to the spec's folder → bytes.
    """

    blocks: tuple[Block, ...]
    files: Mapping[str, bytes]

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """How hypothesis shows it."""
        printer.text(f"\n{self.text()}# files: {dict(self.files)}\n")

    def text(self, seed: int | None = None) -> str:
        """The spec's text; a seed gives an odd layout."""
        return text_of(self.blocks, seed)

    def write(self, folder: Path) -> Path:
        """Write the files of the spec into a folder, and return that folder."""
        for name, data in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return folder


@dataclass(frozen=True)
class PanelDraft:
    """A declared panel.

    Attributes:
        unit: of its range: ``log2_cpm`` where counts are converted.
        site_unit: of the values at a site.
    """

    name: str
    unit: str
    site_unit: str
    low: Decimal
    high: Decimal
    genes: tuple[str, ...]


@dataclass(frozen=True)
class TableDraft:
    """A declared public reference.

    Attributes:
        unit: of its values once aligned.
        low: its values lie above.
        high: its values lie below.
        columns: genes and number columns that it has.
        labels: label columns that it has; a gene may have the name of one of them.
    """

    name: str
    unit: str
    low: Decimal
    high: Decimal
    columns: frozenset[str]
    labels: frozenset[str]

    def fits(self, panel: PanelDraft) -> bool:
        """Whether its quantiles can be bins of a panel."""
        inside = panel.low <= self.low and self.high <= panel.high
        return self.unit == panel.unit and inside and not self.labels & set(panel.genes)


@dataclass
class Draft:
    """What a strategy has declared.

    Attributes:
        values: column → its values (of a number column: as many as it has bins).
        categories: those of them that list their values.
        groups: mutation line → its columns.
        tables: public references.
        sets: file of gene sets → set → genes.
        public_names: of references and bridges.
        pair_labels: what pairs are counted by, where they are by labels.
        moments: there are to be some; left to chance they hardly ever go with the rest.
    """

    draw: st.DrawFn
    random: Random
    silos: list[str] = field(default_factory=list)
    parties: list[str] = field(default_factory=list)
    widest: str = "public"
    values: dict[str, tuple[str, ...]] = field(default_factory=dict)
    categories: list[str] = field(default_factory=list)
    groups: dict[str, tuple[str, ...]] = field(default_factory=dict)
    panels: list[PanelDraft] = field(default_factory=list)
    tables: list[TableDraft] = field(default_factory=list)
    sets: dict[str, dict[str, tuple[str, ...]]] = field(default_factory=dict)
    public_names: set[str] = field(default_factory=set)
    pair_labels: tuple[str, ...] = ()
    moments: bool = False
    people: int | None = None
    replaced: bool = False
    blocks: list[Block] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)

    def pick(self, choices: Sequence[str]) -> str:
        """One of them, drawn."""
        return self.draw(st.sampled_from(choices))

    def flag(self) -> bool:
        """A drawn truth."""
        return self.draw(st.booleans())

    def rarely(self) -> bool:
        """A drawn truth: one time in eight, and never in the simplest example."""
        return self.draw(st.integers(0, 7)) == 7

    def name(self, name: str, *, only_name: bool = True) -> str:
        """A name as the text has it, now and then in quotes that it does not need."""
        return written(name, bare=self.random.random() < 0.8, only_name=only_name)

    def names(self, names: Sequence[str]) -> Statement:
        """A list in braces."""
        tokens = ["{"]
        for position, name in enumerate(names):
            tokens += [SEPARATOR] if position else []
            tokens.append(self.name(name))
        return (*tokens, "}")

    def number(self, value: Decimal | int) -> str:
        """A number in one of the ways to write it."""
        plain = f"{Decimal(value):f}"
        if self.random.random() < 0.8:
            return plain
        longer = plain + ("0" if "." in plain else ".0")
        return self.random.choice((longer, plain + "e0", f"{Decimal(value):e}", plain + "E+0"))

    def file(self, name: str, ending: str, data: bytes) -> str:
        """Keep a file's bytes, gzip-packed now and then; returns its path in quotes."""
        folder = self.random.choice(("", "public/", "public files/", "δ/"))
        path = f"{folder}{len(self.files)} {name}{ending}"
        if self.random.random() < 0.2:
            path, data = path + ".gz", gzip.compress(data, mtime=0)
        self.files[path] = data
        return quoted(path)


def table_bytes(random: Random, columns: Mapping[str, Sequence[str]]) -> bytes:
    """A public table: comma- or tab-separated, with a column that nobody asks for."""
    taken = any("\t" in name or "," in name for name in columns)
    delimiter = "," if taken else random.choice(",\t")
    ending = random.choice(("\n", "\r\n"))
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, lineterminator=ending)
    header = ["which sample", *columns]
    order = list(range(len(header)))
    random.shuffle(order)
    rows = [[f"s{number}", *row] for number, row in enumerate(zip(*columns.values(), strict=True))]
    for row in [header, *rows]:
        writer.writerow([row[place] for place in order])
    start = "\ufeff" if random.random() < 0.1 else ""
    return (start + text.getvalue()).encode()
