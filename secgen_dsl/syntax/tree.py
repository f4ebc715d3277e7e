"""The tree: what a spec says, every node with its span.  Nothing is resolved or defaulted."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias, TypeVar

from secgen_dsl.diagnostics.diagnostic import Span


@dataclass(frozen=True)
class Name:
    """A bare word or a quoted name."""

    text: str
    span: Span


@dataclass(frozen=True)
class Text:
    """A text in quotes."""

    text: str
    span: Span


@dataclass(frozen=True)
class Number:
    """A number, exact."""

    value: Fraction
    span: Span


@dataclass(frozen=True)
class Version:
    """``secgen 1``."""

    number: Number
    span: Span


@dataclass(frozen=True)
class Prose:
    """One line of ``study``; ``kind`` is the field's name in ``ir.program.Study``."""

    kind: str
    text: Text
    span: Span


@dataclass(frozen=True)
class StudyBlock:
    """``study "title" { … }``."""

    title: Text
    lines: tuple[Prose, ...]
    span: Span


@dataclass(frozen=True)
class TermsClause:
    """``terms open``, ``terms consent "…"``, ``terms controlled "…"``."""

    kind: str
    reference: Text | None
    span: Span


@dataclass(frozen=True)
class ApprovalClause:
    """``approval "…"``."""

    text: Text
    span: Span


@dataclass(frozen=True)
class SourceClause:
    """``source "…"``."""

    text: Text
    span: Span


@dataclass(frozen=True)
class SiloLine:
    """One silo."""

    name: Name
    title: Text | None
    clauses: tuple[TermsClause | ApprovalClause | SourceClause, ...]
    span: Span


@dataclass(frozen=True)
class SilosBlock:
    """``silos hold patients { … }``."""

    hold: Name
    silos: tuple[SiloLine, ...]
    span: Span


@dataclass(frozen=True)
class HelperLine:
    """One helper: a party without data."""

    name: Name
    title: Text | None
    span: Span


@dataclass(frozen=True)
class HelpersBlock:
    """``helpers { … }``."""

    helpers: tuple[HelperLine, ...]
    span: Span


@dataclass(frozen=True)
class Tolerate:
    """``tolerate t colluding party``."""

    number: Number
    span: Span


@dataclass(frozen=True)
class TrustBlock:
    """``trust { … }``."""

    lines: tuple[Tolerate, ...]
    span: Span


@dataclass(frozen=True)
class PersonKey:
    """``key NAME``."""

    name: Name
    span: Span


@dataclass(frozen=True)
class PersonBound:
    """``at most N …``; ``kind`` is ``samples``, ``silos`` or ``people``; ``per`` a column."""

    kind: str
    number: Number
    per: Name | None
    span: Span


@dataclass(frozen=True)
class KeepLine:
    """``keep earliest COLUMN``."""

    column: Name
    span: Span


@dataclass(frozen=True)
class ExpectLine:
    """``expect COLUMN VALUE ~ N% "provenance"``."""

    column: Name
    value: Name
    percent: Number
    provenance: Text | None
    span: Span


@dataclass(frozen=True)
class PersonBlock:
    """``person { … }``."""

    lines: tuple[PersonKey | PersonBound | KeepLine | ExpectLine, ...]
    span: Span


@dataclass(frozen=True)
class CategoryLine:
    """``NAME category { … } else VALUE``."""

    name: Name
    values: tuple[Name, ...]
    otherwise: Name | None
    span: Span


@dataclass(frozen=True)
class MutationLine:
    """``NAME mutation { … }``: a column for each gene, with the values yes, no, untested."""

    name: Name
    genes: tuple[Name, ...]
    span: Span


@dataclass(frozen=True)
class EqualBins:
    """``in N equal bins``."""

    count: Number
    span: Span


@dataclass(frozen=True)
class BinsAt:
    """``in bins at a, b, c``: the inner edges."""

    edges: tuple[Number, ...]
    span: Span


@dataclass(frozen=True)
class BinsFrom:
    """``in N bins from NAME``: quantiles of a public reference; ``else equal`` without one."""

    count: Number
    reference: Name
    else_equal: bool
    span: Span


@dataclass(frozen=True)
class LearnedBins:
    """``in N learned bins``, perhaps ``from REFERENCE``."""

    count: Number
    reference: Name | None
    span: Span


Binning: TypeAlias = EqualBins | BinsAt | BinsFrom | LearnedBins


@dataclass(frozen=True)
class NumberLine:
    """``NAME number LOW..HIGH in … bins``."""

    name: Name
    low: Number
    high: Number
    binning: Binning
    span: Span


@dataclass(frozen=True)
class ColumnsBlock:
    """``columns { … }``."""

    columns: tuple[CategoryLine | MutationLine | NumberLine, ...]
    span: Span


@dataclass(frozen=True)
class PublicFileUnit:
    """``"FILE" UNIT``."""

    file: Text
    unit: Name


@dataclass(frozen=True)
class PublicLine:
    """``public NAME from "FILE" UNIT and "FILE" UNIT labelled by NAMES "…" aligned by NAME``.

    Attributes:
        labels: columns of the file; may be none.
    """

    name: Name
    file: Text
    unit: Name
    second: PublicFileUnit | None
    labels: tuple[Name, ...]
    provenance: Text | None
    aligned: Name | None
    span: Span


@dataclass(frozen=True)
class SetsLine:
    """``sets NAME from "FILE" "provenance"``."""

    name: Name
    file: Text
    provenance: Text | None
    span: Span


@dataclass(frozen=True)
class Transform:
    """``as log2(cpm + 1)``; ``counts`` is False for any other word."""

    counts: bool
    text: str
    span: Span


@dataclass(frozen=True)
class LibrarySize:
    """``library size from column NAME``, or ``from all genes in the file``."""

    column: Name | None
    span: Span


@dataclass(frozen=True)
class MissingIs:
    """``missing is N``."""

    value: Number
    span: Span


@dataclass(frozen=True)
class PanelLine:
    """``panel NAME expression UNIT LOW..HIGH { … }`` or ``… from "FILE"``."""

    name: Name
    unit: Name
    transform: Transform | None
    low: Number
    high: Number
    clauses: tuple[LibrarySize | MissingIs, ...]
    genes: tuple[Name, ...] | None
    file: Text | None
    span: Span


@dataclass(frozen=True)
class AddOrRemove:
    """``add or remove one person``."""

    span: Span


@dataclass(frozen=True)
class ReplaceOne:
    """``replace one person of exactly N``."""

    number: Number
    span: Span


@dataclass(frozen=True)
class BudgetLine:
    """``epsilon N`` or ``delta N``; ``kind`` is the word."""

    kind: str
    number: Number
    span: Span


@dataclass(frozen=True)
class MechanismLine:
    """``mechanism NAME``."""

    name: Name
    span: Span


@dataclass(frozen=True)
class LearnedLimit:
    """``learned bins using at most N%``."""

    percent: Number
    span: Span


@dataclass(frozen=True)
class PrivacyBlock:
    """``privacy { … }``."""

    lines: tuple[
        AddOrRemove | ReplaceOne | BudgetLine | MechanismLine | LearnedLimit | ExpectLine, ...
    ]
    span: Span


@dataclass(frozen=True)
class Factor:
    """A column, a group of columns behind ``each``, a panel, or ``panel.gene``."""

    name: Name
    each: bool

    @property
    def text(self) -> str:
        """The name's text."""
        return self.name.text

    @property
    def span(self) -> Span:
        """The name's place."""
        return self.name.span


@dataclass(frozen=True)
class ImportanceClause:
    """``weight N``, ``share N%``, ``error N%``, ``error N people``; ``kind`` tells which."""

    kind: str
    number: Number
    span: Span


@dataclass(frozen=True)
class MarginalLine:
    """``marginal a * b * panel in … weight w``."""

    factors: tuple[Factor, ...]
    binning: Binning | None
    importance: tuple[ImportanceClause, ...]
    span: Span


@dataclass(frozen=True)
class Within:
    """``within SETS { A, B }``."""

    sets: Name
    names: tuple[Name, ...] | None
    span: Span


@dataclass(frozen=True)
class KeepPairs:
    """``keep N by correlation in NAME``."""

    number: Number
    reference: Name
    span: Span


@dataclass(frozen=True)
class PairsLine:
    """``marginal a * pairs of PANEL within … in … keep …``; ``labels`` may be empty."""

    labels: tuple[Factor, ...]
    panel: Name
    within: Within | None
    binning: Binning | None
    keep: KeepPairs | None
    importance: tuple[ImportanceClause, ...]
    span: Span


@dataclass(frozen=True)
class MomentsLine:
    """``moments PANEL by COLUMN in K factors from NAME``; ``count`` is None without a K."""

    panel: Name
    labels: tuple[Factor, ...]
    count: Number | None
    reference: Name
    importance: tuple[ImportanceClause, ...]
    span: Span


@dataclass(frozen=True)
class MeasureBlock:
    """``measure { … }``."""

    queries: tuple[MarginalLine | PairsLine | MomentsLine, ...]
    span: Span


@dataclass(frozen=True)
class AudienceName:
    """``public`` or another word, or ``named "…"``."""

    kind: Name
    who: Text | None
    span: Span


@dataclass(frozen=True)
class SamplesLine:
    """``samples N to AUDIENCE as FORMAT, …``."""

    rows: Number
    audience: AudienceName
    formats: tuple[Name, ...]
    span: Span


@dataclass(frozen=True)
class MeasurementsLine:
    """``measurements to AUDIENCE``."""

    audience: AudienceName
    span: Span


@dataclass(frozen=True)
class ReleaseBlock:
    """``release { … }``."""

    lines: tuple[SamplesLine | MeasurementsLine, ...]
    span: Span


@dataclass(frozen=True)
class SampleFile:
    """``SILO "FILE"``: a local file for a simulation."""

    silo: Name
    file: Text
    span: Span


@dataclass(frozen=True)
class SimulateBlock:
    """``simulate { … }``: outside the plan."""

    files: tuple[SampleFile, ...]
    span: Span


Item: TypeAlias = (
    Version
    | StudyBlock
    | SilosBlock
    | HelpersBlock
    | TrustBlock
    | PersonBlock
    | ColumnsBlock
    | PublicLine
    | SetsLine
    | PanelLine
    | PrivacyBlock
    | MeasureBlock
    | ReleaseBlock
    | SimulateBlock
)

ItemT = TypeVar("ItemT")


@dataclass(frozen=True)
class Spec:
    """A whole spec, its items in the order of the text."""

    items: tuple[Item, ...]
    span: Span

    def all(self, kind: type[ItemT]) -> Iterator[ItemT]:
        """The items of one kind, in order."""
        for item in self.items:
            if isinstance(item, kind):
                yield item
