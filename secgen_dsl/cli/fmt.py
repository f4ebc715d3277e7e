"""`secgen fmt`: the canonical layout of specs, comments kept."""

import difflib
import os
import re
import shlex
import shutil
import sys
import tempfile
from pathlib import Path

import click

from secgen_dsl.cli.report import command
from secgen_dsl.diagnostics.diagnostic import Diagnostic, SecgenError, Source, Span, fail


@click.command()
@click.argument("specs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="SPEC…")
@click.option("--check", is_flag=True, help="Write nothing; exit 1 if a spec would change.")
@click.option("--diff", is_flag=True, help="Write nothing; print what would change.")
@command
def fmt(specs: tuple[Path, ...], check: bool, diff: bool) -> None:
    """Write each SPEC in the canonical layout.  `-` reads one and prints it.

    Comments stay, and the plan stays the same.  A spec with a syntax error is left as it is.
    """
    found: list[Diagnostic] = []
    for path in specs:
        try:
            _format(path, check=check, diff=diff)
        except SecgenError as error:  # the other specs are not held up by it
            found += error.diagnostics
    if found:
        raise SecgenError(found)


def _format(path: Path, *, check: bool, diff: bool) -> None:
    """Format one spec.

    Raises:
        SecgenError: why it is not formatted; SG705 it would change and ``check`` is asked.
    """
    from secgen_dsl.syntax.format import format_text
    from secgen_dsl.syntax.parser import MAXIMUM_BYTES, check_syntax, read_bytes, source_of

    streamed = str(path) == "-"
    data = sys.stdin.buffer.read(MAXIMUM_BYTES + 1) if streamed else read_bytes(path)
    source = source_of("standard input" if streamed else str(path), data)
    check_syntax(source)
    formatted = format_text(source.text)
    result = formatted.encode()
    if len(result) > MAXIMUM_BYTES:
        raise fail(
            "SG103",
            f"in the canonical layout the spec would have more than {MAXIMUM_BYTES:,} bytes",
            place=source.name,
            next_step='put long gene lists into a file: panel … from "genes.txt"',
        )
    if diff:
        click.echo(_difference(source.name, data.decode(), formatted).encode(), nl=False)
    if check and result != data:
        raise SecgenError(_not_canonical(source, formatted, str(path)))
    if check or diff:
        return
    if streamed:
        click.echo(result, nl=False)
    elif result != data:
        _replace(path, result)
        click.echo(f"formatted {path}")


def _not_canonical(source: Source, formatted: str, name: str) -> Diagnostic:
    """SG705, at the first line that would change."""
    start = 0
    for before, after in zip(source.text.split("\n"), formatted.split("\n"), strict=False):
        if before != after:
            break
        start += len(before) + 1
    end = source.text.find("\n", start)
    return Diagnostic(
        "SG705",
        "the spec is not in the canonical layout",
        span=Span(source, start, end if end > start else min(start + 1, len(source.text))),
        label="the first line that would change",
        next_step=f"secgen fmt {shlex.quote(name)}",
    )


def _difference(name: str, before: str, after: str) -> str:
    """A unified diff that `patch` can apply."""
    old, new = (re.findall(r"[^\n]*\n|[^\n]+\Z", text) for text in (before, after))
    lines = difflib.unified_diff(old, new, fromfile=name, tofile=name)
    without_end = "\n\\ No newline at end of file\n"
    return "".join(line if line.endswith("\n") else line + without_end for line in lines)


def _replace(path: Path, data: bytes) -> None:
    """Write a file under a temporary name, then rename it; a link stays one, the mode stays.

    Raises:
        SecgenError: SG701 it cannot be written.
    """
    target = path.resolve()
    if not target.is_file():
        raise fail(
            "SG701",
            "the layout cannot be written back: this is not a file",
            place=str(path),
            next_step="use - to read from a pipe and print the result",
        )
    temporary = None
    try:
        if not os.access(target, os.W_OK):  # renaming would replace even a read-only file
            raise PermissionError(None, "it is read-only")
        with tempfile.NamedTemporaryFile(
            dir=target.parent, prefix=".secgen.", delete=False
        ) as file:
            temporary = Path(file.name)
            file.write(data)
        shutil.copymode(target, temporary)
        temporary.replace(target)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise fail(
            "SG701",
            f"cannot write: {(error.strerror or 'unknown reason').lower()}",
            place=str(path),
            next_step="make the file and its folder writable, or use - to print the result",
        ) from error
