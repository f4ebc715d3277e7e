"""`secgen init`: a few questions, then a commented spec and a site.toml that pass `check`."""

import csv
import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from secgen_dsl.cli.report import command, show
from secgen_dsl.diagnostics.diagnostic import fail, nearest

if TYPE_CHECKING:
    from secgen_dsl.cli.starting import Answers, Label
    from secgen_dsl.cli.survey import Survey

_T = TypeVar("_T")

_MOST_VALUES = 50
"""A column with more distinct values is hardly a label."""

_FEW = 5
"""Rows: a value that fewer have may point at one of their people."""


@click.command()
@click.argument("spec", type=click.Path(path_type=Path), default="study.secgen")
@click.option(
    "--from",
    "table",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A table or site.toml whose names are offered.  It is read on this machine only.",
)
@click.option("--yes", is_flag=True, help="Take the shown default of every question that has one.")
@command
def init(spec: Path, table: Path | None, yes: bool) -> None:
    """Ask a few questions and write SPEC, and a site.toml beside it.

    Nothing that a table holds is written unless it is confirmed to be public; least and greatest
    values and numbers of people never are.  Files that exist are left as they are.
    """
    described = table is not None and table.suffix.lower() == ".toml"
    site = None if described else spec.with_name("site.toml")
    _require_absent(spec, site)

    from secgen_dsl.backends.bundle import require_writable, write_file
    from secgen_dsl.cli.starting import site_text, spec_text
    from secgen_dsl.cli.study import plan_source
    from secgen_dsl.syntax.parser import source_of

    require_writable(spec.parent)
    found = None
    if table is not None:
        from secgen_dsl.cli.survey import survey

        found = survey(table)
    try:
        answers = _Interview(yes, found, spec.parent).answers()
    except click.Abort as error:
        raise fail(
            "SG707",
            "not all questions were answered; nothing was written",
            place="secgen init",
            next_step="start again; answers can also be piped, one a line",
        ) from error
    text = spec_text(answers)
    planned = plan_source(source_of(str(spec), text.encode()), spec.parent)
    _require_absent(spec, site)  # somebody may have written one meanwhile
    write_file(spec, text.encode())
    click.echo(f"\nwritten  {spec}")
    if site is not None:
        held = "our_table.csv" if table is None else os.path.relpath(table, site.parent)
        write_file(site, site_text(answers, held.replace(os.sep, "/")).encode())
        click.echo(f"written  {site}  (stays at the site)")
    show(planned.warnings)
    click.echo(f"next     secgen plan {spec}")


def _require_absent(*paths: Path | None) -> None:
    for path in paths:
        if path is not None and os.path.lexists(path):
            raise fail(
                "SG706",
                "the file exists already; nothing is overwritten",
                place=str(path),
                next_step="give another name or folder (secgen init NAME.secgen), or move it away",
            )


class _Interview:
    """The questions.

    Args:
        yes: take every default.
        found: the names of a site's files, or None.
        folder: of the spec: a file of genes is named relative to it.
    """

    def __init__(self, yes: bool, found: "Survey | None", folder: Path) -> None:
        self._yes = yes
        self._found = found
        self._folder = folder

    def answers(self) -> "Answers":
        """Ask everything.  Raises click.Abort if there is no answer."""
        from secgen_dsl.cli.starting import RANGES, Answers
        from secgen_dsl.ir.program import UNITS

        click.echo("Nothing is sent anywhere.  Enter takes what stands in [brackets].\n")
        title = self._ask("Title of the study", "A study", _text)
        silos = self._ask("Silos: names of the hospitals", "north, south, west", _parties)
        helpers = self._helpers(silos)
        parties = len(silos) + len(helpers)
        terms = self._terms()
        most = (parties - 1) // 2
        tolerated = self._ask(
            f"How many of the {parties} parties may collude", str(most), _whole(1, most)
        )
        click.echo("\nWhat is protected: these have no default.")
        key = self._ask("Column that tells people apart", None, self._column)
        samples = self._ask("At most how many samples of a person count", None, _whole(1, 1000))
        in_silos = self._ask(
            "In at most how many silos is a person", None, _whole(1, max(len(silos), 1))
        )
        replace = self._ask(
            'Hide whether somebody took part ("add"), or only their values, with the number of\n'
            'people public ("replace")',
            None,
            _one_of("add", "replace"),
        )
        if replace == "replace":
            people: int | None = self._ask("Exact number of people, public", None, _whole(1, 2**32))
        else:
            people = self._ask("Public bound on the people in all, or none", "none", _bound)
        click.echo("\nWhat is measured.")
        labels = self._labels(key)
        unit = self._ask("Unit of expression", "log2", _one_of(*UNITS))
        library = ""
        if unit == "counts":
            library = self._ask(
                "Column of library sizes, or all for all genes in the file", "all", self._library
            )
        genes, gene_file = self._genes({key, library, *(label.name for label in labels)})
        low, high = self._ask(
            "Range of the unit (never the data's own least and greatest value)",
            "..".join(RANGES[unit]),
            _range,
        )
        epsilon = self._ask("Epsilon: smaller protects more", "1", _epsilon)
        rows = self._ask("Number of synthetic samples", "500", _whole(1, 1_000_000))
        return Answers(
            title=title,
            silos=silos,
            helpers=helpers,
            tolerated=tolerated,
            terms=terms,
            key=key,
            samples=samples,
            silos_per_person=in_silos,
            people=people,
            replace=replace == "replace",
            labels=labels,
            genes=genes,
            gene_file=gene_file,
            unit=unit,
            low=low,
            high=high,
            library=library,
            epsilon=epsilon,
            rows=rows,
        )

    def _ask(self, question: str, default: str | None, read: Callable[[str], _T]) -> _T:
        if self._yes and default is not None:
            click.echo(f"{question} [{default}]")
            return read(default)
        answer: _T = click.prompt(question, default=default, value_proc=read)
        return answer

    def _helpers(self, silos: tuple[str, ...]) -> tuple[str, ...]:
        """Parties without data, where there are fewer than three silos."""
        lacking = 3 - len(silos)
        if lacking <= 0:
            return ()
        click.echo("Fewer than three parties cannot hide anything from each other: helpers join.")
        default = ", ".join(("university", "registry")[:lacking])

        def read(text: str) -> tuple[str, ...]:
            helpers = _parties(text)
            if len(helpers) < lacking:
                raise click.UsageError(f"at least {lacking} are needed")
            if {*helpers} & {*silos}:
                raise click.UsageError("a helper needs a name that no silo has")
            return helpers

        return self._ask("Helpers: names of parties without data", default, read)

    def _terms(self) -> str:
        from secgen_dsl.cli.starting import quoted

        kind = self._ask(
            "Terms of the silos' data: open, consent or controlled",
            "controlled",
            _one_of("open", "consent", "controlled"),
        )
        if kind == "open":
            return kind
        return f"{kind} {quoted(self._ask('Code of the terms', 'to be stated', _text))}"

    def _column(self, text: str) -> str:
        """A name; one of the file's columns where there is a file."""
        name = _text(text)
        if self._found is not None and name not in self._found.columns:
            known = nearest(name, self._found.columns) or _begin(self._found.columns)
            raise click.UsageError(f'the file has no column "{name}"; {known}')
        return name

    def _library(self, text: str) -> str:
        return "" if text.strip() == "all" else self._column(text)

    def _labels(self, key: str) -> tuple["Label", ...]:
        if self._found is not None:
            click.echo(f"The file's columns: {_begin(self._found.columns)}")

        def read(text: str) -> tuple[str, ...]:
            names = _names(text)
            for name in names:
                self._column(name)
                if name == key:
                    raise click.UsageError("the column that tells people apart is no label")
            return names

        default = None if self._found is not None else "group"
        names = self._ask("Label columns", default, read)
        return tuple(self._label(name) for name in names)

    def _label(self, name: str) -> "Label":
        """A label's list of values: what a person states, or confirms to be public."""
        from secgen_dsl.cli.starting import FILL_IN, Label

        stated = "case, control" if self._found is None else None
        if self._found is not None and name in self._found.mapped_values:
            stated = _joined(self._found.mapped_values[name])
        values: tuple[str, ...] = ()
        if stated is None and self._yes:
            values = (FILL_IN,)
        elif stated is None:
            values = self._values_of_file(name)
        values = values or self._ask(f'"{name}": its public values', stated, _names)
        known = next((each for each in ("unknown", "other") if each in values), "unknown")

        def read(text: str) -> str:
            if _text(text) == "none" and len(values) == 1:
                raise click.UsageError("one value alone tells nothing apart: name one for the rest")
            return _text(text)

        otherwise = self._ask(f'"{name}": value for missing and unknown ones, or none', known, read)
        if otherwise == "none":
            return Label(name, values, "")
        return Label(name, tuple(dict.fromkeys((*values, otherwise))), otherwise)

    def _values_of_file(self, name: str) -> tuple[str, ...]:
        """The column's values in the file, if they are looked at and said to be public."""
        if self._found is None or not self._ask_whether(
            f'"{name}": look at its values in the file, on this machine only'
        ):
            return ()
        counts = self._found.values(name)
        if not counts or len(counts) > _MOST_VALUES:
            click.echo(f"  {len(counts):,} distinct values: hardly a label")
            return ()
        # Sorted: the order of the rows, or of frequency, would tell of people.
        values = tuple(sorted(counts))
        for value in values:
            few = f"  (fewer than {_FEW} rows: it may point at a person)"
            click.echo(f"  {value}{few if counts[value] < _FEW else ''}")
        public = self._ask_whether("Is this list public, whoever is in the table")
        return values if public else ()

    def _ask_whether(self, question: str) -> bool:
        return self._ask(f"{question} (y/n)", "n", _one_of("y", "n")) == "y"

    def _genes(self, taken: set[str]) -> tuple[tuple[str, ...], str]:
        """The panel's genes, or the file that lists them."""
        rest: tuple[str, ...] = ()
        if self._found is not None and not self._yes:
            rest = self._found.other_genes(taken)

        def read(text: str) -> tuple[tuple[str, ...], str]:
            if text.strip() == "rest" and self._found is not None:
                if not rest:
                    raise click.UsageError("names, or a file that lists them, are needed")
                return rest, ""
            if (self._folder / text.strip()).is_file():
                return (), text.strip()
            return _names(text), ""

        # A table's names may be those of samples or of anything else: none is taken unconfirmed.
        default = "TP53, KRAS, EGFR" if self._found is None else None
        if rest:
            click.echo(f"Other columns or genes of the file: {_begin(rest)}")
            question = "Genes: names, a file that lists them, or rest for all of these"
            genes, file = self._ask(question, default, read)
            if genes != rest or self._ask_whether(
                f"Are these {len(rest):,} the public names of genes, and no ids of people or"
                f" samples: {_begin(rest)}"
            ):
                return genes, file
            rest = ()
        return self._ask("Genes: names, or a file that lists them", default, read)


def _begin(names: "dict[str, str] | tuple[str, ...]") -> str:
    shown = ", ".join(list(names)[:12])
    return shown if len(names) <= 12 else f"{shown}, … ({len(names):,} in all)"


def _text(text: str) -> str:
    stripped = text.strip()
    if not stripped or not stripped.isprintable():
        raise click.UsageError("words on one line are needed")
    return stripped


def _joined(names: Iterable[str]) -> str:
    """Names as ``_names`` reads them: those that hold a comma are in quotes."""
    return ", ".join(f'"{name}"' if "," in name else name for name in names)


def _names(text: str) -> tuple[str, ...]:
    parts = next(csv.reader([text], skipinitialspace=True), [])
    names = tuple(dict.fromkeys(filter(None, (part.strip() for part in parts))))
    if not names or not all(name.isprintable() for name in names):
        raise click.UsageError("names separated by commas are needed")
    return names


def _parties(text: str) -> tuple[str, ...]:
    from secgen_dsl.semantics.who import PARTY_NAME

    names = _names(text)
    for name in names:
        if not PARTY_NAME.fullmatch(name):
            raise click.UsageError(
                f'"{name}": the name of a party has letters, digits, - and _ only, at most 40'
            )
    return names


def _whole(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,12}", text.strip()) or not least <= int(text) <= most:
            raise click.UsageError(f"a whole number from {least} to {most:,} is needed")
        return int(text)

    return read


def _bound(text: str) -> int | None:
    return None if text.strip() == "none" else _whole(1, 2**32)(text)


def _one_of(*words: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text.strip() not in words:
            hint = nearest(text.strip(), words)
            raise click.UsageError(f"one of {', '.join(words)} is needed{hint and '; ' + hint}")
        return text.strip()

    return read


def _range(text: str) -> tuple[str, str]:
    found = re.fullmatch(r"\s*(-?[0-9]+(?:\.[0-9]+)?)\s*\.\.\s*(-?[0-9]+(?:\.[0-9]+)?)\s*", text)
    if found is None or not float(found[1]) < float(found[2]):
        raise click.UsageError("a range is needed, for example 0..20")
    return found[1], found[2]


def _epsilon(text: str) -> str:
    if not re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,6})?", text.strip()) or not (
        0.001 <= float(text) <= 50
    ):
        raise click.UsageError("a number from 0.001 to 50 is needed")
    return text.strip()
