"""What every file format offers to the reader, and the values that it hands over."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from secgen_dsl.diagnostics.diagnostic import SecgenError, fail

Orientation: TypeAlias = Literal["samples_by_genes", "genes_by_samples"]

Value: TypeAlias = str | int | float | bool | Decimal | np.generic | None
"""A cell as its format stores it; None where it is missing.  Text files have texts only."""

LARGEST_COUNT = 2.0**40
"""A greater number is no count: it adds nothing to a library size."""

_LIMB_BITS = 32
_EXACT_INTEGERS = 2.0**53


@dataclass(frozen=True, eq=False)
class Content:
    """What was read of a file: n rows, one a sample.

    Attributes:
        columns: the columns that were asked for, n values each.
        expression: float64 of shape (n, genes asked for); NaN is a missing value.
        sums: n library sizes, or None if none were asked for; NaN where there is no count.
        misfits: rows that do not fit the file's header; they are left out.
    """

    columns: Sequence[Sequence[Value]]
    expression: NDArray[np.float64]
    sums: NDArray[np.float64] | None = None
    misfits: int = 0


class Source(Protocol):
    """An open file that holds samples."""

    @property
    def where(self) -> str:
        """File and site, as diagnostics name them."""
        ...

    @property
    def columns(self) -> Sequence[str]:
        """Trimmed names of the columns of values that are not expression."""
        ...

    @property
    def genes(self) -> Sequence[str]:
        """Trimmed names by which expression values are found."""
        ...

    @property
    def shared(self) -> bool:
        """Whether the two are the same names: those of a table whose header holds both."""
        ...

    @property
    def index(self) -> int | None:
        """Position in ``columns`` of what names the samples if no column is said to."""
        ...

    @property
    def orientation(self) -> Orientation:
        """What its rows are."""
        ...

    @property
    def format(self) -> str:
        """``text``, ``Parquet`` or ``h5ad``."""
        ...

    def read(
        self, columns: Sequence[int], genes: Sequence[int], summed: Sequence[int] | None = None
    ) -> Content:
        """Read columns and genes by their positions.

        Args:
            columns: positions in ``columns``.
            genes: positions in ``genes``.
            summed: positions in ``genes`` whose counts a sample's library size adds up, or None.

        Raises:
            SecgenError: SG411, SG416 or SG420, the file cannot be read to its end.
        """
        ...

    def across(self) -> Sequence[str]:
        """What the other side than ``genes`` names: only to say that a file is turned."""
        ...


def location(path: Path, place: str) -> str:
    """``file (site)``, as diagnostics name the place."""
    return f"{path} ({place})" if place else str(path)


@contextmanager
def read_faults(where: str, *kinds: type[Exception]) -> Iterator[None]:
    """Turn a library's errors of these kinds into SG411: the file is broken or cannot be read."""
    try:
        yield
    except SecgenError:
        raise
    except kinds as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else None
        raise fail(
            "SG411",
            f"the file cannot be read: {reason}" if reason else "the file is broken or cut short",
            place=where,
            next_step="check the path, that this account may read the file, and that the copy is"
            " whole",
        ) from error


def text_of(value: Value) -> str:
    """A cell as trimmed text; a missing one is empty.

    A number that is an integer is written as one (``3.0`` as ``3``), another one with the fewest
    digits that its own type tells apart.
    """
    if value is None:
        return ""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, float | np.floating):
        exact = float(value)
        if np.isnan(exact):
            return ""
        if exact.is_integer() and abs(exact) < _EXACT_INTEGERS:
            return str(int(exact))
    return str(value)


def number_of(value: Value) -> float:
    """A cell as float64: exactly, or the nearest one; NaN if it is no number."""
    if isinstance(value, str):
        return float(parse_numbers([value.strip()])[0])
    if value is None:
        return float("nan")
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return float("nan")


def parse_numbers(texts: Sequence[str]) -> NDArray[np.float64]:
    """Each text as a float64, correctly rounded; NaN for what is not a number in ASCII.

    Python's ``float`` also reads ``1_000`` and the digits of other scripts: no numbers here.
    """
    joined = "".join(texts)
    if joined.isascii() and "_" not in joined:
        try:
            return np.fromiter(map(float, texts), dtype=np.float64, count=len(texts))
        except ValueError:
            pass
    return np.array([_parse_number(text) for text in texts], dtype=np.float64)


def _parse_number(text: str) -> float:
    try:
        return float(text) if text.isascii() and "_" not in text else float("nan")
    except ValueError:
        return float("nan")


def moment_of(text: str) -> tuple[int, float]:
    """How early a date is: less is earlier.

    ISO 8601 dates and timestamps (``2019-03``, ``2019-03-01``, ``2019-03-01T10:00:00+01:00``; UTC
    where no zone is given) come first, then plain numbers (years, days), then what is missing or
    cannot be read: (2, 0).
    """
    number = float(parse_numbers([text])[0])
    if not np.isnan(number):
        return 1, number
    if len(text) == 7 and text[4] == "-":
        text += "-01"
    try:
        read = datetime.fromisoformat(text)
        if read.tzinfo is None:
            read = read.replace(tzinfo=UTC)
        # Not .timestamp(): its float would take two close moments for one.
        passed = read - datetime.combine(date(1970, 1, 1), datetime.min.time(), UTC)
    except (ValueError, OverflowError):
        return 2, 0.0
    return 0, passed.days * 86_400_000_000 + passed.seconds * 1_000_000 + passed.microseconds


@dataclass(eq=False)
class ExactSums:
    """Sums of counts, exact and so the same in any order: a fixed-point number a row.

    What is no count – missing, negative, above 2⁴⁰ – adds nothing.  Limb k of a row holds a
    multiple of 2^(−32·k); 2²² counts fit.
    """

    rows: int
    _limbs: list[NDArray[np.int64]] = field(default_factory=list)

    def add(self, counts: NDArray[np.float64], at: slice = slice(None)) -> None:
        """Add counts of shape (rows of ``at``, any number of genes)."""
        for level, whole in _limbs_of(counts):
            self._limb(level)[at] += whole.sum(axis=1)

    def add_sparse(self, counts: NDArray[np.float64], rows: NDArray[np.int64]) -> None:
        """Add each count to the row beside it."""
        for level, whole in _limbs_of(counts):
            np.add.at(self._limb(level), rows, whole)

    def totals(self) -> NDArray[np.float64]:
        """The sums as the nearest float64; NaN for a row without any count above zero."""
        totals = [0] * self.rows
        for limb in self._limbs:
            totals = [
                (total << _LIMB_BITS) + added
                for total, added in zip(totals, limb.tolist(), strict=True)
            ]
        scale = 1 << _LIMB_BITS * max(len(self._limbs) - 1, 0)
        return np.array([total / scale if total else np.nan for total in totals], dtype=np.float64)

    def _limb(self, level: int) -> NDArray[np.int64]:
        while len(self._limbs) <= level:
            self._limbs.append(np.zeros(self.rows, dtype=np.int64))
        return self._limbs[level]


def _limbs_of(counts: NDArray[np.float64]) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """(k, the integers of limb k) until nothing is left; every step is exact in float64."""
    rest = np.where((counts >= 0) & (counts <= LARGEST_COUNT), counts, 0.0)
    level = 0
    while rest.any():
        whole = np.floor(rest)
        yield level, whole.astype(np.int64)
        rest = (rest - whole) * 2.0**_LIMB_BITS
        level += 1
