"""Runs all parties of a plan on this machine, as processes of their own, with keys of their own."""

import contextlib
import socket
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from secgen_dsl.backends.mpyc.cost import predicted_rounds
from secgen_dsl.backends.mpyc.local import local_consortium
from secgen_dsl.backends.mpyc.messages import PartyConfig, PartyResult
from secgen_dsl.backends.mpyc.supervision import (
    PARTY_COMMAND,
    OnProgress,
    Supervisor,
    private_folder,
)
from secgen_dsl.diagnostics.diagnostic import fail, nearest
from secgen_dsl.ir.base import canonical_json
from secgen_dsl.ir.plan import Measurements, Plan
from secgen_dsl.runtime.network.distance import Distance, SimulatedDistance


@dataclass(frozen=True)
class ProtocolResult:
    """A finished run.

    Attributes:
        measurements: the opened values, equal at all parties.
        bytes_sent: party → bytes sent to all its peers.
        debits: silo → hash of the entry of its ledger that paid.
        seconds: wall time from starting the processes to the last result.
        exchange_seconds: of these, from the moment when the last party was ready to connect.
        rounds: rounds of communication.
        receipts: party → the signed receipt in its private folder; its transcript is beside it.
    """

    measurements: Measurements
    bytes_sent: dict[str, int]
    debits: dict[str, str]
    seconds: float
    exchange_seconds: float
    rounds: int
    receipts: dict[str, Path]


def run_protocol(
    plan: Plan,
    program_text: str,
    source_lines: Mapping[str, str],
    study_sha256: str,
    data_files: Mapping[str, Path],
    state: Path,
    *,
    on_progress: OnProgress,
    timeout: float,
    distance: Distance | None = None,
    party_command: Sequence[str] = PARTY_COMMAND,
) -> ProtocolResult:
    """Run a plan with all its parties on this machine.

    Args:
        plan: verified by each party before it touches data.
        program_text: the bundle's generated program, which each party compares with its own.
        source_lines: marginal id → place of its statement, as given to ``generate_program``.
        study_sha256: hash of the study's prose.
        data_files: silo → its table or site.toml; helpers have none.
        state: folder of the parties' private folders; kept, so that a restart finds what was
            stored.
        on_progress: called from this thread for each phase of each party.
        timeout: seconds > 0 that a party waits for another one.
        distance: as if the parties were so far from each other; None: as they are.
        party_command: how to start a party; tests bring their own.

    Raises:
        SecgenError: SG517 the data files are not those of the plan's silos; SG508 a party died or
            hung; SG509 the parties opened different values; or whatever a party reports.
    """
    _check_data_files(plan, data_files)
    start = time.monotonic()
    listeners = [_listener(len(plan.parties)) for _ in plan.parties]
    ports = [listener.getsockname()[1] for listener in listeners]
    with contextlib.ExitStack() as stack:
        keys = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="secgen-keys-")))
        consortium = local_consortium(plan.parties, keys)
        for listener in listeners:
            stack.callback(listener.close)
        far = None
        if distance is not None:
            far = stack.enter_context(SimulatedDistance(ports, distance))
        parties = stack.enter_context(Supervisor(on_progress, party_command))
        for index, name in enumerate(plan.parties):
            data_file = data_files.get(name)
            config = PartyConfig(
                format="secgen.party/2",
                index=index,
                plan=canonical_json(plan).decode(),
                study_sha256=study_sha256,
                program=program_text,
                source_lines=dict(source_lines),
                data_file=None if data_file is None else str(data_file.absolute()),
                state=str(private_folder(state, name)),
                entries=consortium.entries(ports if far is None else far.ports_for(index)),
                key=str(consortium.keys[index]),
                certificate=str(consortium.certificates[index]),
                listener=listeners[index].fileno(),
                relay="",
                proxy="",
                approvals=(),
                connect_timeout=timeout,
                timeout=timeout,
                preparation=0.0,
            )
            parties.start(name, config)
            listeners[index].close()  # else peers could reach a port whose party is gone
        # Before the shares of a later round all parties are silent for as long as the plan says.
        longest = max(one_round.delay for one_round in plan.rounds)
        results, ready = parties.results(timeout + longest)
    now = time.monotonic()
    return _agree(plan, results, seconds=now - start, exchange_seconds=now - ready)


def _check_data_files(plan: Plan, data_files: Mapping[str, Path]) -> None:
    silos = [silo.name for silo in plan.program.silos]
    for name in data_files:
        if name not in silos:
            raise fail(
                "SG517",
                f"a data file was given for {name!r}, which is no silo of this study",
                place="data files",
                next_step=nearest(name, silos) or f"the silos are {', '.join(silos)}",
            )
    missing = [name for name in silos if name not in data_files]
    if missing:
        raise fail(
            "SG517",
            f"no data file was given for {', '.join(missing)}",
            place="data files",
            next_step="give each silo its own table: --data SILO=FILE",
        )


def _listener(backlog: int) -> socket.socket:
    """A listening socket of this machine alone, on a port that the system chose."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.bind(("127.0.0.1", 0))
        listener.listen(backlog)
    except OSError as error:
        listener.close()
        raise fail(
            "SG501",
            "no port of 127.0.0.1 can be opened for the parties",
            place="this machine",
            next_step="see that this machine allows local connections",
        ) from error
    return listener


def _agree(
    plan: Plan, results: Mapping[str, PartyResult], *, seconds: float, exchange_seconds: float
) -> ProtocolResult:
    measurements = {result.measurements for result in results.values()}
    if len(results) != len(plan.parties) or len(measurements) != 1:
        raise fail(
            "SG509",
            "the parties do not agree on the opened values, so none are used",
            place="all parties",
            next_step="report this: a party that runs unmodified secgen cannot differ",
        )
    return ProtocolResult(
        measurements=measurements.pop(),
        bytes_sent={name: result.bytes_sent for name, result in results.items()},
        debits={name: result.debit for name, result in results.items() if result.debit},
        seconds=seconds,
        exchange_seconds=exchange_seconds,
        rounds=predicted_rounds(plan),
        receipts={name: Path(result.receipt) for name, result in results.items()},
    )
