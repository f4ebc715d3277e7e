"""What commands print: diagnostics in one of five formats, tables, JSON; and how they end."""

import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from typing import Any, Literal, NoReturn, ParamSpec, TextIO, get_args

import click

from secgen_dsl.diagnostics.diagnostic import Diagnostic, SecgenError, in_order

Parameters = ParamSpec("Parameters")
Format = Literal["full", "concise", "json", "sarif", "github"]

_SHOWN = "secgen_dsl.shown"
"""Where a command's context keeps the codes that it has shown to people."""


def show(diagnostics: Iterable[Diagnostic]) -> None:
    """Print diagnostics for people to stderr, in colour on a terminal unless NO_COLOR is set."""
    from secgen_dsl.diagnostics.full import render

    found = list(diagnostics)
    if not found:
        return
    colour = coloured(sys.stderr)
    click.echo(render(found, colour=colour) + "\n", err=True, color=colour)
    context = click.get_current_context(silent=True)
    if context is not None:
        shown: dict[str, None] = context.meta.setdefault(_SHOWN, {})
        shown.update(dict.fromkeys(diagnostic.code for diagnostic in in_order(found)))


def coloured(stream: TextIO) -> bool:
    """Whether text on a stream is styled: on a terminal, unless NO_COLOR is set."""
    return stream.isatty() and not os.environ.get("NO_COLOR")


def print_json(data: object) -> None:
    """Print JSON to stdout."""
    click.echo(json.dumps(data, indent=2, ensure_ascii=False))


def as_json(diagnostics: Iterable[Diagnostic]) -> list[dict[str, object]]:
    """Diagnostics as JSON data, in order."""
    return [diagnostic.as_json() for diagnostic in in_order(diagnostics)]


def succeed(output: Format, diagnostics: Iterable[Diagnostic], data: Mapping[str, object]) -> None:
    """Print what a command found in a format other than ``full``, to stdout.

    Args:
        data: what ``json`` holds beside the diagnostics; the other formats hold these only.
    """
    if output == "json":
        print_json({"ok": True, "diagnostics": as_json(diagnostics)} | dict(data))
    else:
        _print_only(output, diagnostics)


def _print_only(output: str, diagnostics: Iterable[Diagnostic]) -> None:
    from secgen_dsl.diagnostics import concise, github, sarif

    renderers = {"concise": concise.render, "github": github.render, "sarif": sarif.render}
    text = renderers[output](diagnostics)
    if text:
        click.echo(text)


def format_option(function: Callable[..., None]) -> Callable[..., None]:
    """Adds ``--format`` and ``--json``; the command gets them as one argument, ``output``."""

    @click.option(
        "--format",
        "output",
        type=click.Choice(get_args(Format)),
        help="full: tables, and diagnostics for people (default).  json: the same for programs.  "
        "concise (a line each), sarif, github: the diagnostics only.",
    )
    @click.option("--json", "json_too", is_flag=True, help="The same as --format json.")
    @wraps(function)
    def wrapped(*args: Any, output: Format | None, json_too: bool, **kwargs: Any) -> None:
        if json_too and output not in (None, "json"):
            raise click.UsageError(f"--json and --format {output} exclude each other.")
        function(*args, output="json" if json_too else output or "full", **kwargs)

    return wrapped


def command(function: Callable[Parameters, None]) -> Callable[Parameters, None]:
    """Ends a command with diagnostics and exit code 1 instead of a traceback."""

    @wraps(function)
    def wrapped(*args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
        output = str(kwargs.get("output") or ("json" if kwargs.get("as_json") else "full"))
        try:
            function(*args, **kwargs)
            _point_to_pages()
        except (click.ClickException, click.Abort, BrokenPipeError):
            raise  # click ends quietly when nobody reads its output any more
        except (Exception, KeyboardInterrupt) as error:
            _end(diagnostics_of(error), output)

    return wrapped


def diagnostics_of(error: Exception | KeyboardInterrupt) -> tuple[Diagnostic, ...]:
    """What ended a command, as its user is told: SG900, SG901, SG902, or the error's own."""
    if isinstance(error, SecgenError):
        return error.diagnostics
    if isinstance(error, KeyboardInterrupt):
        code, place = "SG901", "secgen"
        message = f"stopped by {error}" if str(error) else "stopped from the keyboard"
        next_step = (
            "start it again; a run goes on at no cost with the same --out (but not with --backend "
            "plaintext), a party with the same --state"
        )
    elif isinstance(error, MemoryError):
        code, place = "SG902", "secgen"
        message = "this machine has not enough memory"
        next_step = "use fewer genes or bins, or a larger machine"
    else:
        code, place = "SG900", _last_frame(error)
        message = f"a fault of secgen itself: {type(error).__name__}"
        next_step = "report it with the command and the spec (no data)"
    return (Diagnostic(code, message, place=place, next_step=next_step),)


def _last_frame(error: BaseException) -> str:
    trace: Any = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return "secgen"
    return f"{trace.tb_frame.f_globals.get('__name__', 'secgen')}:{trace.tb_lineno}"


def _end(diagnostics: Iterable[Diagnostic], output: str) -> NoReturn:
    found = list(diagnostics)
    if output == "json":
        print_json({"ok": False, "diagnostics": as_json(found)})
    elif output != "full":
        _print_only(output, found)
    else:
        show(found)
        errors = sum(1 for diagnostic in found if diagnostic.severity == "error")
        if errors > 1:
            click.echo(f"{errors} errors", err=True)
        _point_to_pages()
    sys.exit(1)


def _point_to_pages() -> None:
    """Say, once a command, where to read more about what it has shown."""
    shown = click.get_current_context().meta.pop(_SHOWN, {})
    if shown and "SG903" not in shown:  # that one comes from `explain` itself
        click.echo(f"more: secgen explain {' '.join(shown)}", err=True)
