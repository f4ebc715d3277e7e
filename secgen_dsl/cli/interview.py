"""The questions of `secgen init`."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from secgen_dsl.cli.reading import (
    beginning,
    bounds,
    budget,
    edges_within,
    joined,
    names_of,
    one_of,
    parties,
    people,
    whole,
    words,
)
from secgen_dsl.diagnostics.diagnostic import nearest

if TYPE_CHECKING:
    from secgen_dsl.cli.starting import Answers, Label, NumberLabel
    from secgen_dsl.cli.survey import Survey

_T = TypeVar("_T")

_MOST_VALUES = 50
"""A column with more distinct values is hardly a label."""

_FEW = 5
"""Rows: a value that fewer have may point at one of their people."""


class Interview:
    """Asks everything; a question can be asked again while the other answers are kept.

    Args:
        yes: take every default.
        found: the names of a site's files, or None.
        folder: of the spec: a file of genes is named relative to it.
    """

    def __init__(self, yes: bool, found: "Survey | None", folder: Path) -> None:
        self._yes = yes
        self._found = found
        self._folder = folder
        self._given: dict[str, str] = {}  # question → what was typed
        self._kept: dict[str, str] = {}  # those that are not asked again this time
        self._again = ""  # the question that is

    def change_one(self) -> None:
        """Ask which answer shall be changed; the next ``answers`` asks for that one alone.

        Raises click.Abort if there is no answer.
        """
        questions = list(self._given)
        click.echo("\nThe other answers are kept.")
        for number, question in enumerate(questions, 1):
            click.echo(f"  {number:>2}  {' '.join(question.split())}: {self._given[question]}")
        number = click.prompt(
            "Number of the answer to change",
            default="",
            show_default=False,
            value_proc=whole(1, len(questions)),
        )
        self._again = questions[number - 1]
        self._kept = {**self._given}
        del self._kept[self._again]

    def answers(self) -> "Answers":
        """Ask everything that is not kept.  Raises click.Abort if there is no answer."""
        from secgen_dsl.cli.starting import RANGES, Answers, Label
        from secgen_dsl.ir.program import UNITS

        self._given = {}
        self._say("Nothing is sent anywhere.  Enter takes what stands in [brackets].\n")
        title = self._ask("Title of the study", "A study", words)
        silos = self._ask("Silos: names of the hospitals", "north, south, west", parties)
        helpers = self._helpers(silos)
        count = len(silos) + len(helpers)
        terms = self._terms(silos)
        most = (count - 1) // 2
        tolerated = self._ask(
            f"How many of the {count} parties may collude", str(most), whole(1, most)
        )
        self._say("\nWhat is protected: these have no default.")
        key = self._ask("Column that tells people apart", None, self._column, "patient")
        samples = self._ask("At most how many samples of a person count", None, whole(1, 1000), "1")
        in_silos = self._ask(
            "In at most how many silos is a person", None, whole(1, max(len(silos), 1)), "1"
        )
        replace = self._ask(
            'Hide whether somebody took part ("add"), or only their values, with the number of\n'
            'people public ("replace")',
            None,
            one_of("add", "replace"),
            "add",
        )
        in_all: int | None
        if replace == "replace":
            in_all = self._ask("Exact number of people, public", None, whole(1, 2**32), "1089")
        else:
            in_all = self._ask("Public bound on the people in all, or none", "none", people)
        self._say("\nWhat is measured.")
        labels = self._labels(key)
        unit = self._ask("Unit of expression", "log2", one_of(*UNITS))
        library = ""
        if unit == "counts":
            library = self._ask(
                "Column of library sizes, or all for all genes in the file", "all", self._library
            )
        genes, gene_file = self._genes({key, library, *(label.name for label in labels)})
        low, high = self._ask(
            "Range of the unit (never the data's own least and greatest value)",
            "..".join(RANGES[unit]),
            bounds,
        )
        epsilon = self._ask("Epsilon: smaller protects more", "1", budget)
        rows = self._ask("Number of synthetic samples", "500", whole(1, 1_000_000))
        self._kept, self._again = {}, ""
        return Answers(
            title=title,
            silos=silos,
            helpers=helpers,
            tolerated=tolerated,
            terms=terms,
            key=key,
            samples=samples,
            silos_per_person=in_silos,
            people=in_all,
            replace=replace == "replace",
            labels=tuple(label for label in labels if isinstance(label, Label)),
            numbers=tuple(label for label in labels if not isinstance(label, Label)),
            genes=genes,
            gene_file=gene_file,
            unit=unit,
            low=low,
            high=high,
            library=library,
            epsilon=epsilon,
            rows=rows,
        )

    def _say(self, text: str) -> None:
        if not self._kept:
            click.echo(text)

    def _ask(
        self, question: str, default: str | None, read: Callable[[str], _T], example: str = ""
    ) -> _T:
        """An answer that ``read`` takes.

        Args:
            question: unlike every other one: it is what an answer is kept under.
            default: what Enter takes; None: Enter is no answer.
            example: of an answer, where there is no default.
        """

        def checked(text: str) -> _T:
            if not text.strip() and default is None:
                raise click.UsageError(f"this has no default; an answer is, for example, {example}")
            value = read(text)
            self._given[question] = text
            return value

        kept = self._kept.pop(question, None)
        if kept is not None:
            try:
                return checked(kept)
            except click.UsageError:
                pass  # it no longer fits what was changed
        if self._yes and default is not None and question != self._again:
            click.echo(f"{question} [{default}]")
            return checked(default)
        answer: _T = click.prompt(
            question, default=default or "", show_default=default is not None, value_proc=checked
        )
        return answer

    def _ask_whether(self, question: str) -> bool:
        return self._ask(f"{question} (y/n)", "n", one_of("y", "n")) == "y"

    def _helpers(self, silos: tuple[str, ...]) -> tuple[str, ...]:
        """Parties without data, where there are fewer than three silos."""
        lacking = 3 - len(silos)
        if lacking <= 0:
            return ()
        self._say("Fewer than three parties cannot hide anything from each other: helpers join.")
        default = ", ".join(("university", "registry")[:lacking])

        def read(text: str) -> tuple[str, ...]:
            helpers = parties(text)
            if len(helpers) < lacking:
                raise click.UsageError(f"at least {lacking} are needed")
            if {*helpers} & {*silos}:
                raise click.UsageError("a helper needs a name that no silo has")
            return helpers

        return self._ask("Helpers: names of parties without data", default, read)

    def _terms(self, silos: tuple[str, ...]) -> tuple[str, ...]:
        """Each silo's own; the former silo's are the default."""
        from secgen_dsl.cli.starting import quoted

        terms = []
        kind, code = "controlled", "to be stated"
        for silo in silos:
            kind = self._ask(
                f"Terms of {silo}'s data: open, consent or controlled",
                kind,
                one_of("open", "consent", "controlled"),
            )
            if kind != "open":
                code = self._ask(f"Code of {silo}'s terms", code, words)
            terms.append(kind if kind == "open" else f"{kind} {quoted(code)}")
        return tuple(terms)

    def _column(self, text: str) -> str:
        """A name; one of the file's columns where there is a file."""
        name = words(text)
        if self._found is not None and name not in self._found.columns:
            known = nearest(name, self._found.columns) or beginning(self._found.columns)
            raise click.UsageError(f'the file has no column "{name}"; {known}')
        return name

    def _library(self, text: str) -> str:
        return "" if text.strip() == "all" else self._column(text)

    def _labels(self, key: str) -> "tuple[Label | NumberLabel, ...]":
        if self._found is not None:
            self._say(f"The file's columns: {beginning(self._found.columns)}")

        def read(text: str) -> tuple[str, ...]:
            names = names_of(text)
            for name in names:
                self._column(name)
                if name == key:
                    raise click.UsageError("the column that tells people apart is no label")
            return names

        default = None if self._found is not None else "group"
        names = self._ask("Label columns", default, read, "subtype, sex")
        return tuple(self._label(name) for name in names)

    def _label(self, name: str) -> "Label | NumberLabel":
        kind = self._ask(
            f'"{name}": category (a list of values) or number (a range and bins)',
            "category",
            one_of("category", "number"),
        )
        return self._number(name) if kind == "number" else self._category(name)

    def _number(self, name: str) -> "NumberLabel":
        """Range and bins of a column of numbers: stated, never looked at."""
        from secgen_dsl.cli.starting import NumberLabel

        low, high = self._ask(
            f'"{name}": range that is public (never the data\'s own least and greatest value)',
            None,
            bounds,
            "0..100",
        )
        edges = self._ask(
            f'"{name}": numbers between {low} and {high} where a new bin begins',
            None,
            edges_within(low, high),
            "40, 60, 80",
        )
        return NumberLabel(name, low, high, edges)

    def _category(self, name: str) -> "Label | NumberLabel":
        """A label's list of values: what a person states, or confirms to be public."""
        from secgen_dsl.cli.starting import FILL_IN, Label

        stated = "case, control" if self._found is None else None
        if self._found is not None and name in self._found.mapped_values:
            stated = joined(self._found.mapped_values[name])
        values: tuple[str, ...] = ()
        if stated is None and self._yes:
            values = (FILL_IN,)
        elif stated is None:
            looked_at = self._values_of_file(name)
            if looked_at is None:
                return self._number(name)
            values = looked_at

        def read_values(text: str) -> tuple[str, ...]:
            # What site.toml states may be a single y.
            return names_of(f'"{text}"' if text == stated and "," not in text else text)

        values = values or self._ask(f'"{name}": its public values', stated, read_values, "I, II")
        known = next((each for each in ("unknown", "other") if each in values), "unknown")

        def read(text: str) -> str:
            if words(text) == "none" and len(values) == 1:
                raise click.UsageError("one value alone tells nothing apart: name one for the rest")
            return words(text)

        otherwise = self._ask(f'"{name}": value for missing and unknown ones, or none', known, read)
        if otherwise == "none":
            return Label(name, values, "")
        return Label(name, tuple(dict.fromkeys((*values, otherwise))), otherwise)

    def _values_of_file(self, name: str) -> tuple[str, ...] | None:
        """The column's values in the file, if they are looked at and said to be public.

        Returns:
            None: they are numbers, and shall be measured as such.
        """
        if self._found is None or not self._ask_whether(
            f'"{name}": look at its values in the file, on this machine only'
        ):
            return ()
        counts = self._found.values(name)
        if not counts or len(counts) > _MOST_VALUES:
            self._say(f"  {len(counts):,} distinct values: hardly a label")
            if counts and all(map(_is_number, counts)):
                whether = self._ask_whether(f'"{name}" holds numbers: give a range and bins for it')
                return None if whether else ()
            return ()
        # Sorted: the order of the rows, or of frequency, would tell of people.
        values = tuple(sorted(counts))
        for value in values:
            few = f"  (fewer than {_FEW} rows: it may point at a person)"
            self._say(f"  {value}{few if counts[value] < _FEW else ''}")
        public = self._ask_whether(f'"{name}": is this list public, whoever is in the table')
        return values if public else ()

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
            return names_of(text), ""

        # A table's names may be those of samples or of anything else: none is taken unconfirmed.
        default = "TP53, KRAS, EGFR" if self._found is None else None
        question = "Genes: names, or a file that lists them"
        if rest:
            self._say(f"Other columns or genes of the file: {beginning(rest)}")
            question = "Genes: names, a file that lists them, or rest for all of these"
        while True:
            genes, file = self._ask(question, default, read, "TP53, KRAS, EGFR")
            if rest and genes == rest:
                if self._ask_whether(
                    f"Are these {len(rest):,} the public names of genes, and no ids of people or"
                    f" samples: {beginning(rest)}"
                ):
                    return genes, file
                rest, question = (), "Genes: names, or a file that lists them"
            elif self._known(genes):
                return genes, file

    def _known(self, genes: tuple[str, ...]) -> bool:
        """Whether the file has all these genes, or they are to stand although it lacks some."""
        if self._found is None:
            return True
        lacking = [gene for gene in genes if gene not in self._found.genes]
        if not lacking:
            return True
        for gene in lacking[:12]:
            hint = nearest(gene, self._found.genes)
            click.echo(f'Warning: the file has no gene "{gene}"{hint and "; " + hint}')
        if len(lacking) > 12:
            click.echo(f"Warning: the file lacks {len(lacking):,} of the genes")
        # With --yes a warning is all: the answer was typed, and Enter would ask for ever.
        return self._yes or self._ask_whether(
            f"Keep them: {beginning(lacking)} (the table may name genes in another way)"
        )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
