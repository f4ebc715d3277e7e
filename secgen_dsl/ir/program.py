"""The program: what a spec means, with every name resolved and every default filled in.

A program knows nothing of a site's files, of positions in the spec's text, or of how the budget
will be spent.
"""

import re
from collections.abc import Mapping
from fractions import Fraction
from functools import cached_property
from math import prod
from typing import Annotated, Literal, TypeAlias, TypeVar

from pydantic import Field

from secgen_dsl.ir.base import Node, Rational
from secgen_dsl.ir.queries import (
    Asked,
    Marginal,
    Moments,
    PairMarginal,
    Query,
    SecondMoment,
    VectorSum,
)

AudienceKind = Literal["silos", "named", "registered", "public"]

AUDIENCES: tuple[AudienceKind, ...] = ("silos", "named", "registered", "public")
"""Narrow to wide."""

SampleFormat = Literal["csv", "h5ad"]

Mechanism = Literal["gaussian", "laplace"]
"""Discrete Gaussian or discrete Laplace noise; one for a whole plan."""

PARTY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
"""What a party may be called: its name becomes a folder and a certificate's subject."""

_ALIKE = str.maketrans("01i258", "ollzsb", "-_")
_PAIRS_ALIKE = (("rn", "m"), ("cl", "d"), ("vv", "w"))
"""Characters, and pairs, that are taken for others when a name is read on paper or aloud."""

LINEAR_UNITS = {"counts": "log2_cpm", "cpm": "log2_cpm", "tpm": "log2_tpm", "fpkm": "log2_fpkm"}
"""Units whose values are not logarithms → the unit of their logarithms."""

UNITS = (
    *("log2", "log2_tpm", "log2_fpkm", "log2_rsem", "log2_cpm", "vst", "rlog"),
    *LINEAR_UNITS,
)
"""Units of expression values: checked words, so that unlike tables are not compared."""

COUNT_TRANSFORM = "log2(cpm + 1)"
"""The transform of counts: log2(10⁶ · count / library size + 1)."""


class Audience(Node):
    """Who receives a release.

    Attributes:
        name: who they are, for ``named``; empty otherwise.
    """

    kind: AudienceKind
    name: str


class Terms(Node):
    """The terms under which a silo's data may be used.

    Attributes:
        kind: ``open`` allows a public release, ``consent`` a registered one, ``controlled`` only
            one to the silos.
        reference: the consent code or the dbGaP accession; empty for ``open``.
        approval: of a wider release than the kind allows, in the spec's words; else empty.
    """

    kind: Literal["open", "consent", "controlled"]
    reference: str
    approval: str

    @property
    def widest(self) -> AudienceKind:
        """The widest audience that the terms allow (LANGUAGE, Audiences)."""
        if self.kind == "open" or self.approval:
            return "public"
        return "registered" if self.kind == "consent" else "silos"


class Silo(Node):
    """A hospital that holds patients' rows."""

    name: str
    terms: Terms


class Person(Node):
    """What one person can contribute.

    Attributes:
        key: name of the column that identifies a person at a site; never sent.
        samples: k ≥ 1, at most so many samples of one person count at one silo.
        per: a category column, or None: the cap then holds for each of its values.
        keep: name of the site's date column whose earliest samples are kept, or None: then those
            of smallest HMAC.
        silos: s ≥ 1, a person is in at most so many silos.
        people_bound: a public upper bound on the people in all silos (under ``replace-one`` their
            exact number), or None if none is stated.
    """

    key: str
    samples: int
    per: str | None
    keep: str | None
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


class NumberColumn(Node):
    """A column of numbers, cut into public bins; a missing number adds nothing.

    Attributes:
        low: least value; smaller ones are clamped to it.
        high: greatest value, ``high > low``.
        binning: where the edges come from.
        reference: the public table of the edges; empty unless they are its quantiles.
        edges: B − 1 inner edges, non-decreasing, within the range.  Bin b is
            [edge b−1, edge b), the last one closed.
    """

    kind: Literal["number"]
    name: str
    low: Rational
    high: Rational
    binning: Literal["equal", "at", "reference"]
    reference: str
    edges: tuple[Rational, ...]

    @property
    def values(self) -> tuple[str, ...]:
        """The bins in words, for example ``[0, 20)``, ``[20, 100]``."""
        bounds = [decimal_text(edge) for edge in (self.low, *self.edges, self.high)]
        last = len(bounds) - 2
        return tuple(
            f"[{bounds[k]}, {bounds[k + 1]}{']' if k == last else ')'}" for k in range(last + 1)
        )


Column: TypeAlias = Annotated[CategoryColumn | NumberColumn, Field(discriminator="kind")]


class Reference(Node):
    """A public table that bins and decoding may use, pinned by its hash.

    Attributes:
        unit: of the file's expression values.
        sha256: of the file's bytes.
        provenance: who vouches for it, in the spec's words.
        aligned_by: the bridge that takes its values to another unit; empty if none does.
        labelled_by: category columns that the file has too, under the same names: public labels of
            its people.  Distinct, in the spec's order; may be none, and is then left out of the
            JSON: a plan without labels keeps the hash that it had before there were any.
    """

    name: str
    unit: str
    sha256: str
    provenance: str
    aligned_by: str
    labelled_by: tuple[str, ...] = Field(default=(), exclude_if=lambda names: not names)


class Bridge(Node):
    """The same public samples in two units, each file pinned by its hash.

    Attributes:
        units: two different units.
        sha256: of the two files' bytes, in the order of the units.
    """

    name: str
    units: tuple[str, str]
    sha256: tuple[str, str]
    provenance: str


class GeneSets(Node):
    """A public file of gene sets (GMT), pinned by its hash.

    Attributes:
        provenance: who vouches for it, in the spec's words.
    """

    name: str
    sha256: str
    provenance: str


class Counts(Node):
    """How the counts of a panel become values: log2(10⁶ · count / library size + 1).

    Attributes:
        library_column: name of the site's column of library sizes, or None: the sum of all genes
            in the site's expression file.
    """

    library_column: str | None


class Panel(Node):
    """A list of genes with a unit and a public range.

    Attributes:
        unit: of the range and of bin edges; ``log2_cpm`` where ``counts`` is set.
        counts: how a site's counts become values of that unit; None: the site has the unit.
        low: least value; smaller ones are clamped to it.
        high: greatest value, ``high > low``; greater ones are clamped to it.
        missing: the value that stands for a missing one, or None: it then adds nothing.
        genes: distinct symbols, in the spec's (or the list file's) order.
        list_sha256: of the bytes of the file that lists the genes; empty when written inline.
    """

    name: str
    unit: str
    counts: Counts | None
    low: Rational
    high: Rational
    missing: Rational | None
    genes: tuple[str, ...]
    list_sha256: str

    @property
    def source_unit(self) -> str:
        """The unit of a site's own values: ``counts`` where they become the panel's unit."""
        return self.unit if self.counts is None else "counts"


class Expectation(Node):
    """A public assertion about the people, with who vouches for it: errors are predicted with it.

    Attributes:
        share: of the people who have the value, 0 < share < 1.
    """

    column: str
    value: str
    share: Rational
    provenance: str


Adjacency = Literal["add-or-remove", "replace-one"]
"""What two neighbouring inputs differ by."""


class Privacy(Node):
    """The promise.

    Attributes:
        adjacency: neighbouring inputs differ by one person's presence (``add-or-remove``), or by
            whose rows one person's are (``replace-one``; the number of people is then public).
        epsilon: > 0.
        delta: 0 ≤ delta < 1; 0, pure differential privacy, with ``laplace`` only.
        mechanism: the noise of every release.
    """

    adjacency: Adjacency
    epsilon: Rational
    delta: Rational
    mechanism: Mechanism


class SampleRelease(Node):
    """Synthetic rows: how many (a public choice, never the number of people), to whom, as what."""

    rows: int
    audience: Audience
    formats: tuple[SampleFormat, ...]


_Named = TypeVar("_Named", Reference, Bridge)


class Program(Node):
    """A spec's meaning.  See the attributes' own classes.

    Attributes:
        helpers: names of parties without data.
        tolerated: t, the number of parties that may collude, 1 ≤ t < m/2.
        samples: None if the spec releases none.
        measurements: audience of the opened, noised values.
    """

    format: Literal["secgen.program/3"]
    silos: tuple[Silo, ...]
    helpers: tuple[str, ...]
    tolerated: int
    person: Person
    columns: tuple[Column, ...]
    references: tuple[Reference, ...]
    bridges: tuple[Bridge, ...]
    sets: tuple[GeneSets, ...]
    panels: tuple[Panel, ...]
    privacy: Privacy
    expectations: tuple[Expectation, ...]
    queries: tuple[Asked, ...]
    samples: SampleRelease | None
    measurements: Audience

    @property
    def parties(self) -> tuple[str, ...]:
        """Names of all parties in the order of their indices: silos, then helpers."""
        return tuple(silo.name for silo in self.silos) + self.helpers

    def column(self, name: str) -> CategoryColumn | NumberColumn:
        """The column of that name.  Raises KeyError if there is none."""
        return self._columns[name]

    def panel(self, name: str) -> Panel:
        """The panel of that name.  Raises KeyError if there is none."""
        return self._panels[name]

    def reference(self, name: str) -> Reference:
        """The public reference of that name.  Raises KeyError if there is none."""
        return _named(self.references, name)

    def bridge(self, name: str) -> Bridge:
        """The bridge of that name.  Raises KeyError if there is none."""
        return _named(self.bridges, name)

    def reference_unit(self, reference: Reference) -> str:
        """The unit of a reference's values once aligned."""
        if not reference.aligned_by:
            return reference.unit
        first, second = self.bridge(reference.aligned_by).units
        return second if reference.unit == first else first

    def query(self, name: str) -> Marginal | PairMarginal | Moments:
        """The query of that id.  Raises KeyError if there is none."""
        return self._queries[name]

    def genes(self, query: Marginal | PairMarginal | Moments) -> tuple[str, ...]:
        """The genes that ``query`` counts or sums; none without a panel."""
        if isinstance(query, PairMarginal):
            return query.genes
        if query.panel is None:
            return ()
        gene = query.gene if isinstance(query, Marginal) else None
        return self.panel(query.panel).genes if gene is None else (gene,)

    def label_cells(self, query: Query | Moments) -> int:
        """L: number of combinations of the values of the columns.

        Of a pair also of the first gene's bins, which run fastest.
        """
        if isinstance(query, SecondMoment):
            return 1
        labels = prod(map(self._sizes.__getitem__, query.columns))
        return labels * query.bins if isinstance(query, PairMarginal) else labels

    def tables(self, query: Query) -> int:
        """Number of tables: 1, the number of genes of a panel, or the number of gene pairs."""
        if isinstance(query, PairMarginal):
            return len(query.pairs)
        if isinstance(query, Marginal) and query.panel is not None:
            return len(self.genes(query))
        return 1

    def shape(self, query: Query) -> tuple[int, int, int]:
        """The shape of the query's raw cells, in C order.

        (tables, label cells, bins) of tables, (1, label cells, coordinates) of a vector sum,
        (1, 1, K(K + 1)/2) of a second moment.
        """
        if isinstance(query, VectorSum):
            return 1, self.label_cells(query), query.coordinates
        if isinstance(query, SecondMoment):
            return 1, 1, query.coordinates * (query.coordinates + 1) // 2
        return self.tables(query), self.label_cells(query), query.bins

    # Specs have thousands of queries and hundreds of columns.  Of two with one name, which the
    # verifier refuses, the first counts.

    @cached_property
    def _columns(self) -> Mapping[str, CategoryColumn | NumberColumn]:
        return {column.name: column for column in reversed(self.columns)}

    @cached_property
    def _sizes(self) -> Mapping[str, int]:
        return {name: len(column.values) for name, column in self._columns.items()}

    @cached_property
    def _panels(self) -> Mapping[str, Panel]:
        return {panel.name: panel for panel in reversed(self.panels)}

    @cached_property
    def _queries(self) -> Mapping[str, Marginal | PairMarginal | Moments]:
        return {query.id: query for query in reversed(self.queries)}


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


def look_of(name: str) -> str:
    """What a party's name looks like, with all that is easily mistaken written alike.

    Two parties of one look cannot be told apart when keys are compared by telephone.
    """
    look = name.lower().translate(_ALIKE)
    for pair, one in _PAIRS_ALIKE:
        look = look.replace(pair, one)
    return look
