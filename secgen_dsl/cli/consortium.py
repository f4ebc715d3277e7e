"""`secgen consortium`: one consortium.toml out of the sites' party.toml files."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from secgen_dsl.cli.keygen import host_and_port
from secgen_dsl.cli.report import Format, command, format_option, succeed
from secgen_dsl.diagnostics.diagnostic import Diagnostic, SecgenError, fail, printable

if TYPE_CHECKING:
    from secgen_dsl.runtime.trust.consortium import PartyEntry


@click.command()
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PARTY.TOML…"
)
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The consortium.toml to write, a new file.  Without: nothing is written.",
)
@click.option(
    "--relay",
    default="",
    metavar="HOST:PORT",
    callback=host_and_port,
    help="Where parties meet that have no address.",
)
@format_option
@command
def consortium(files: tuple[Path, ...], out: Path | None, relay: str, output: Format) -> None:
    """Put the parties' files together, and show what the sites compare.

    The files are party.toml files, which `secgen keygen` wrote, or a consortium.toml.  A party may
    come twice if both say the same keys: a site that gives the consortium.toml that it received
    and its own party.toml sees that nobody changed its keys on the way.
    """
    from secgen_dsl.backends.bundle import write_file
    from secgen_dsl.runtime.trust.consortium import (
        Consortium,
        Relay,
        Timeouts,
        consortium_text,
        read_parties,
        roster_sha256,
    )

    if out is not None and os.path.lexists(out):
        raise fail(
            "SG706",
            "the file exists already; nothing is overwritten",
            place=str(out),
            next_step="give another name with -o, or move the file away",
        )
    read = {path: read_parties(path, relay) for path in files}
    whole = next((one for one in read.values() if isinstance(one, Consortium)), None)
    entries, checked = _once(
        {path: one.party if isinstance(one, Consortium) else one for path, one in read.items()}
    )
    met = whole.relay if whole is not None else None
    if relay:
        met = Relay(address=relay)
    if out is not None:
        timeouts = whole.timeouts if whole is not None else Timeouts()
        write_file(out, consortium_text(entries, timeouts, met, out).encode())
    # In one order, however the files were given.
    roster = roster_sha256(sorted(entries, key=lambda entry: entry.name))
    if output != "full":
        data: dict[str, object] = {"parties": [_json(entry) for entry in entries]}
        data |= {"roster": roster, "written": None if out is None else str(out)}
        data |= {"checked": checked}
        succeed(output, (), data)
        return
    from secgen_dsl.cli.tables import aligned

    rows = [["party", "address", "certificate", "compare"]]
    rows += [
        [
            printable(entry.name),
            entry.address or "met at the relay",
            _validity(entry),
            roster_sha256([entry]),
        ]
        for entry in entries
    ]
    click.echo(aligned(rows))
    for number, words in enumerate(checked):
        click.echo(f"{'' if number else 'checked':<9}{words}")
    click.echo(f"roster   {roster}")
    click.echo(
        "         whose keys they are, people check by telephone: each site reads its own line to "
        "the\n         others, and all the roster; at least 32 digits of each: fewer can be forged"
    )
    if out is not None:
        click.echo(f"written  {out}  (the same file for all sites)")


def _once(
    read: "dict[Path, tuple[PartyEntry, ...]]",
) -> "tuple[list[PartyEntry], list[str]]":
    """All parties in the order given, and what was checked, in words.

    Raises:
        SecgenError: SG521, two files disagree on who a party is, or two parties have in common
            what tells one from another.
    """
    from secgen_dsl.runtime.trust.consortium import alike

    found: dict[str, tuple[Path, PartyEntry]] = {}
    files: dict[str, int] = {}
    faults = []
    for path, parties in read.items():
        for entry in parties:
            first, other = found.setdefault(entry.name, (path, entry))
            files[entry.name] = files.get(entry.name, 0) + 1
            faults += [
                Diagnostic(
                    "SG521",
                    f'the files differ in the {what} of "{printable(entry.name)}"',
                    place=f"{first}, {path}",
                    next_step="ask that site by telephone which one is its own; somebody may have "
                    "changed the other",
                )
                for what, one, another in (
                    ("certificate", other.fingerprint, entry.fingerprint),
                    ("officer's key", other.officer, entry.officer),
                )
                if one != another
            ]
    entries = [entry for _, entry in found.values()]
    paths = [path for path, _ in found.values()]
    faults += [
        Diagnostic(
            "SG521",
            what,
            place=", ".join(str(paths[number]) for number in numbers),
            next_step="let each of the two sites send its own party.toml, which `secgen keygen` "
            "wrote there",
        )
        for what, numbers in alike(entries)
    ]
    if faults:
        raise SecgenError(faults)
    checked = [
        "every certificate has its fingerprint; no two parties share a key, an address or a name"
    ]
    again = [name for name, times in files.items() if times > 1]
    if again:
        checked.append(f"the files agree on the keys of {', '.join(again)}")
    return entries, checked


def _validity(entry: "PartyEntry") -> str:
    from datetime import UTC, datetime

    until = entry.identity.not_after
    expired = until < datetime.now(UTC)
    return f"{'expired' if expired else 'until'} {until.date().isoformat()}"


def _json(entry: "PartyEntry") -> dict[str, object]:
    from secgen_dsl.runtime.trust.consortium import roster_sha256

    return {
        "name": entry.name,
        "address": entry.address,
        "listen": entry.listen,
        "fingerprint": entry.fingerprint,
        "officer": entry.officer,
        "not_after": entry.identity.not_after.date().isoformat(),
        "compare": roster_sha256([entry]),
    }
