"""`secgen doctor`: what usually goes wrong between sites, found before a run."""

import sys
from pathlib import Path

import click

from secgen_dsl.cli.between_sites import (
    consortium_option,
    keys_option,
    party_option,
    proxy_option,
    state_option,
)
from secgen_dsl.cli.report import (
    Format,
    as_json,
    command,
    format_option,
    print_json,
    show,
    succeed,
)
from secgen_dsl.diagnostics.diagnostic import SecgenError


@click.command()
@consortium_option()
@party_option(required=False)
@keys_option(required=False)
@click.option(
    "--bundle",
    type=click.Path(path_type=Path),
    metavar="BUNDLE",
    help="The bundle that is to run, with its approvals.",
)
@click.option(
    "--site",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The site's site.toml: its description and policy are checked, no data are read.",
)
@state_option(required=False)
@click.option(
    "--wait",
    type=click.FloatRange(1, 3600),
    default=30.0,
    show_default=True,
    help="Seconds to wait for the other sites.",
)
@proxy_option()
@format_option
@command
def doctor(
    consortium: Path,
    name: str | None,
    keys: Path | None,
    bundle: Path | None,
    site: Path | None,
    state: Path | None,
    wait: float,
    proxy: str | None,
    output: Format,
) -> None:
    """Check a consortium, this site, and the way to the other sites, before a run.

    With --consortium alone the file itself is checked.  With --party and --keys, on the machine
    that is to run the party, also this machine and the network: let all sites run it at the same
    time, or `secgen party`.  Nothing about data is read or sent, and nothing is spent.
    """
    from secgen_dsl.cli.examination import Subject, examine

    if (name is None) != (keys is None):
        raise click.UsageError("--party and --keys go together.")
    if name is None and (site is not None or state is not None):
        raise click.UsageError("--site and --state go with --party and --keys.")

    def say(line: str) -> None:
        click.echo(line, err=True)

    found = examine(
        Subject(consortium, name, keys, bundle, site, state, wait, proxy),
        say if output == "full" else lambda _: None,
    )
    errors = any(each.severity == "error" for each in found.diagnostics)
    data: dict[str, object] = {
        "party": name,
        "roster": found.roster,
        "notes": list(found.notes),
        "sites": [{"site": site_name} | words for site_name, words in found.sites.items()],
    }
    if output == "json" and errors:
        print_json({"ok": False, "diagnostics": as_json(found.diagnostics)} | data)
        sys.exit(1)
    if output == "full":
        headings = list(dict.fromkeys(key for words in found.sites.values() for key in words))
        rows = [["site", *headings]]
        rows += [
            [site_name, *(words.get(key, "–") for key in headings)]
            for site_name, words in found.sites.items()
        ]
        click.echo(_table(rows))
        for note in found.notes:
            click.echo(note)
    if errors:
        raise SecgenError(found.diagnostics)
    if output != "full":
        succeed(output, found.diagnostics, data)
        return
    show(found.diagnostics)
    click.echo("nothing was found that stops a run" if name else "nothing was found")


def _table(rows: list[list[str]]) -> str:
    """Columns of words, two spaces apart; a rule under the first row."""
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    rule = "─" * (sum(widths) + 2 * (len(widths) - 1))
    return "\n".join(["", lines[0], rule, *lines[1:], ""])
