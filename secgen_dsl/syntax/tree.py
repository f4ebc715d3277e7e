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
class SourceClause:
    """``source "…"``."""

    text: Text
    span: Span


@dataclass(frozen=True)
class SiloLine:
    """One silo."""

    name: Name
    title: Text | None
    clauses: tuple[TermsClause | SourceClause, ...]
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
    """``at most N …``; ``kind`` is ``samples``, ``silos`` or ``people``."""

    kind: str
    number: Number
    span: Span


@dataclass(frozen=True)
class PersonBlock:
    """``person { … }``."""

    lines: tuple[PersonKey | PersonBound, ...]
    span: Span


@dataclass(frozen=True)
class CategoryLine:
    """``NAME category { … } else VALUE``."""

    name: Name
    values: tuple[Name, ...]
    otherwise: Name | None
    span: Span


@dataclass(frozen=True)
class ColumnsBlock:
    """``columns { … }``."""

    columns: tuple[CategoryLine, ...]
    span: Span


@dataclass(frozen=True)
class PublicLine:
    """``public NAME from "FILE" UNIT "provenance"``."""

    name: Name
    file: Text
    unit: Name
    provenance: Text | None
    span: Span


@dataclass(frozen=True)
class PanelLine:
    """``panel NAME expression UNIT LOW..HIGH { … }`` or ``… from "FILE"``."""

    name: Name
    unit: Name
    low: Number
    high: Number
    genes: tuple[Name, ...] | None
    file: Text | None
    span: Span


@dataclass(frozen=True)
class AddOrRemove:
    """``add or remove one person``."""

    span: Span


@dataclass(frozen=True)
class BudgetLine:
    """``epsilon N`` or ``delta N``; ``kind`` is the word."""

    kind: str
    number: Number
    span: Span


@dataclass(frozen=True)
class PrivacyBlock:
    """``privacy { … }``."""

    lines: tuple[AddOrRemove | BudgetLine, ...]
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
    """``in N bins from NAME``: quantiles of a public reference."""

    count: Number
    reference: Name
    span: Span


Binning: TypeAlias = EqualBins | BinsAt | BinsFrom


@dataclass(frozen=True)
class MarginalLine:
    """``marginal a * b * panel in … weight w``."""

    factors: tuple[Name, ...]
    binning: Binning | None
    weight: Number | None
    span: Span


@dataclass(frozen=True)
class MeasureBlock:
    """``measure { … }``."""

    marginals: tuple[MarginalLine, ...]
    span: Span


@dataclass(frozen=True)
class SamplesLine:
    """``samples N to AUDIENCE as FORMAT, …``."""

    rows: Number
    audience: Name
    formats: tuple[Name, ...]
    span: Span


@dataclass(frozen=True)
class MeasurementsLine:
    """``measurements to AUDIENCE``."""

    audience: Name
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
