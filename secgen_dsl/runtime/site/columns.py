"""Which columns of a site's files a program needs, by the names and values of its site.toml."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from difflib import get_close_matches

import numpy as np

from secgen_dsl.diagnostics.diagnostic import Diagnostic, SecgenError, nearest
from secgen_dsl.ir.labels import label_key, value_positions
from secgen_dsl.ir.program import CategoryColumn, Program
from secgen_dsl.public.reference import MISSING_WORDS
from secgen_dsl.runtime.site.description import Site
from secgen_dsl.runtime.site.source import Source, parse_numbers, text_of

SAMPLE_COLUMNS = ("sample", "sample_id")
"""Columns that name a sample, should the file have one; the first found is used."""


@dataclass(frozen=True)
class NeededColumns:
    """The columns that a program needs of a site.

    Attributes:
        file_names: name in the spec → name in the file: the person key, then all others.
        values: category column → value in the file, by ``label_key`` → value of the spec.
        numbers: names in the spec of those that hold numbers.
    """

    file_names: Mapping[str, str]
    values: Mapping[str, Mapping[str | Decimal, str]]
    numbers: frozenset[str]


def needed_columns(program: Program, site: Site) -> NeededColumns:
    """What ``program`` needs, as the site names it.

    Raises:
        SecgenError: all at once: SG418, site.toml names a column or value that the spec does not
            have; SG419, it gives two columns one name, or maps values in a circle.
    """
    person = program.person
    libraries = [panel.counts.library_column for panel in program.panels if panel.counts]
    names = dict.fromkeys(
        name
        for name in (
            person.key,
            *(column.name for column in program.columns),
            person.keep,
            *libraries,
        )
        if name is not None
    )
    given = site.description.columns
    faults = [
        *_unknown_columns(program, site, names),
        *_shared_columns(site, {name: given.get(name, name).strip() for name in names}),
        *_value_faults(program, site),
    ]
    if faults:
        raise SecgenError(faults)
    values = {}
    for name, mapped in site.description.values.items():
        column = _category(program, name)
        positions = {} if column is None else value_positions(column)
        values[name] = {
            label_key(source): column.values[positions[label_key(target)]]
            for source, target in mapped.items()
            if column is not None
        }
    numbers = {c.name for c in program.columns if not isinstance(c, CategoryColumn)}
    return NeededColumns(
        file_names={name: given.get(name, name).strip() for name in names},
        values=values,
        numbers=frozenset(numbers.union(name for name in libraries if name is not None)),
    )


def find_columns(
    source: Source, needed: NeededColumns, genes: Collection[str], *, counts: bool
) -> tuple[dict[str, int], list[Diagnostic]]:
    """Where a file holds the columns.

    Args:
        source: the file.
        needed: the columns.
        genes: names that a gene of the panels may have in the file: none is offered for a column.
        counts: whether whole numbers may be expression values, too.

    Returns:
        Name in the spec → position in ``source.columns``, and the faults: SG413 a column is
        absent, SG415 one stands there twice.
    """
    positions: dict[str, int] = {}
    faults = []
    for name, file_name in needed.file_names.items():
        found = [place for place, each in enumerate(source.columns) if each == file_name]
        if len(found) == 1:
            positions[name] = found[0]
        elif found:
            faults.append(_repeated(source, file_name, len(found)))
        else:
            taken = {*needed.file_names.values(), *genes}
            numeric = name in needed.numbers
            guess = _guess(source, file_name, taken, numeric=numeric, counts=counts)
            faults.append(_absent(source, name, file_name, guess))
    return positions, faults


def find_sample(source: Source, asked: str, *, join: bool) -> tuple[int | None, list[Diagnostic]]:
    """Where a file names its samples.

    Args:
        source: the file.
        asked: the column that site.toml names, or an empty text; a file may lack it.
        join: whether the samples join two files; only then an index counts as their names: in one
            table it is often just the number of the row, which depends on the other rows.

    Returns:
        The position in ``source.columns`` or None, and the faults: SG415.
    """
    for name in (asked, *SAMPLE_COLUMNS):
        found = [place for place, each in enumerate(source.columns) if name and each == name]
        if len(found) > 1:
            return None, [_repeated(source, name, len(found))]
        if found:
            return found[0], []
    return (source.index if join else None), []


def no_sample(source: Source, asked: str) -> list[Diagnostic]:
    """SG413: a file does not name its samples, or not in the column that is asked for."""
    return [
        Diagnostic(
            "SG413",
            f'the file has no column "{asked}"' if asked else "the file does not name its samples",
            place=source.where,
            next_step='name their column with `sample = "…"` under [files], or call it sample or'
            " sample_id",
            local=_beginning(source.columns),
        )
    ]


def _unknown_columns(program: Program, site: Site, names: Iterable[str]) -> Iterator[Diagnostic]:
    known = set(names)
    genes = {gene for panel in program.panels for gene in panel.genes}
    for name, file_name in site.description.columns.items():
        if not file_name.strip():
            yield site.fault(
                "SG418",
                f'the name of the column "{name}" is empty',
                ("columns", name),
                "write the name that the file's header has",
            )
        elif name not in known:
            step = nearest(name, known) or f"the spec asks for {', '.join(sorted(known))}"
            if name in genes:
                step = "genes are not renamed one by one: see `system` and `map` under [genes]"
            yield site.fault(
                "SG418", f'the spec asks for no column "{name}"', ("columns", name), step
            )


def _shared_columns(site: Site, file_names: Mapping[str, str]) -> Iterator[Diagnostic]:
    first: dict[str, str] = {}
    for name, file_name in file_names.items():
        if file_name in first:
            key = name if name in site.description.columns else first[file_name]
            yield site.fault(
                "SG419",
                f'the columns "{first[file_name]}" and "{name}" of the spec would both be the'
                f' file\'s "{file_name}"',
                ("columns", key),
                "give each column of the spec a column of its own under [columns]",
            )
        first.setdefault(file_name, name)


def _category(program: Program, name: str) -> CategoryColumn | None:
    for column in program.columns:
        if column.name == name and isinstance(column, CategoryColumn):
            return column
    return None


def _value_faults(program: Program, site: Site) -> Iterator[Diagnostic]:
    categories = [c.name for c in program.columns if isinstance(c, CategoryColumn)]
    for name, mapped in site.description.values.items():
        column = _category(program, name)
        if column is None:
            yield site.fault(
                "SG418",
                f'the spec has no category column "{name}"',
                ("values", name),
                nearest(name, categories) or f"its category columns are {', '.join(categories)}",
            )
            continue
        known = value_positions(column)
        targets: dict[str | Decimal, str] = {}
        for source, target in mapped.items():
            key = ("values", name, source)
            if label_key(target) not in known:
                step = (
                    nearest(target, column.values) or f"its values are {', '.join(column.values)}"
                )
                yield site.fault("SG418", f'"{target}" is no value of "{name}"', key, step)
            if targets.setdefault(label_key(source), target) != target:
                yield site.fault(
                    "SG419",
                    f'the value "{source}" of "{name}" is mapped twice: numbers are compared as'
                    " numbers",
                    key,
                    "keep one of the two lines",
                )
        for source, target in mapped.items():
            further = targets.get(label_key(target))
            if further is not None and label_key(further) != label_key(target):
                yield site.fault(
                    "SG419",
                    f'"{source}" of "{name}" becomes "{target}", which itself becomes "{further}"',
                    ("values", name, source),
                    "a value is mapped once: write for each value of the file what it ends as",
                )


def _repeated(source: Source, name: str, times: int) -> Diagnostic:
    return Diagnostic(
        code="SG415",
        message=f'the header names "{name}" {times} times',
        place=source.where,
        next_step="keep the column that is meant; remove or rename the other",
    )


_MOST_TRIED = 3  # columns whose values are looked at before one is offered


def _guess(
    source: Source, file_name: str, taken: Collection[str], *, numeric: bool, counts: bool
) -> str:
    """The column that may be meant, or an empty text: no gene, and no column of expression values.

    Genes that no panel has are told by their values, which are looked at only here.
    """
    free = {each.lower(): each for each in source.columns if each and each not in taken}
    for close in get_close_matches(file_name.lower(), free, n=_MOST_TRIED, cutoff=0.6):
        column = free[close]
        if numeric or not _holds_expression(source, column, counts=counts):
            return nearest(file_name, [column])
    return ""


def _holds_expression(source: Source, column: str, *, counts: bool) -> bool:
    """Whether all values are numbers; whole ones alone may be keys, unless genes have counts."""
    try:
        (cells,) = source.read([list(source.columns).index(column)], []).columns
    except SecgenError:
        return True  # nothing is known of it, so it is not offered
    texts = [text for text in map(text_of, cells) if text.lower() not in MISSING_WORDS]
    values = parse_numbers(texts)
    if not np.isfinite(values).all():
        return False
    return counts or bool((values % 1 != 0).any())


def _absent(source: Source, name: str, file_name: str, guess: str) -> Diagnostic:
    called = f' (the spec\'s "{name}")' if name != file_name else ""
    return Diagnostic(
        code="SG413",
        message=f'the file has no column "{file_name}"{called}',
        place=source.where,
        next_step="name the column in the file as the spec names it, or map it under [columns] of a"
        " site.toml",
        local="; ".join(filter(None, (guess, _beginning(source.columns)))),
    )


def _beginning(names: Sequence[str]) -> str:
    return "the header begins with: " + ", ".join(names[:6]) + (", …" if len(names) > 6 else "")
