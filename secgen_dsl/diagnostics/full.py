"""The format ``full``: code, message, the source line with a caret, a next step.  For people."""

from collections.abc import Callable, Iterable, Iterator

import click

from secgen_dsl.diagnostics.diagnostic import Diagnostic, in_order, printable

_LONGEST_LINE = 160
_COLOURS = {"error": "red", "warning": "yellow"}

Style = Callable[..., str]


def render(diagnostics: Iterable[Diagnostic], *, colour: bool = False) -> str:
    """All diagnostics in the order of their places, blank lines between them."""
    style: Style = click.style if colour else _plain
    return "\n\n".join("\n".join(_lines(diagnostic, style)) for diagnostic in in_order(diagnostics))


def _plain(text: str, **_: object) -> str:
    return text


def _lines(diagnostic: Diagnostic, style: Style) -> Iterator[str]:
    shade = _COLOURS[diagnostic.severity]
    heading = style(f"{diagnostic.severity}[{diagnostic.code}]", fg=shade, bold=True)
    yield heading + style(f": {printable(diagnostic.message)}", bold=True)
    if diagnostic.span is not None:
        span = diagnostic.span
        line, column = span.source.position(span.start)
        text = printable(span.source.line(line).replace("\t", " "))
        end_line, end_column = span.source.position(span.end)
        width = (end_column if end_line == line else len(text) + 1) - column
        offset = max(0, column - 1 - _LONGEST_LINE // 2) if len(text) > _LONGEST_LINE else 0
        shown = text[offset : offset + _LONGEST_LINE]
        width = max(1, min(width, len(shown) - (column - 1 - offset)))
        gutter = " " * len(str(line))
        caret = " " * (column - 1 - offset)
        marked = f"{'^' * width} {printable(diagnostic.label)}".rstrip()
        yield style(f"{gutter}-->", fg="blue") + f" {printable(diagnostic.where())}"
        yield style(f"{gutter} |", fg="blue")
        yield style(f"{line} |", fg="blue") + f" {shown}"
        yield style(f"{gutter} |", fg="blue") + f" {caret}" + style(marked, fg=shade)
    elif diagnostic.place:
        yield style("  -->", fg="blue") + f" {printable(diagnostic.place)}"
        if diagnostic.label:
            yield style("   |", fg="blue") + f" {printable(diagnostic.label)}"
    if diagnostic.next_step:
        yield style("  next:", fg="green") + f" {printable(diagnostic.next_step)}"
