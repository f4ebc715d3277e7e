"""A run between sites as `secgen party` makes one: own keys, approvals, folders to audit."""

import json
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from secgen_dsl.backends.bundle import Bundle, pretty_json
from secgen_dsl.backends.mpyc.evidence import sign_results
from secgen_dsl.backends.mpyc.local import local_consortium
from secgen_dsl.backends.mpyc.messages import PartyConfig
from secgen_dsl.cli.bundling import bundle_of
from secgen_dsl.cli.results import Protocol, common_seed, write_results
from secgen_dsl.cli.study import PlannedStudy
from secgen_dsl.ir.base import canonical_json, read_node, sha256_of
from secgen_dsl.ir.plan import Measurements
from secgen_dsl.runtime.evidence.receipt import PartyReceipt
from secgen_dsl.runtime.trust.approvals import Approval, approval_path, sign_approval
from secgen_dsl.runtime.trust.consortium import PartyEntry, Timeouts, consortium_text
from secgen_dsl.runtime.trust.identity import new_signer, read_signer

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Field:
    """Sites, each with a state folder.

    Attributes:
        entries: of all parties, in the plan's order.
        keys: files of their machines' keys.
        approvals: of all parties' officers; their files lie in ``folder``.
    """

    planned: PlannedStudy
    bundle: Bundle
    folder: Path
    entries: tuple[PartyEntry, ...]
    keys: tuple[Path, ...]
    certificates: tuple[Path, ...]
    approvals: tuple[Approval, ...]

    @property
    def parties(self) -> tuple[str, ...]:
        return self.planned.plan.parties

    @property
    def consortium(self) -> Path:
        return self.folder / "consortium.toml"

    def state(self, name: str) -> Path:
        """A site's private folder."""
        return self.folder / "sites" / f"{name}-0"

    def run(self, behaviour: str = "injected") -> dict[str, Path]:
        """Run all parties as processes; each one's folder of what the run left."""
        processes = [self._start(index, name, behaviour) for index, name in enumerate(self.parties)]
        for process in processes:
            assert process.stdout is not None
            process.stdout.read()
            assert process.stdin is not None
            process.stdin.close()
            process.stdout.close()
            process.wait()
        return {name: max((self.state(name) / "runs").iterdir()) for name in self.parties}

    def results(self, name: str, evidence: Path, out: Path) -> Path:
        """What `secgen party` leaves in its --out folder."""
        receipt = read_node(PartyReceipt, (evidence / "party-receipt.json").read_bytes())
        if receipt.outcome != "complete":
            shutil.copytree(evidence, out)
        else:
            measured = read_node(Measurements, (evidence / "measurements.json").read_bytes())
            debits = {name: receipt.ledger_entry} if receipt.ledger_entry else {}
            protocol = Protocol("mpyc", measured, {name: receipt.bytes_sent}, 5, debits)
            write_results(self.planned, self.bundle, protocol, common_seed(measured), out)
            for path in evidence.iterdir():
                shutil.copyfile(path, out / path.name)
        (out / "study.json").write_bytes(pretty_json(self.planned.study))
        shutil.copyfile(self.consortium, out / "consortium.toml")
        shutil.copytree(self.folder / "approvals", out / "approvals")
        if (out / "receipt.json").exists():
            sign_results(out, read_signer(self.keys[self.parties.index(name)]))
        return out

    def _start(self, index: int, name: str, behaviour: str) -> "subprocess.Popen[bytes]":
        data = self.planned.simulate.get(name)
        config = PartyConfig(
            format="secgen.party/2",
            index=index,
            plan=canonical_json(self.planned.plan).decode(),
            study_sha256=sha256_of(self.planned.study),
            program=self.bundle.program_text,
            source_lines=self.planned.sources,
            data_file=None if data is None else str(data.absolute()),
            state=str(self.state(name)),
            entries=self.entries,
            key=str(self.keys[index]),
            certificate=str(self.certificates[index]),
            listener=None,
            relay="",
            proxy="",
            approvals=tuple(map(sha256_of, self.approvals)),
            connect_timeout=60.0,
            timeout=30.0,
            preparation=0.0,
        )
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.runtime.recording", behaviour],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
        )
        assert process.stdin is not None
        process.stdin.write(config.model_dump_json().encode() + b"\n")
        process.stdin.flush()
        return process


@dataclass(frozen=True)
class FieldRun:
    """What two runs left.

    Attributes:
        complete: party → its --out folder.
        stopped: the same of a later run, in which the second party changed its part of an opening.
    """

    field: Field
    complete: dict[str, Path]
    stopped: dict[str, Path]


def make_field(planned: PlannedStudy, folder: Path) -> Field:
    """Keys, certificates, consortium.toml and approvals of all parties of a study."""
    (folder / "keys").mkdir(parents=True)
    consortium = local_consortium(planned.plan.parties, folder / "keys")
    officers = tuple(new_signer() for _ in planned.plan.parties)
    consortium = replace(consortium, officers=tuple(one.public for one in officers))
    entries = consortium.entries([_free_port() for _ in planned.plan.parties])
    hashes = sha256_of(planned.plan), sha256_of(planned.study)
    approvals = tuple(
        sign_approval(signer, *hashes, name)
        for signer, name in zip(officers, planned.plan.parties, strict=True)
    )
    field = Field(
        planned, bundle_of(planned), folder, entries, consortium.keys, consortium.certificates,
        approvals,
    )  # fmt: skip
    text = consortium_text(entries, Timeouts(), None, field.consortium)
    field.consortium.write_text(text)
    for approval in approvals:
        path = approval_path(folder, approval.party)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(pretty_json(approval))
    return field


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def secrets_of(field: Field) -> dict[str, dict[str, dict[str, list[int]]]]:
    """Party → what ``tests.runtime.recording`` noted."""
    return {
        name: json.loads((field.state(name) / "secrets.json").read_text()) for name in field.parties
    }
