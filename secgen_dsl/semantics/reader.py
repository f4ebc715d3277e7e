"""What every part of the semantics uses: blocks, lines, numbers, names, and what was found."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from secgen_dsl.diagnostics.diagnostic import Diagnostic, SecgenError, Source, Span, fail
from secgen_dsl.public.files import PublicFile, read_public_file
from secgen_dsl.syntax import tree

_MOST_ERRORS = 100

FORMULA_SIGNS = ("=", "@")
"""A spreadsheet runs a cell that begins so.  Tabs in front are trimmed, others cannot be printed;
``+`` and ``-`` begin honest labels (``+8``, ``-7``, ``-5/del(5q)``), and are allowed."""

BlockT = TypeVar("BlockT")
LineT = TypeVar("LineT")


class Findings:
    """Collects diagnostics, so that one run reports many."""

    def __init__(self) -> None:
        self.diagnostics: list[Diagnostic] = []
        self.warnings: list[Diagnostic] = []

    def error(
        self, code: str, message: str, span: Span, label: str = "", next_step: str = ""
    ) -> None:
        """Record an error at a span; only the first hundred are kept."""
        if len(self.diagnostics) >= _MOST_ERRORS:
            return
        self.diagnostics.append(
            Diagnostic(code, message, span=span, label=label, next_step=next_step)
        )

    def warn(
        self, code: str, message: str, span: Span, label: str = "", next_step: str = ""
    ) -> None:
        """Record a warning at a span."""
        self.warnings.append(
            Diagnostic(code, message, "warning", span=span, label=label, next_step=next_step)
        )

    def from_file(self, error: SecgenError, span: Span) -> None:
        """Point the errors of a public file at the place in the spec that names it."""
        for found in error.diagnostics:
            if len(self.diagnostics) < _MOST_ERRORS:
                self.diagnostics.append(replace(found, span=span, label=found.place, place=""))


class Reader:
    """Reads the blocks of one spec and collects what is wrong with them.

    Attributes:
        folder: the spec's folder.
        found: errors and warnings so far.
        defaults: what was filled in, in words.
        files: every file that was read, by its name in the spec.
        reference_files: reference name → its file.
    """

    def __init__(
        self,
        spec: tree.Spec,
        source: Source,
        folder: Path,
        held: Mapping[str, PublicFile] | None = None,
    ) -> None:
        self.spec = spec
        self.source = source
        self.folder = folder
        self.found = Findings()
        self.defaults: list[str] = []
        self.files: dict[str, PublicFile] = {}
        self.reference_files: dict[str, PublicFile] = {}
        self._held = held

    def file(self, name: str) -> PublicFile:
        """A file that the spec names: from its folder, or from those that came with the spec.

        Raises:
            SecgenError: SG213 it cannot be read, or did not come with the spec.
        """
        if self._held is None:
            self.files[name] = read_public_file(self.folder, name)
        elif name in self._held:
            self.files[name] = self._held[name]
        else:
            raise fail(
                "SG213",
                f'the file "{name}" did not come with the spec',
                place=name,
                next_step="compile the spec again where its files are",
            )
        return self.files[name]

    def block(self, kind: type[BlockT], word: str, example: str) -> BlockT | None:
        """The one block of a kind; a missing or second one is an error."""
        blocks = list(self.spec.all(kind))
        if not blocks:
            end = len(self.source.text.rstrip())
            self.found.error(
                "SG201",
                f"the spec has no `{word}`",
                Span(self.source, max(end - 1, 0), end),
                f"no `{word}` up to here",
                f"add, for example: {example}",
            )
            return None
        for extra in blocks[1:]:
            self.found.error(
                "SG202",
                f"a second `{word}`",
                extra.span,  # type: ignore[attr-defined]
                "written twice",
                "put everything into one",
            )
        return blocks[0]

    def not_planned(self, message: str, span: Span, next_step: str) -> None:
        """An error for what the language has but this release cannot carry out."""
        self.found.error("SG112", message, span, "not in this release", next_step)

    def once(self, lines: Sequence[LineT], name: Callable[[LineT], str]) -> dict[str, LineT]:
        """The lines of a block by name; a name that comes twice is an error."""
        known: dict[str, LineT] = {}
        for line in lines:
            key = name(line)
            if key in known:
                self.found.error(
                    "SG204",
                    f"`{key}` stands here twice",
                    line.span,  # type: ignore[attr-defined]
                    "the second one",
                    "remove one of them",
                )
            else:
                known[key] = line
        return known

    def whole(self, number: tree.Number, low: int, high: int, what: str, instead: str = "") -> int:
        """A whole number in a range; else an error, and ``instead`` or the nearest allowed one."""
        value = number.value
        if value.denominator != 1 or not low <= value <= high:
            self.found.error(
                "SG216",
                f"{what} is a whole number from {low:,} to {high:,}",
                number.span,
                "not allowed",
                instead or f"write, for example: {min(max(round(value), low), high)}",
            )
            return low
        written = number.span.source.text[number.span.start : number.span.end]
        if not written.isdigit():  # 1.000 would be read as 1
            meant = written.replace(".", "") if "." in written else str(value)
            self.found.error(
                "SG216",
                f"{what} is written with digits only",
                number.span,
                f"this is {value}",
                f"write {value}" + (f", or {meant} if that is meant" if "." in written else ""),
            )
        return int(value)

    def printable(self, name: tree.Name | tree.Text, message: str) -> bool:
        """Whether there is something to print, and nothing else; if not, that is an error."""
        if name.text and name.text.isprintable():
            return True
        self.found.error(
            "SG207", message, name.span, "empty, or with control characters", "write plain text"
        )
        return False

    def no_formula(self, text: str, what: str, span: Span) -> None:
        """An error if a spreadsheet would run the text, once it is a cell of the results."""
        if text.startswith(FORMULA_SIGNS):
            self.found.error(
                "SG207",
                f'the {what} "{text}" begins with "{text[0]}": a spreadsheet that opens the'
                " results would run it",
                span,
                "a formula",
                f'write it without the "{text[0]}"; a site maps its own spelling in site.toml',
            )

    def distinct(self, names: Iterable[tree.Name], what: str) -> tuple[str, ...]:
        """The names of a list; repeats and empty names are errors."""
        known: dict[str, None] = {}
        for name in names:
            self.no_formula(name.text, what, name.span)
            if self.printable(name, f"a {what} needs a name that can be printed") and (
                name.text in known
            ):
                self.found.error(
                    "SG207",
                    f'the {what} "{name.text}" is listed twice',
                    name.span,
                    "the second time",
                    "remove it, or give it another name",
                )
            known.setdefault(name.text)
        return tuple(known)
