"""`secgen run`: all parties on this machine, then synthetic data and a receipt."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from secgen_dsl.cli.distance import distance_options
from secgen_dsl.cli.report import Format, command, format_option, show, succeed

if TYPE_CHECKING:
    from secgen_dsl.runtime.network.distance import Distance


def _data_file(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for value in values:
        name, sign, path = value.partition("=")
        if not sign or not name or not path:
            raise click.BadParameter(f"{value!r} is not SILO=FILE")
        if name in files:
            raise click.BadParameter(f"{name} is given twice")
        files[name] = Path(path)
    return files


@click.command()
@click.argument("spec", type=click.Path(path_type=Path))
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), required=True, help="Results' folder."
)
@click.option(
    "--backend",
    type=click.Choice(["mpyc", "plaintext"]),
    default="mpyc",
    show_default=True,
    help="mpyc: one process a party, shares between them.  plaintext: one process that sees all.",
)
@click.option(
    "--data",
    multiple=True,
    callback=_data_file,
    metavar="SILO=FILE",
    help="A silo's table; instead of the spec's `simulate`.",
)
@click.option(
    "--mock",
    type=click.IntRange(1, 10_000),
    metavar="N",
    help="Rehearse on N invented rows in every silo: nobody's data are read.",
)
@click.option(
    "--state",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder of the parties' private folders and ledgers, for several runs.  "
    "Default: `parties` in the results' folder, a ledger for this run alone.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    help="Makes the samples (and invented rows) reproducible; never touches the noise.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(1, 86_400),
    default=60.0,
    show_default=True,
    help="Seconds that a party waits for another one.",
)
@distance_options
@format_option
@command
def run(
    spec: Path,
    out: Path,
    backend: Literal["mpyc", "plaintext"],
    data: dict[str, Path],
    mock: int | None,
    state: Path | None,
    seed: int | None,
    timeout: float,
    distance: "Distance | None",
    output: Format,
) -> None:
    """Run SPEC (or a bundle) with all parties on this machine."""
    if mock is not None and data:
        raise click.UsageError(
            "--mock and --data exclude each other: a rehearsal reads nobody's data."
        )
    if mock is not None and state is not None:
        raise click.UsageError(
            "--mock and --state exclude each other: a rehearsal spends nothing and keeps nothing."
        )
    if distance is not None and backend == "plaintext":
        raise click.UsageError(
            "--latency and --bandwidth are about messages: --backend plaintext sends none."
        )
    from secgen_dsl.cli.execution import execute
    from secgen_dsl.cli.rehearsal import rehearse
    from secgen_dsl.cli.study import plan_of

    planned = plan_of(spec)
    if output == "full":
        show(planned.warnings)

    def say(line: str) -> None:
        if output == "full":
            click.echo(line, err=True)

    if mock is None:
        finished = execute(planned, backend, data, out, state, seed, timeout, distance, say)
    else:
        finished = rehearse(planned, backend, mock, out, seed, timeout, distance, say)
    if output != "full":
        written = [str(out / name) for name in finished.files]
        succeed(
            output, (*planned.warnings, *finished.warnings), finished.receipt | {"written": written}
        )
        return
    show(finished.warnings)
    if mock is not None:
        click.echo("INVENTED: a rehearsal; these results say nothing about anybody")
    click.echo(f"plan     {planned.verified.plan_sha256}")
    for name in finished.files:
        click.echo(f"written  {out / name}")
    sys.stdout.flush()
