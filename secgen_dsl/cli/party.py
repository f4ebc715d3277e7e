"""`secgen party`: one party of a run between sites."""

import contextlib
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import click

from secgen_dsl.cli.between_sites import (
    consortium_option,
    keys_option,
    party_option,
    proxy_option,
    state_option,
)
from secgen_dsl.cli.report import Format, command, format_option, show, succeed


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@party_option(required=True)
@consortium_option()
@keys_option(required=True)
@click.option(
    "--site",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The site's site.toml or table; a helper has none.",
)
@state_option(required=True)
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), required=True, help="Results' folder."
)
@proxy_option()
@click.option(
    "--finished",
    is_flag=True,
    help="Write the results of a run that this site completed earlier, without the others.",
)
@click.option("--log-json", is_flag=True, help="Progress as JSON lines on standard error.")
@format_option
@command
def party(
    bundle: Path,
    name: str,
    consortium: Path,
    keys: Path,
    site: Path | None,
    state: Path,
    out: Path,
    proxy: str | None,
    finished: bool,
    log_json: bool,
    output: Format,
) -> None:
    """Run one party of BUNDLE; the other sites run theirs.

    Starts only with the approvals of all parties in BUNDLE/approvals.  Started again after it was
    cut off, with the same --state, it goes on from what it stored and spends nothing more.  If it
    was cut off when all had confirmed the opened values, --finished writes the results from what
    --state holds.
    """
    from secgen_dsl.cli.field import Field, run_field, write_finished

    def say(line: str) -> None:
        click.echo(line, err=True)

    field = Field(
        bundle=bundle,
        name=name,
        consortium=consortium,
        keys=keys,
        site=site,
        state=state,
        out=out,
        proxy=proxy,
    )
    with _stopped_by_the_system():
        written = (write_finished if finished else run_field)(
            field, say if output == "full" or log_json else lambda _: None, log_json=log_json
        )
    if output != "full":
        files = [str(out / file) for file in written.files]
        succeed(output, written.warnings, written.receipt | {"written": files})
        return
    show(written.warnings)
    for file in written.files:
        click.echo(f"written  {out / file}")
    sys.stdout.flush()


@contextlib.contextmanager
def _stopped_by_the_system() -> Iterator[None]:
    """SIGTERM, with which systemd and others end a service, does what Ctrl-C does."""

    def stop(number: int, _: object) -> NoReturn:
        raise KeyboardInterrupt(signal.Signals(number).name)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
