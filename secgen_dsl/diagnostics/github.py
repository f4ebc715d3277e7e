"""The format ``github``: workflow commands, which GitHub shows at the lines of a pull request."""

from collections.abc import Iterable
from pathlib import Path

from secgen_dsl.diagnostics.codes import TITLES
from secgen_dsl.diagnostics.diagnostic import Diagnostic, in_order


def render(diagnostics: Iterable[Diagnostic]) -> str:
    """``::error file=…,line=…,col=…,endLine=…,endColumn=…,title=…::message``, a line each."""
    return "\n".join(_command(diagnostic) for diagnostic in in_order(diagnostics))


def _command(diagnostic: Diagnostic) -> str:
    properties: dict[str, object] = {}
    message = diagnostic.message
    if diagnostic.span is not None:
        span = diagnostic.span
        line, column = span.source.position(span.start)
        end_line, end_column = span.source.position(span.end)
        properties |= {"file": _from_here(span.source.name), "line": line, "col": column}
        properties |= {"endLine": end_line, "endColumn": end_column}
    elif diagnostic.place:
        message = f"{diagnostic.place}: {message}"
    properties["title"] = f"{diagnostic.code} {TITLES.get(diagnostic.code, '')}".rstrip()
    if diagnostic.next_step:
        message += f"\nnext: {diagnostic.next_step}"
    listed = ",".join(f"{name}={_property(str(value))}" for name, value in properties.items())
    return f"::{diagnostic.severity} {listed}::{_data(message)}"


def _from_here(name: str) -> str:
    """The path from the current folder, which GitHub's runner knows; else as it was typed."""
    path, here = Path(name).absolute(), Path.cwd()
    return path.relative_to(here).as_posix() if path.is_relative_to(here) else name


def _data(text: str) -> str:
    """What the runner reads as text: it undoes these three escapes and no others."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
