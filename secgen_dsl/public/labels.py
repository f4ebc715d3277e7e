"""Label columns of public reference tables: which public people have which label.

A reference is published with its labels, so using them is free.  They are read as a site's are:
texts are trimmed and compared by ``label_key``.  But who has only what ``else`` gives is
unlabelled: why a label is unknown differs between a public table and patients.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from secgen_dsl.diagnostics.diagnostic import SecgenError, fail, nearest, printable
from secgen_dsl.ir.labels import label_key, value_positions
from secgen_dsl.ir.program import CategoryColumn
from secgen_dsl.public.files import PublicFile
from secgen_dsl.public.reference import MISSING_WORDS, positions, records

UNLABELLED = -1
"""Code of public people whose label is missing, or none of the column's values."""

_MOST_SHOWN = 5
_LONGEST_SHOWN = 40


@dataclass(frozen=True)
class PublicLabels:
    """What a public table says of one label column.

    Attributes:
        column: as the spec declares it.
        codes: shape (samples of the table,), in the file's order: positions in the column's values,
            or ``UNLABELLED``.
        unlisted: how many unlabelled people have each text.
    """

    column: CategoryColumn
    codes: NDArray[np.int64]
    unlisted: Mapping[str, int]

    @cached_property
    def people(self) -> tuple[int, ...]:
        """With each of the column's values."""
        held = self.codes[self.codes != UNLABELLED]
        return tuple(np.bincount(held, minlength=len(self.column.values)).tolist())

    @property
    def words(self) -> str:
        """How many people have each label: ``CIN 71, GS 12, 5 without (missing 5)``."""
        column, others = self.column, sum(self.unlisted.values())
        parts = [
            f"{printable(value)} {people:,}"
            for value, people in zip(column.values, self.people, strict=True)
            if value != column.otherwise
        ]
        if others:
            parts.append(f"{others:,} without ({self.unlisted_words})")
        return ", ".join(parts)

    @property
    def unlisted_words(self) -> str:
        """The most frequent texts that are none of the values, with their people: ``normal 4``."""
        words: Counter[str] = Counter()
        for text, people in self.unlisted.items():
            missing = text.lower() in MISSING_WORDS
            words["missing" if missing else f'"{printable(text)[:_LONGEST_SHOWN]}"'] += people
        shown = [f"{word} {people}" for word, people in words.most_common(_MOST_SHOWN)]
        more = len(words) - len(shown)
        return ", ".join(shown) + (f" and {more} more" if more else "")


def reference_labels(
    file: PublicFile, columns: Sequence[CategoryColumn]
) -> dict[str, PublicLabels]:
    """The labels of a public table's people.

    Args:
        file: the table; its columns have the names that the spec gives them.
        columns: to be read.

    Returns:
        Name of a column → its labels.

    Raises:
        SecgenError: SG213, the file is no such table; SG214, it has no column of that name; SG224,
            not one of its people has one of the column's values.
    """
    rows = records(file)
    _, header = next(rows)
    places = positions(file, header, [column.name for column in columns], skip_absent=True)
    absent = [column.name for column in columns if column.name not in places]
    if absent:
        _, first = next(rows, (0, []))
        raise _no_column(file, absent[0], dict(zip(header, first, strict=False)))
    texts: dict[str, list[str]] = {name: [] for name in places}
    for _, row in rows:
        for name, own in texts.items():
            own.append(row[places[name]].strip())
    return {column.name: _coded(file, column, texts[column.name]) for column in columns}


def _no_column(file: PublicFile, name: str, first: Mapping[str, str]) -> SecgenError:
    """SG214.

    Args:
        first: column → its text in the first row.  Genes hold numbers: labels are among the rest.
    """
    words = [each for each, text in first.items() if each and not _is_number(text)]
    shown = ", ".join(f'"{printable(each)[:_LONGEST_SHOWN]}"' for each in words[:_MOST_SHOWN])
    found = nearest(name, words) or (f"its columns of words are {shown};" if words else "")
    step = f'name the column of these labels "{name}", or leave `labelled by` out'
    return fail(
        "SG214",
        f'the public table "{file.name}" has no column "{name}"',
        place=file.name,
        next_step=f"{found} {step}".strip(),
    )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _coded(file: PublicFile, column: CategoryColumn, texts: Sequence[str]) -> PublicLabels:
    known = value_positions(column)
    if column.otherwise is not None:
        del known[label_key(column.otherwise)]
    counts = Counter(texts)
    found = {text: known.get(label_key(text), UNLABELLED) for text in counts}
    labels = PublicLabels(
        column,
        np.array([found[text] for text in texts], dtype=np.int64),
        {text: people for text, people in counts.items() if found[text] == UNLABELLED},
    )
    if all(code == UNLABELLED for code in found.values()):
        raise _other_words(file, labels)
    return labels


def _other_words(file: PublicFile, labels: PublicLabels) -> SecgenError:
    column = labels.column
    values = ", ".join(f'"{value}"' for value in column.values[:_MOST_SHOWN])
    more = len(column.values) - _MOST_SHOWN
    return fail(
        "SG224",
        f'nobody in the public table "{file.name}" has one of the values of "{column.name}": the '
        f"column holds {labels.unlisted_words or 'nothing'}; the spec lists {values}"
        + (f" and {more} more" if more > 0 else ""),
        place=file.name,
        next_step="write the spec's words into a copy of the table, or leave `labelled by` out",
    )
