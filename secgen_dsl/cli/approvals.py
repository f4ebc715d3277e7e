"""`secgen approvals`: which parties have approved a bundle."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from secgen_dsl.cli.report import Format, as_json, command, format_option, print_json
from secgen_dsl.diagnostics.diagnostic import SecgenError

if TYPE_CHECKING:
    from secgen_dsl.runtime.trust.approvals import Review


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--consortium",
    "consortium_file",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FILE",
    help="The consortium.toml, with the officers' keys.",
)
@format_option
@command
def approvals(bundle: Path, consortium_file: Path, output: Format) -> None:
    """Show who has approved BUNDLE.  Exits with 0 only if every party has.

    An approval is a file in the bundle's folder `approvals`.  The plan needs one of every party,
    helpers included.  The bundle itself is not verified: `secgen approve` and every party do that.
    """
    from secgen_dsl.backends.bundle import read_bundle
    from secgen_dsl.ir.base import sha256_of
    from secgen_dsl.runtime.trust.approvals import missing_approval, review
    from secgen_dsl.runtime.trust.consortium import read_consortium

    read = read_bundle(bundle)
    plan, study = sha256_of(read.plan), sha256_of(read.study)
    entries = read_consortium(consortium_file).of_plan(read.plan.parties)
    found = review(bundle, plan, study, entries)
    if output == "full":
        from secgen_dsl.cli.tables import aligned

        silos = {silo.name for silo in read.plan.program.silos}
        rows = [["party", "", "approval"]]
        rows += [
            [name, "silo" if name in silos else "helper", state]
            for name, state in _states(read.plan.parties, found)
        ]
        click.echo(f"plan   {plan}\nstudy  {study}")
        click.echo(aligned(rows))
    faults = [*(missing_approval(bundle, name) for name in found.missing), *found.faults]
    if output == "json":
        parties = [{"name": n, "approval": state} for n, state in _states(read.plan.parties, found)]
        data = {"ok": not faults, "diagnostics": as_json(faults), "parties": parties}
        print_json(data | {"plan_sha256": plan, "study_sha256": study})
        if faults:
            sys.exit(1)
    elif faults:
        raise SecgenError(faults)
    elif output == "full":
        click.echo("all parties of the plan have approved it")


def _states(parties: Sequence[str], found: "Review") -> list[tuple[str, str]]:
    """Party, and the day of its approval, or `missing`, or `not valid`."""
    states = dict.fromkeys(parties, "not valid") | dict.fromkeys(found.missing, "missing")
    states |= {name: approval.date for name, approval in found.approved.items()}
    return list(states.items())
