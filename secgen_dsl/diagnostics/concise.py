"""The format ``concise``: a line a diagnostic, as editors and ``grep`` read them."""

from collections.abc import Iterable

from secgen_dsl.diagnostics.diagnostic import Diagnostic, in_order, printable


def render(diagnostics: Iterable[Diagnostic]) -> str:
    """``PATH:LINE:COLUMN: severity[CODE]: message — next: …``, a line each.

    Lines and columns count from 1.  Without a place in a spec the line begins with the place in
    words (a file, a site).
    """
    return "\n".join(_line(diagnostic) for diagnostic in in_order(diagnostics))


def _line(diagnostic: Diagnostic) -> str:
    where = f"{diagnostic.where()}: " if diagnostic.where() else ""
    step = f" — next: {diagnostic.next_step}" if diagnostic.next_step else ""
    said = f"{diagnostic.severity}[{diagnostic.code}]: {diagnostic.message}{step}"
    return printable(where + said)
