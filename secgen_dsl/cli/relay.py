"""`secgen relay`: where parties meet that no connection reaches from outside."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from secgen_dsl.cli.between_sites import consortium_option
from secgen_dsl.cli.report import command

if TYPE_CHECKING:
    import socket

    from secgen_dsl.runtime.network.relay import RelayServer
    from secgen_dsl.runtime.trust.consortium import Address


def _address(_: click.Context, __: click.Parameter, value: str) -> "Address":
    from secgen_dsl.runtime.trust.consortium import read_address

    try:
        return read_address(value)
    except ValueError as error:
        raise click.BadParameter(f"{error}, for example 0.0.0.0:443") from error


@click.command()
@consortium_option("The consortium.toml: its parties are admitted, and nobody else.")
@click.option(
    "--listen",
    required=True,
    callback=_address,
    metavar="HOST:PORT",
    help="Address of this machine that parties connect to.",
)
@click.option(
    "--idle",
    type=click.FloatRange(1, 86_400),
    default=3600.0,
    show_default=True,
    help="Seconds that a party may wait for another one, and that a pair may be silent.",
)
@click.option("--log-json", is_flag=True, help="Print a JSON object a line.")
@command
def relay(consortium: Path, listen: "Address", idle: float, log_json: bool) -> None:
    """Let parties meet that cannot be dialled: both connect to here, outbound.

    Their bytes are passed on as they are, in TLS that only the parties can open. Names of parties,
    sizes and times are printed, and whom it refuses and why, until the command is stopped.
    """
    import asyncio

    from secgen_dsl.runtime.network.relay import Event, Limits, RelayServer, listening
    from secgen_dsl.runtime.trust.consortium import read_consortium

    def say(event: Event) -> None:
        _print(event.as_json() if log_json else event.as_text())

    server = RelayServer(read_consortium(consortium).party, say, Limits(idle=idle))
    with listening(listen) as listener:
        _print({"event": "listens", "address": str(listen)} if log_json else f"listens on {listen}")
        asyncio.run(_serve(server, listener))
    _print({"event": "stopped"} if log_json else "stopped")


async def _serve(server: "RelayServer", listener: "socket.socket") -> None:
    """Until a signal stops it."""
    import asyncio
    import signal

    serving = asyncio.ensure_future(server.serve(listener))
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, serving.cancel)
    await asyncio.wait([serving])
    if not serving.cancelled():
        serving.result()


def _print(what: str | dict[str, object]) -> None:
    """One line, with the time."""
    time = datetime.now(UTC).isoformat(timespec="seconds")
    if isinstance(what, str):
        click.echo(f"{time}  {what}")
    else:
        click.echo(json.dumps({"time": time} | what, ensure_ascii=False))
