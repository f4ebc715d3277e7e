"""What evidence must not hold, in a real run whose secrets are known; and reading transcripts."""

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from secgen_dsl.diagnostics.diagnostic import SecgenError
from secgen_dsl.ir.plan import MERSENNE_61
from secgen_dsl.runtime.evidence.transcript import Frame, Transcript, read_transcript
from secgen_dsl.runtime.network.frames import SALT_BYTES, Kind
from secgen_dsl.runtime.store import digest_of_opened
from tests.field import FieldRun, secrets_of

_HEX = re.compile(rb"[0-9a-f]{32,}")


def encodings(values: list[int]) -> Iterator[bytes]:
    """Ways in which somebody might have written integers before hashing them."""
    array = np.array(values, dtype=np.int64)
    yield array.tobytes()
    yield array.astype(">i8").tobytes()
    yield (array.astype(object) % MERSENNE_61).astype(np.uint64).tobytes()
    yield array.astype(np.int32).tobytes()
    for separators in ((",", ":"), (", ", ": ")):
        yield json.dumps(values, separators=separators).encode()
    yield str(values).encode()
    yield repr(tuple(values)).encode()


def forbidden(field_run: FieldRun) -> dict[str, str]:
    """Digest → what it is of: x, z and y of each site, single and whole, and frames unsalted."""
    found: dict[str, str] = {}
    for party, secrets in secrets_of(field_run.field).items():
        for name in ("x", "z", "y"):
            whole = [value for one in secrets[name].values() for value in one]
            for values in [*secrets[name].values(), whole]:
                about = f"{name} of {party}"
                found |= {hashlib.sha256(data).hexdigest(): about for data in encodings(values)}
                found[digest_of_opened([np.array(values, dtype=np.int64)])] = about
        for _, elements in secrets["frames"].values():
            data = bytes.fromhex(str(elements))
            found[hashlib.sha256(data).hexdigest()] = f"a frame of {party} without its salt"
    return found


def evidence(field_run: FieldRun) -> Iterator[tuple[Path, bytes]]:
    for sites in (field_run.complete, field_run.stopped):
        for folder in sites.values():
            for path in folder.rglob("*"):
                if path.is_file():
                    yield path, path.read_bytes()


def test_no_file_holds_a_digest_that_the_protocol_forbids(field_run: FieldRun) -> None:
    digests = {bytes.fromhex(digest): about for digest, about in forbidden(field_run).items()}
    assert len(digests) > 50
    for path, data in evidence(field_run):
        held = {bytes.fromhex(m.decode()) for m in re.findall(rb"[0-9a-f]{64}", data)}
        # A signature or hello is longer: every window of 64 digits is looked at.
        for run in _HEX.findall(data):
            held |= {bytes.fromhex(run[at : at + 64].decode()) for at in range(0, len(run) - 63, 2)}
        assert [digests[one] for one in held & digests.keys()] == [], path


def test_no_file_holds_a_salt_a_share_or_a_single_sites_values(field_run: FieldRun) -> None:
    parts: set[bytes] = set()
    for secrets in secrets_of(field_run.field).values():
        for salt, elements in secrets["frames"].values():
            parts |= {str(salt).encode(), str(elements)[:32].encode()}
        for name in ("x", "z", "y"):
            for values in secrets[name].values():
                if len(values) > 4 and any(values):
                    parts |= {text.encode() for text in (str(values)[1:-1], json.dumps(values))}
                    parts.add(",".join(map(str, values)).encode())
                    parts.add(",\n".join(f"    {value}" for value in values).encode())
    for path, data in evidence(field_run):
        assert [part for part in parts if part in data] == [], path


def test_every_hex_text_of_a_transcript_is_one_that_belongs_there(field_run: FieldRun) -> None:
    """Hashes of plan, study and roster, salted digests of frames, public hellos, the session."""
    salted = {
        digest: f"{salt}{elements}"
        for secrets in secrets_of(field_run.field).values()
        for digest, (salt, elements) in secrets["frames"].items()
    }
    salts = [text[: 2 * SALT_BYTES] for text in salted.values()]
    assert len(set(salts)) == len(salts)
    for name, folder in field_run.complete.items():
        head, lines = read_transcript((folder / "transcript.jsonl").read_bytes())
        allowed = {head.plan_sha256, head.study_sha256, head.roster_sha256}
        keys: set[str] = set()
        shares = 0
        for line in lines:
            keys |= set(line.model_dump())
            if isinstance(line, Frame):
                allowed.add(line.sha256)
                if line.kind in ("share", "opening") and line.way == "sent":
                    shares += 1
            else:
                allowed |= {str(getattr(line, key, "")) for key in ("hello", "session")}
        assert shares == 4, name
        assert keys <= {
            "time", "way", "peer", "kind", "round", "sequence", "bytes", "sha256", "event",
            "hello", "session", "outcome",
        }  # fmt: skip
        text = (folder / "transcript.jsonl").read_text()
        assert set(re.findall("[0-9a-f]{32,}", text)) <= allowed
        for line in lines:
            if isinstance(line, Frame) and line.kind in ("share", "opening"):
                assert line.sha256 in salted, name
                payload = bytes.fromhex(salted[line.sha256])
                assert len(payload) == line.bytes
                assert hashlib.sha256(payload).hexdigest() == line.sha256


def test_what_is_written_is_read(tmp_path: Path) -> None:
    head = {
        "plan_sha256": "a" * 64, "study_sha256": "b" * 64, "roster_sha256": "c" * 64,
        "party": "nörth", "parties": ["nörth", "south"], "secgen": "1",
    }  # fmt: skip
    with Transcript(tmp_path / "t.jsonl", head) as transcript:
        transcript.frame("sent", "south", Kind.SHARE, 1, 2, b"salted")
        transcript.event("hello to", peer="south", hello="00ff")
        transcript.event("session", session="0" * 32)
        transcript.event("end", outcome="SG505")
        digest = transcript.sha256
    data = (tmp_path / "t.jsonl").read_bytes()
    assert hashlib.sha256(data).hexdigest() == digest
    read, lines = read_transcript(data)
    assert (read.party, len(lines)) == ("nörth", 4)
    with pytest.raises(SecgenError, match="SG512"):
        Transcript(tmp_path / "t.jsonl", head)
    for changed in (
        data[:-1], data + b"\n", data.replace(b'"bytes":6', b'"bytes": 6'), b"",
        data.replace(b'"bytes":6', b'"bytes":"6"'), data.replace(b'"SG505"', b'"fine"'),
        data.replace(b'"way":"sent"', b'"way":"sent","value":3'), data.replace(b"{", b"[", 1),
        data.replace(b'"round":1', b'"round":1,"round":1'), b"[" * 100_000 + b"\n",
    ):  # fmt: skip
        with pytest.raises(ValueError, match="line"):
            read_transcript(changed)
