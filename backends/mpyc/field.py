"""Runs one party of a consortium on this machine, as a process of its own, and watches it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from secgen_dsl.backends.mpyc.messages import PartyConfig, PartyResult
from secgen_dsl.backends.mpyc.supervision import (
    PARTY_COMMAND,
    OnProgress,
    Supervisor,
    private_folder,
)
from secgen_dsl.diagnostics.diagnostic import fail
from secgen_dsl.ir.base import canonical_json
from secgen_dsl.ir.plan import Plan
from secgen_dsl.runtime.trust.consortium import Consortium
from secgen_dsl.runtime.trust.identity import Certificate, read_certificate, read_signer

_PREPARATION_SECONDS = 86_400.0
"""How long a site may work on its rows before it counts as hung."""


@dataclass(frozen=True)
class Machine:
    """What identifies this machine: the files that `secgen keygen` wrote here.

    Attributes:
        key: of the private key.
        certificate: of the certificate.
    """

    key: Path
    certificate: Path


def machine_of(folder: Path, name: str, consortium: Consortium) -> Machine:
    """The machine's key and certificate, compared with what the consortium knows of the party.

    Raises:
        SecgenError: SG522 they cannot be used together; SG525 the consortium knows others.
    """
    machine = Machine(folder / "machine.key", folder / "machine.crt")
    signer = read_signer(machine.key)
    shown = _certificate(machine.certificate)
    if shown.public != signer.public:
        raise fail(
            "SG522",
            "the machine's key and certificate do not belong together",
            place=str(folder),
            next_step="give the folder that one `secgen keygen` made",
        )
    entry = consortium.entry(name)
    if entry.fingerprint != shown.fingerprint:
        raise fail(
            "SG525",
            f"this machine's certificate {shown.fingerprint} is not the one that the consortium "
            f"has for {name}, {entry.fingerprint}",
            place=str(machine.certificate),
            next_step="give --keys the folder of this party's keys, or send its party.toml to "
            "the others for a new consortium.toml",
        )
    return machine


def run_own_party(
    plan: Plan,
    program_text: str,
    source_lines: Mapping[str, str],
    study_sha256: str,
    *,
    name: str,
    consortium: Consortium,
    machine: Machine,
    data_file: Path | None,
    state: Path,
    approvals: Sequence[str],
    proxy: str | None,
    on_progress: OnProgress,
    party_command: Sequence[str] = PARTY_COMMAND,
) -> PartyResult:
    """Run one party of a plan; the others run at their own sites.

    Args:
        plan: verified by the party's process again.
        program_text: the bundle's program, which the process compares with its own.
        source_lines: marginal id → place of its statement, as given to ``generate_program``.
        study_sha256: hash of the study's prose.
        name: of the party.
        consortium: of whom its plan's parties are members.
        machine: this machine's identity.
        data_file: the site's table or site.toml; None for a helper.
        state: folder of this site's private folders, one for each name.
        approvals: SHA-256 of the approvals that were checked.
        proxy: URL of the HTTP proxy on the way to the relay; None: none.
        on_progress: called from this thread as the party goes on.
        party_command: how to start a party; tests bring their own.

    Raises:
        SecgenError: SG508 the process died or hung; SG521; or whatever the party reports.
    """
    timeouts = consortium.timeouts
    config = PartyConfig(
        format="secgen.party/2",
        index=plan.parties.index(name),
        plan=canonical_json(plan).decode(),
        study_sha256=study_sha256,
        program=program_text,
        source_lines=dict(source_lines),
        data_file=None if data_file is None else str(data_file.absolute()),
        state=str(private_folder(state, name)),
        entries=consortium.of_plan(plan.parties),
        key=str(machine.key.absolute()),
        certificate=str(machine.certificate.absolute()),
        listener=None,
        relay="" if consortium.relay is None else consortium.relay.address,
        proxy=proxy or "",
        approvals=tuple(approvals),
        connect_timeout=timeouts.connect,
        timeout=timeouts.message,
        preparation=timeouts.preparation,
    )
    longest = max(one_round.delay for one_round in plan.rounds)
    silence = _PREPARATION_SECONDS + timeouts.connect + timeouts.message + longest
    with Supervisor(on_progress, party_command) as processes:
        processes.start(name, config)
        results, _ = processes.results(silence)
    return results[name]


def _certificate(path: Path) -> Certificate:
    try:
        return read_certificate(path.read_text(encoding="ascii"))
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or "it is none"
        raise fail(
            "SG522",
            f"the machine's certificate cannot be used: {reason}",
            place=str(path),
            next_step="give the folder that `secgen keygen` made, with machine.key and machine.crt",
        ) from error
