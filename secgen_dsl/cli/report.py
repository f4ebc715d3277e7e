"""What commands print: diagnostics, tables, JSON; and how they end."""

import json
import sys
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, NoReturn, ParamSpec

import click

from secgen_dsl.diagnostics.diagnostic import Diagnostic, SecgenError
from secgen_dsl.diagnostics.render import in_order, render

Parameters = ParamSpec("Parameters")


def show(diagnostics: Iterable[Diagnostic]) -> None:
    """Print diagnostics to stderr."""
    found = list(diagnostics)
    if found:
        click.echo(render(found) + "\n", err=True)


def print_json(data: object) -> None:
    """Print JSON to stdout."""
    click.echo(json.dumps(data, indent=2, ensure_ascii=False))


def as_json(diagnostics: Iterable[Diagnostic]) -> list[dict[str, object]]:
    """Diagnostics as JSON data, in order."""
    return [diagnostic.as_json() for diagnostic in in_order(diagnostics)]


def command(function: Callable[Parameters, None]) -> Callable[Parameters, None]:
    """Ends a command with diagnostics and exit code 1 instead of a traceback."""

    @wraps(function)
    def wrapped(*args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
        machine = bool(kwargs.get("as_json"))
        try:
            function(*args, **kwargs)
        except SecgenError as error:
            _end(error.diagnostics, machine)
        except (click.ClickException, click.Abort, BrokenPipeError):
            raise  # click ends quietly when nobody reads its output any more
        except KeyboardInterrupt:
            stopped = Diagnostic(
                "SG901",
                "stopped from the keyboard",
                place="secgen",
                next_step="start it again; a run goes on at no cost with the same --out",
            )
            _end([stopped], machine)
        except MemoryError:
            _end(
                [
                    Diagnostic(
                        "SG902",
                        "this machine has not enough memory",
                        place="secgen",
                        next_step="use fewer genes or bins, or a larger machine",
                    )
                ],
                machine,
            )
        except Exception as error:
            _end(
                [
                    Diagnostic(
                        "SG900",
                        f"a fault of secgen itself: {type(error).__name__}",
                        place=_last_frame(error),
                        next_step="please report it with the command and the spec (no data)",
                    )
                ],
                machine,
            )

    return wrapped


def _last_frame(error: BaseException) -> str:
    trace: Any = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return "secgen"
    return f"{trace.tb_frame.f_globals.get('__name__', 'secgen')}:{trace.tb_lineno}"


def _end(diagnostics: Iterable[Diagnostic], machine: bool) -> NoReturn:
    found = list(diagnostics)
    if machine:
        print_json({"ok": False, "diagnostics": as_json(found)})
    else:
        show(found)
        errors = sum(1 for diagnostic in found if diagnostic.severity == "error")
        if errors > 1:
            click.echo(f"{errors} errors", err=True)
    sys.exit(1)
