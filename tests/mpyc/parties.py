"""A party's configuration, and the party itself in this process, for tests of single steps."""

import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from secgen_dsl.backends.mpyc.local import LocalConsortium, local_consortium
from secgen_dsl.backends.mpyc.messages import PartyConfig
from secgen_dsl.backends.mpyc.party import Party
from secgen_dsl.backends.mpyc.process import endpoint_of
from secgen_dsl.backends.mpyc.sharing import start_mpyc
from secgen_dsl.ir.base import canonical_json, sha256_of
from secgen_dsl.ir.plan import Plan
from secgen_dsl.queries.table import SampleTable, empty_table
from secgen_dsl.runtime.evidence.transcript import Transcript
from secgen_dsl.runtime.ledger import Debit
from secgen_dsl.runtime.noise import NoiseSource
from secgen_dsl.runtime.store import ContributionStore

STUDY = "5" * 64


def consortium_of(plan: Plan, folder: Path) -> LocalConsortium:
    """Fresh keys of all parties, in a folder that is made."""
    folder.mkdir(parents=True)
    return local_consortium(plan.parties, folder)


def config_of(
    plan: Plan,
    consortium: LocalConsortium,
    index: int = 0,
    ports: Sequence[int] = (),
    **changes: Any,
) -> PartyConfig:
    """What a launcher would give a party; by default one that nobody can reach."""
    facts = {
        "format": "secgen.party/2",
        "index": index,
        "plan": canonical_json(plan).decode(),
        "study_sha256": STUDY,
        "program": "",
        "source_lines": {},
        "data_file": None,
        "state": "",
        "entries": consortium.entries(ports or [1] * len(plan.parties)),
        "key": str(consortium.keys[index]),
        "certificate": str(consortium.certificates[index]),
        "listener": None,
        "relay": "",
        "proxy": "",
        "approvals": (),
        "connect_timeout": 1.0,
        "timeout": 1.0,
        "preparation": 0.0,
    }
    return PartyConfig(**{**facts, **changes})


def party_of(
    config: PartyConfig,
    plan: Plan,
    folder: Path,
    store: ContributionStore,
    noise: NoiseSource,
    debit: Debit | None,
    table: SampleTable | None = None,
    listener: socket.socket | None = None,
    kind: type[Party] = Party,
) -> Party:
    """The real party, in this process; its transcript lies in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{config.index}-{len(list(folder.iterdir()))}.jsonl"
    return kind(
        config,
        plan,
        table=empty_table(plan.program) if table is None else table,
        noise=noise,
        store=store,
        debit=debit,
        mpc=start_mpyc(config.index, len(plan.parties), plan.threshold),
        endpoint=endpoint_of(config, sha256_of(plan)),
        transcript=Transcript(path, {}),
        listener=listener,
        report=lambda phase, status: None,
        started=time.monotonic(),
    )
