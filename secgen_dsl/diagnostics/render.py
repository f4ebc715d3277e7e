"""Diagnostics for people: code, message, the source line with a caret, a next step."""

from collections.abc import Iterable, Iterator

from secgen_dsl.diagnostics.diagnostic import Diagnostic

_LONGEST_LINE = 160


def render(diagnostics: Iterable[Diagnostic]) -> str:
    """All diagnostics as plain text, in the order of their places, blank lines between them."""
    return "\n\n".join("\n".join(_lines(diagnostic)) for diagnostic in in_order(diagnostics))


def in_order(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """By place in the text; those without a span come last, in the order given."""
    return sorted(
        diagnostics, key=lambda d: (d.span is None, d.span.start if d.span is not None else 0)
    )


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def _lines(diagnostic: Diagnostic) -> Iterator[str]:
    yield f"{diagnostic.severity}[{diagnostic.code}]: {_printable(diagnostic.message)}"
    if diagnostic.span is not None:
        span = diagnostic.span
        line, column = span.source.position(span.start)
        text = _printable(span.source.line(line).replace("\t", " "))
        end_line, end_column = span.source.position(span.end)
        width = (end_column if end_line == line else len(text) + 1) - column
        offset = max(0, column - 1 - _LONGEST_LINE // 2) if len(text) > _LONGEST_LINE else 0
        shown = text[offset : offset + _LONGEST_LINE]
        width = max(1, min(width, len(shown) - (column - 1 - offset)))
        gutter = " " * len(str(line))
        yield f"{gutter}--> {diagnostic.where()}"
        yield f"{gutter} |"
        yield f"{line} | {shown}"
        caret = " " * (column - 1 - offset) + "^" * width
        yield f"{gutter} | {caret} {_printable(diagnostic.label)}".rstrip()
    elif diagnostic.place:
        yield f"  --> {_printable(diagnostic.place)}"
        if diagnostic.label:
            yield f"   | {_printable(diagnostic.label)}"
    if diagnostic.next_step:
        yield f"  next: {_printable(diagnostic.next_step)}"
