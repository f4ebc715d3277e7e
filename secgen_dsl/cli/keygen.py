"""`secgen keygen`: the two keys of a party, its certificate, and what the others need of it."""

import os
import shutil
import tempfile
from pathlib import Path

import click

from secgen_dsl.cli.report import Format, command, format_option, succeed
from secgen_dsl.diagnostics.diagnostic import fail

OFFICER_KEY, MACHINE_KEY = "officer.key", "machine.key"
CERTIFICATE, PARTY = "machine.crt", "party.toml"


def host_and_port(ctx: click.Context, param: click.Parameter, value: str) -> str:
    """Checks an option that takes HOST:PORT; empty if it was not given."""
    from secgen_dsl.runtime.trust.consortium import read_address

    try:
        return str(read_address(value)) if value else ""
    except ValueError as error:
        raise click.BadParameter(
            f"{value!r} is not HOST:PORT, for example north.example.org:7443 or [2001:db8::1]:7443",
            ctx,
            param,
        ) from error


def _party_name(ctx: click.Context, param: click.Parameter, value: str) -> str:
    from secgen_dsl.ir.program import PARTY_NAME

    if not PARTY_NAME.fullmatch(value):
        raise click.BadParameter(
            "the name of a party has letters, digits, - and _ only, at most 40; as in the spec",
            ctx,
            param,
        )
    return value


def _officer(ctx: click.Context, param: click.Parameter, value: str) -> str:
    from secgen_dsl.runtime.trust.identity import is_safe

    if value and not is_safe(value):
        raise click.BadParameter(
            "an officer's public key is ed25519: and 64 hex digits, as in party.toml", ctx, param
        )
    return value


@click.command()
@click.option(
    "--party", required=True, metavar="NAME", callback=_party_name, help="Its name in the spec."
)
@click.option(
    "--address",
    default="",
    metavar="HOST:PORT",
    callback=host_and_port,
    help="Where the others reach it.  Without: nowhere; it dials them, or they meet at a relay.",
)
@click.option(
    "--listen",
    default="",
    metavar="HOST:PORT",
    callback=host_and_port,
    help="Where it listens, if that is another address.",
)
@click.option(
    "--officer",
    default="",
    metavar="PUBLIC",
    callback=_officer,
    help="The officer's public key, as an earlier party.toml has it: makes no new one.  For a "
    "machine whose key or certificate is to be replaced.",
)
@click.option(
    "--days",
    type=click.IntRange(1, 3650),
    default=730,
    show_default=True,
    help="Validity of the certificate.",
)
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, help="New folder.")
@format_option
@command
def keygen(
    party: str,
    address: str,
    listen: str,
    officer: str,
    days: int,
    out: Path,
    output: Format,
) -> None:
    """Make the keys of a party, once, at its site.

    The folder holds an officer's key, which signs approvals; a machine's key with its certificate,
    by which the other parties know the machine; and party.toml, which goes to them.
    """
    from secgen_dsl.runtime.trust.consortium import PartyEntry, party_text, roster_sha256
    from secgen_dsl.runtime.trust.identity import new_certificate, new_signer

    _require_absent(out)
    machine = new_signer()
    private = {MACHINE_KEY: machine.pem()}
    if not officer:
        signer = new_signer()
        officer, private[OFFICER_KEY] = signer.public, signer.pem()
    host = address.rpartition(":")[0].strip("[]") or None
    certificate = new_certificate(machine, party, host, days)
    entry = PartyEntry(
        name=party,
        address=address,
        listen=listen,
        fingerprint=certificate.fingerprint,
        certificate=certificate.pem,
        officer=officer,
    )
    public = {CERTIFICATE: certificate.pem, PARTY: party_text(entry)}
    _write(out, private, {name: text.encode() for name, text in public.items()})
    compare = roster_sha256([entry])
    until = certificate.not_after.date().isoformat()
    if output != "full":
        data: dict[str, object] = {
            "folder": str(out),
            "party": party,
            "fingerprint": certificate.fingerprint,
            "officer": officer,
            "not_after": until,
            "compare": compare,
        }
        succeed(output, (), data)
        return
    click.echo(
        f"made         {out}\n"
        f"{PARTY:<13}send it to whoever puts consortium.toml together; it holds no secret\n"
        f"{CERTIFICATE:<13}the certificate of {party}'s machine, until {until}; no secret\n"
        f"{MACHINE_KEY:<13}secret: for the machine that runs {party}, and nobody else\n"
        + (
            f"{OFFICER_KEY:<13}secret: signs approvals; move it to the officer's own computer\n"
            if OFFICER_KEY in private
            else ""
        )
        + f"fingerprint  {certificate.fingerprint}\n"
        f"officer      {officer}\n"
        f"compare      {compare}\n"
        "             by telephone, with what the others see for this party (secgen consortium)"
    )


def _require_absent(out: Path) -> None:
    if os.path.lexists(out):
        raise fail(
            "SG706",
            "the folder exists already; keys are never overwritten",
            place=str(out),
            next_step="give the name of a new folder with -o",
        )


def _write(out: Path, private: dict[str, bytes], public: dict[str, bytes]) -> None:
    """Write all files into a folder beside, which then takes its name: all of them or none."""
    from secgen_dsl.backends.bundle import cannot_write
    from secgen_dsl.runtime.trust.identity import write_private

    temporary = None
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=out.parent, prefix=".secgen."))  # mode 0700
        for name, data in private.items():
            write_private(temporary / name, data)
        for name, data in public.items():
            write_private(temporary / name, data)
            (temporary / name).chmod(0o644)
        _require_absent(out)
        temporary.rename(out)
    except OSError as error:
        raise cannot_write(out, error) from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
