"""The program: what a spec means, with every name resolved and every default filled in.

A program knows nothing of a site's files, of positions in the spec's text, or of how the budget
will be spent.
"""

from fractions import Fraction
from math import prod
from typing import Literal, TypeVar

from secgen_dsl.ir.base import Node, Rational

Audience = Literal["silos", "public"]
"""Who receives a release, narrow to wide."""

SampleFormat = Literal["csv", "h5ad"]


class Terms(Node):
    """The terms under which a silo's data may be used.

    Attributes:
        kind: ``open`` allows a public release; ``consent`` and ``controlled`` only the silos.
        reference: the consent code or the dbGaP accession; empty for ``open``.
    """

    kind: Literal["open", "consent", "controlled"]
    reference: str


class Silo(Node):
    """A hospital that holds patients' rows."""

    name: str
    terms: Terms


class Person(Node):
    """What one person can contribute.

    Attributes:
        key: name of the column that identifies a person at a site; never sent.
        samples: at most so many samples of one person count (version 1: 1).
        silos: a person is in at most so many silos (version 1: 1).
        people_bound: a public upper bound on the people in all silos, or None if none is stated.
    """

    key: str
    samples: int
    silos: int
    people_bound: int | None


class CategoryColumn(Node):
    """A column whose values are from a public list.

    Attributes:
        values: the list, in the spec's order; compared as trimmed text.
        otherwise: the value that stands for missing and unknown ones, or None: such a row then
            adds nothing to the tables that use the column.
    """

    kind: Literal["category"]
    name: str
    values: tuple[str, ...]
    otherwise: str | None


class Reference(Node):
    """A public table that bins and decoding may use, pinned by its hash.

    Attributes:
        unit: unit of its expression values; equals the unit of every panel that uses it.
        sha256: of the file's bytes.
        provenance: who vouches for it, in the spec's words.
    """

    name: str
    unit: str
    sha256: str
    provenance: str


class Panel(Node):
    """A list of genes with a unit and a public range.

    Attributes:
        low: least value; smaller ones are clamped to it.
        high: greatest value, ``high > low``; greater ones are clamped to it.
        genes: distinct symbols, in the spec's (or the list file's) order.
        list_sha256: of the bytes of the file that lists the genes; empty when written inline.
    """

    name: str
    unit: str
    low: Rational
    high: Rational
    genes: tuple[str, ...]
    list_sha256: str


class Marginal(Node):
    """Counts of people by categories, and for a panel by the bin of each gene.

    Without a panel it is one table with a cell for each combination of the columns' values.  With
    a panel it is one table a gene: rows are the combinations (the *label cells*), columns the bins.

    Attributes:
        id: unique name within the program, for example ``subtype*cycle``.
        statement: the statement in canonical words, as the documents show it.
        columns: names of category columns; the cell index runs fastest over the last one.
        panel: name of the panel, or None.
        bins: number of bins B ≥ 2 of each gene; 1 without a panel.
        binning: where the edges come from; ``none`` without a panel.
        reference: the public reference of the edges; empty unless ``binning`` is ``reference``.
        edges: for each gene of the panel, its B − 1 inner edges, non-decreasing and within the
            panel's range.  Bin b is [edge b−1, edge b), the last one closed.
        weight: importance relative to the other queries, > 0.
    """

    kind: Literal["marginal"]
    id: str
    statement: str
    columns: tuple[str, ...]
    panel: str | None
    bins: int
    binning: Literal["none", "equal", "at", "reference"]
    reference: str
    edges: tuple[tuple[Rational, ...], ...]
    weight: Rational


class Privacy(Node):
    """The promise.

    Attributes:
        adjacency: ``add-or-remove``: neighbouring inputs differ by one person's presence.
        epsilon: > 0.
        delta: 0 < delta < 1.
    """

    adjacency: Literal["add-or-remove"]
    epsilon: Rational
    delta: Rational


class SampleRelease(Node):
    """Synthetic rows: how many (a public choice, never the number of people), to whom, as what."""

    rows: int
    audience: Audience
    formats: tuple[SampleFormat, ...]


_Named = TypeVar("_Named", CategoryColumn, Panel, Reference)


class Program(Node):
    """A spec's meaning.  See the attributes' own classes.

    Attributes:
        helpers: names of parties without data.
        tolerated: t, the number of parties that may collude, 1 ≤ t < m/2.
        samples: None if the spec releases none.
        measurements: audience of the opened, noised values.
    """

    format: Literal["secgen.program/1"]
    silos: tuple[Silo, ...]
    helpers: tuple[str, ...]
    tolerated: int
    person: Person
    columns: tuple[CategoryColumn, ...]
    references: tuple[Reference, ...]
    panels: tuple[Panel, ...]
    privacy: Privacy
    marginals: tuple[Marginal, ...]
    samples: SampleRelease | None
    measurements: Audience

    @property
    def parties(self) -> tuple[str, ...]:
        """Names of all parties in the order of their indices: silos, then helpers."""
        return tuple(silo.name for silo in self.silos) + self.helpers

    def column(self, name: str) -> CategoryColumn:
        """The column of that name.  Raises KeyError if there is none."""
        return _named(self.columns, name)

    def panel(self, name: str) -> Panel:
        """The panel of that name.  Raises KeyError if there is none."""
        return _named(self.panels, name)

    def reference(self, name: str) -> Reference:
        """The public reference of that name.  Raises KeyError if there is none."""
        return _named(self.references, name)

    def label_cells(self, marginal: Marginal) -> int:
        """L: number of combinations of the values of the marginal's columns."""
        return prod(len(self.column(name).values) for name in marginal.columns)

    def tables(self, marginal: Marginal) -> int:
        """Number of tables: 1, or the number of genes of the marginal's panel."""
        return 1 if marginal.panel is None else len(self.panel(marginal.panel).genes)

    def shape(self, marginal: Marginal) -> tuple[int, int, int]:
        """(tables, label cells, bins): the shape of the marginal's raw cells, in C order."""
        return self.tables(marginal), self.label_cells(marginal), marginal.bins


class Study(Node):
    """The prose of a spec, with a hash of its own: it changes nothing that runs."""

    format: Literal["secgen.study/1"]
    title: str
    purpose: str
    reference: str
    contact: str
    cohort: str
    inclusion: str
    not_for: str
    retention: str
    silo_titles: tuple[str, ...]
    silo_sources: tuple[str, ...]
    helper_titles: tuple[str, ...]


def _named(items: tuple[_Named, ...], name: str) -> _Named:
    for item in items:
        if item.name == name:
            return item
    raise KeyError(name)


def decimal_text(number: Fraction) -> str:
    """``number`` exactly, for people: a decimal if it ends (``0.25``, ``1e-6``), else ``p/q``.

    Two numbers never have the same text.
    """
    if number.denominator == 1:
        return str(number.numerator)
    places = 0
    rest = number.denominator
    for prime in (2, 5):
        power = 0
        while rest % prime == 0:
            rest //= prime
            power += 1
        places = max(places, power)
    if rest != 1:
        return str(number)
    digits = abs(number.numerator) * 10**places // number.denominator
    sign = "-" if number < 0 else ""
    if abs(number) < Fraction(1, 1000):
        return f"{sign}{digits}e-{places}"
    text = str(digits).rjust(places + 1, "0")
    return f"{sign}{text[:-places]}.{text[-places:]}"
