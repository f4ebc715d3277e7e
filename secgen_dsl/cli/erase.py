"""`secgen erase`: the noised inputs of a plan, when their retention has ended."""

import contextlib
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from secgen_dsl.cli.report import Format, command, format_option, succeed
from secgen_dsl.diagnostics.diagnostic import SecgenError, fail

if TYPE_CHECKING:
    from secgen_dsl.runtime.store import ContributionStore

_DIGITS = 12  # of a hash: with 48 bits no two plans are taken for each other by chance
_HASH = re.compile(rf"[0-9a-f]{{{_DIGITS},64}}")
_PART = re.compile(r"[0-9A-Fa-f]+")


@dataclass(frozen=True)
class _Found:
    """A store that holds contributions to the plan.

    Attributes:
        count: of contributions, one for each round.
    """

    path: Path
    store: "ContributionStore"
    count: int


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--plan",
    required=True,
    metavar="PLAN",
    help="Its hash, or at least the first 12 digits, as `secgen ledger` shows; or its bundle, "
    "spec or plan.json.",
)
@click.option("--yes", is_flag=True, help="Erase without asking, for scripts.")
@format_option
@command
def erase(path: Path, plan: str, yes: bool, output: Format) -> None:
    """Erase the noised inputs of a plan at PATH, a --state folder or a store.sqlite.

    The ledger's entries stay, and so does the note that there was a contribution: it is never
    drawn again, so a run of the plan that was cut off can then not be completed.
    """
    from secgen_dsl.cli.ledger import plan_at
    from secgen_dsl.ir.base import sha256_of

    if _PART.fullmatch(plan) and not Path(plan).exists():
        plan = plan.lower()
        _require_length(plan)
    if not _HASH.fullmatch(plan):
        plan = sha256_of(plan_at(Path(plan)))
    if output != "full" and not yes:
        raise click.UsageError(f"--format {output} goes with --yes: nothing can be asked.")
    with contextlib.ExitStack() as stack:
        found, plan_sha256 = _find(stack, path, plan)
        count = sum(one.count for one in found)
        inputs = _inputs(count)
        if output == "full":
            click.echo(f"plan         {plan_sha256}")
            for one in found:
                click.echo(f"store        {one.path}, {_inputs(one.count)}")
        if not yes:
            _ask(inputs)
        for one in found:
            one.store.erase(plan_sha256)
    if output != "full":
        stores = [str(one.path) for one in found]
        succeed(output, (), {"plan_sha256": plan_sha256, "erased": count, "stores": stores})
        return
    click.echo(f"erased       {inputs}; the debit stays, and a backup may hold a copy")


def _find(stack: contextlib.ExitStack, path: Path, plan: str) -> tuple[list[_Found], str]:
    """The stores with contributions to the plan, which are held open, and its whole hash.

    Raises:
        SecgenError: SG807 no plan, or several; SG702 a run goes on; SG801, SG802, SG803, SG512.
    """
    from secgen_dsl.cli.execution import one_run_at_a_time
    from secgen_dsl.cli.ledger import store_files
    from secgen_dsl.runtime.store import ContributionStore

    files = store_files(path)
    for folder in sorted({file.absolute().parent.parent for file in files}):
        stack.enter_context(one_run_at_a_time(folder, "PATH"))
    stores = {file: stack.enter_context(ContributionStore(file)) for file in files}
    held = {file: store.contributions() for file, store in stores.items()}
    plans = sorted({one for each in held.values() for one in each if one.startswith(plan)})
    if len(plans) != 1:
        raise fail(
            "SG807",
            f"no noised input of a plan {plan}… is stored here"
            if not plans
            else f"{len(plans)} plans begin with {plan}",
            place=str(path),
            next_step="see `secgen ledger` for the plans; what is erased already is not stored"
            if not plans
            else f"give more of its hash: {', '.join(one[:20] + '…' for one in plans)}",
        )
    return [
        _Found(file, stores[file], count)
        for file, each in held.items()
        if (count := each.get(plans[0], 0))
    ], plans[0]


def _require_length(plan: str) -> None:
    """Raises SecgenError SG807: so many digits are no hash, or do not say which."""
    if _HASH.fullmatch(plan):
        return
    digits = "1 digit" if len(plan) == 1 else f"{len(plan)} digits"
    if len(plan) > 64:
        raise _not_erased(
            f"--plan has {digits}, and a plan's hash 64", "give it as `secgen ledger` shows it"
        )
    raise _not_erased(
        f"--plan has {digits} of a hash, and {_DIGITS} are needed: fewer may fit another plan, "
        "too, and what is erased is gone",
        f"give the first {_DIGITS} digits or more, as `secgen ledger` shows them",
    )


def _inputs(count: int) -> str:
    return "1 noised input" if count == 1 else f"{count} noised inputs"


def _ask(inputs: str) -> None:
    """Raises SecgenError SG807 if nobody can be asked, or the answer is no."""
    if not sys.stdin.isatty():
        raise _not_erased(
            "there is no terminal to ask on",
            "run it on a terminal; in a script, --yes says that somebody has decided it",
        )
    if not click.confirm(f"Erase {inputs} for good?", default=False, err=True):
        raise _not_erased("the answer was no", "nothing; they are kept")


def _not_erased(reason: str, next_step: str) -> SecgenError:
    return fail("SG807", f"nothing was erased: {reason}", place="secgen erase", next_step=next_step)
