"""Whole runs over real processes: equal to the plain sum, and safe when something goes wrong."""

import importlib.util
import json
import marshal
import os
import re
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from secgen_dsl.backends.mpyc import supervision
from secgen_dsl.backends.mpyc.cost import predicted_bytes, predicted_rounds
from secgen_dsl.backends.mpyc.generate import generate_program
from secgen_dsl.backends.mpyc.launcher import ProtocolResult, run_protocol
from secgen_dsl.backends.mpyc.messages import Progress, read_line
from secgen_dsl.backends.plaintext.backend import read_tables, run_plaintext
from secgen_dsl.diagnostics.diagnostic import Diagnostic, SecgenError
from secgen_dsl.ir.plan import Measurements, Plan

from .entries import InjectedNoise
from .parties import STUDY, config_of, consortium_of
from .plans import LINES, plan_five, plan_three, plan_three_in_two_rounds, write_table

ROOT = Path(__file__).parents[2]


@dataclass
class Run:
    """A plan with invented people, and what its last run said."""

    plan: Plan
    folder: Path
    files: dict[str, Path]
    lines: dict[str, str] = field(default_factory=lambda: LINES)
    progress: list[Progress] = field(default_factory=list)

    def start(self, behaviour: str, timeout: float = 30) -> ProtocolResult:
        self.progress = []
        return run_protocol(
            self.plan,
            generate_program(self.plan, self.lines),
            self.lines,
            STUDY,
            self.files,
            self.folder / "state",
            on_progress=self.progress.append,
            timeout=timeout,
            party_command=[sys.executable, "-m", "tests.mpyc.entries", behaviour],
        )

    def fails(self, behaviour: str, timeout: float = 30) -> Diagnostic:
        with pytest.raises(SecgenError) as caught:
            self.start(behaviour, timeout)
        return caught.value.diagnostics[0]

    def plain(self) -> Measurements:
        keys = dict.fromkeys(self.files, bytes(32))
        tables = read_tables(self.plan.program, self.files, keys)
        noise = {name: InjectedNoise(index) for index, name in enumerate(self.plan.parties)}
        return run_plaintext(self.plan, tables, noise)

    def folders(self) -> Sequence[Path]:
        return sorted((self.folder / "state").iterdir())

    def seen(self) -> list[tuple[str, str, int]]:
        """Everything of the progress lines but the times."""
        return sorted((line.party, line.phase, line.bytes) for line in self.progress)


def make(
    plan: Plan,
    folder: Path,
    people: Sequence[int] = (60, 40, 51, 33),
    lines: dict[str, str] = LINES,
) -> Run:
    files = {
        silo.name: write_table(folder / f"{silo.name}.csv", plan.program, count, seed=index)
        for index, (silo, count) in enumerate(zip(plan.program.silos, people, strict=False))
    }
    return Run(plan, folder, files, lines)


@pytest.fixture(autouse=True)
def in_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, ProtocolResult]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        run = make(plan_three(), tmp_path_factory.mktemp("three"))
        return run, run.start("injected")


Finished = tuple[Run, ProtocolResult]


def test_three_parties_open_the_plain_sum(finished: Finished) -> None:
    run, result = finished
    assert result.measurements == run.plain()
    assert set(result.bytes_sent.values()) == {predicted_bytes(run.plan)}
    assert result.rounds == predicted_rounds(run.plan) == 6


def test_five_parties_with_a_helper_and_two_rounds(tmp_path: Path) -> None:
    run = make(plan_five(), tmp_path)
    result = run.start("injected")
    assert result.measurements == run.plain()
    assert set(result.bytes_sent) == set(run.plan.parties)
    assert set(result.bytes_sent.values()) == {predicted_bytes(run.plan)}


def test_the_installed_party_draws_from_the_system_and_a_restart_does_not(tmp_path: Path) -> None:
    run = make(plan_three(), tmp_path)
    state = tmp_path / "state"

    def start() -> ProtocolResult:
        text = generate_program(run.plan, LINES)
        return run_protocol(
            run.plan, text, LINES, STUDY, run.files, state, on_progress=lambda _: None, timeout=60
        )

    first = start()
    assert first.measurements != run.plain()
    for path in run.files.values():
        write_table(path, run.plan.program, 5, seed=9)
    assert start().measurements == first.measurements


def test_private_state(finished: Finished) -> None:
    run, _ = finished
    for folder in run.folders():
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert {path.name for path in folder.iterdir()} == {
            "party.log",
            "program.py",
            "reading.json",
            "runs",
            "stderr.log",
            "store.sqlite",
        }
        (last,) = (folder / "runs").iterdir()
        assert {path.name for path in last.iterdir()} == {
            "consortium.json",
            "measurements.json",
            "party-receipt.json",
            "party_program.py",
            "plan.json",
            "sources.json",
            "transcript.jsonl",
        }
        for path in folder.rglob("*"):
            mode = 0o700 if path.is_dir() else 0o600
            assert stat.S_IMODE(path.stat().st_mode) == mode
        assert (folder / "program.py").read_text() == generate_program(run.plan, LINES)


def test_odd_data_change_neither_sizes_nor_messages(finished: Finished, tmp_path: Path) -> None:
    ordinary, _ = finished
    odd = make(ordinary.plan, tmp_path, people=(1, 0, 300))
    text = odd.files["europe"].read_text().splitlines()
    odd.files["europe"].write_text("\n".join([text[0], "p1,no such label" + ",NaN" * 6]) + "\n")
    result = odd.start("injected")
    assert odd.seen() == ordinary.seen()
    assert result.measurements == odd.plain()
    assert [len(m.values) for m in result.measurements.measurements] == [72, 4]


def test_a_wrong_share_of_the_sum_aborts_everyone(tmp_path: Path) -> None:
    run = make(plan_three(), tmp_path)
    found = run.fails("tamper")
    assert found.code == "SG505"
    assert "consistency check" in found.message
    assert not any(line.phase == "done" for line in run.progress)


def test_a_killed_party_is_named_and_a_restart_uses_what_was_stored(tmp_path: Path) -> None:
    run = make(plan_three_in_two_rounds(), tmp_path)
    found = run.fails("die")
    assert (found.code, found.place) == ("SG508", "northeast")
    assert "SIGKILL" in found.message
    log = re.search(r"see (\S+/party\.log) ", found.next_step)
    assert log is not None
    assert "storing" in Path(log[1]).read_text()
    assert "journalctl -k" in found.next_step
    assert "storing for round 1" in found.message
    stored = run.plain()
    for path in run.files.values():
        write_table(path, run.plan.program, 7, seed=99)
    again = run.start("injected").measurements
    # Round 1 was stored before anybody connected; round 2 was not, and is drawn from the new file.
    assert again.values("subtype") == stored.values("subtype")
    assert again.values("subtype*cycle") == run.plain().values("subtype*cycle")


def test_a_lost_store_is_no_second_spend(tmp_path: Path) -> None:
    run = make(plan_three_in_two_rounds(), tmp_path)
    first = run.start("injected").measurements
    store = run.folders()[0] / "store.sqlite"
    store.rename(tmp_path / "kept.sqlite")
    found = run.fails("injected", timeout=5)
    assert found.code == "SG518"
    assert not any("sharing" in line.phase for line in run.progress if line.party == "europe")
    assert run.fails("injected", timeout=5).code == "SG518"
    (tmp_path / "kept.sqlite").replace(store)
    assert run.start("injected").measurements == first


def test_a_run_that_fails_first_does_not_replace_a_lost_store(tmp_path: Path) -> None:
    run = make(plan_three(), tmp_path)
    run.start("injected")
    (run.folders()[0] / "store.sqlite").unlink()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(supervision, "_GRACE_SECONDS", 0.5)
        # It ends before it hears of an opening.
        assert run.fails("stall", timeout=1.5).code != "SG518"
    assert run.fails("injected", timeout=5).code == "SG518"


def test_a_store_lost_after_an_opening_that_a_colluder_withheld(tmp_path: Path) -> None:
    """Nobody honest saw the total, but the one who hung may know it: it counts as opened."""
    run = make(plan_three(), tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(supervision, "_GRACE_SECONDS", 0.5)
        run.fails("hang", timeout=2)
    (run.folders()[0] / "store.sqlite").unlink()
    assert run.fails("injected", timeout=5).code == "SG518"


def test_a_hung_party_is_named_and_nothing_is_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervision, "_GRACE_SECONDS", 0.5)
    run = make(plan_three(), tmp_path)
    start = time.monotonic()
    found = run.fails("hang", timeout=2)
    assert time.monotonic() - start < 25
    assert found.code == "SG504"
    assert "northeast did not answer" in found.message
    assert "opening round 1" in found.place
    assert children() == []


def test_a_fault_of_secgen_says_nothing_of_the_data(tmp_path: Path) -> None:
    code, lines = one_party(make(plan_three(), tmp_path), "break")
    assert code == 1
    assert [line["code"] for line in lines[-1]["failed"]] == ["SG516"]
    assert "BRCA1" not in json.dumps(lines)
    assert "BRCA1" in (tmp_path / "alone" / "party.log").read_text()


def test_a_changed_program_is_not_run(tmp_path: Path) -> None:
    run, marker = make(plan_three(), tmp_path), tmp_path / "ran"
    text = generate_program(run.plan, LINES) + f"\nopen({str(marker)!r}, 'w')\n"
    code, lines = one_party(run, "injected", program=text)
    assert (code, lines[-1]["failed"][0]["code"]) == (1, "SG510")
    assert not marker.exists()


def test_bytecode_in_the_state_folder_is_not_run(tmp_path: Path) -> None:
    run, marker = make(plan_three(), tmp_path), tmp_path / "ran"
    # Bytecode that says of itself that it need not be compared with its source (PEP 552).
    code = compile(f"open({str(marker)!r}, 'w')", "program.py", "exec")
    planted = importlib.util.MAGIC_NUMBER + b"\1\0\0\0" + bytes(8) + marshal.dumps(code)
    path = Path(importlib.util.cache_from_source(str(tmp_path / "alone" / "program.py")))
    path.parent.mkdir(parents=True)
    path.write_bytes(planted)
    _, lines = one_party(run, "break")
    assert lines[-1]["failed"][0]["code"] == "SG516"  # its own program ran, until it was broken
    assert not marker.exists()


def test_a_plan_that_does_not_verify_is_not_run(tmp_path: Path) -> None:
    plan = plan_three()
    first = plan.rounds[0].releases[0]
    weaker = first.model_copy(
        update={
            "noise": first.noise.model_copy(
                update={"party_variance": first.noise.party_variance / 2}
            )
        }
    )
    one = plan.rounds[0].model_copy(update={"releases": (weaker, plan.rounds[0].releases[1])})
    run = make(plan.model_copy(update={"rounds": (one,)}), tmp_path)
    code, lines = one_party(run, "injected")
    assert (code, lines[-1]["failed"][0]["code"]) == (1, "SG320")
    assert [line["phase"] for line in lines[:-1]] == ["verifying the plan"]


def test_a_party_whose_file_is_no_table(tmp_path: Path) -> None:
    run = make(plan_three(), tmp_path)
    run.files["europe"].unlink()
    code, lines = one_party(run, "injected")
    assert (code, lines[-1]["failed"][0]["code"]) == (1, "SG411")


@pytest.mark.parametrize("text", ["", "{}", '{"noise": "none"}', "\x00\xff"])
def test_a_configuration_that_is_none(text: str) -> None:
    command = [sys.executable, "-P", "-m", "secgen_dsl.backends.mpyc.party"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert json.loads(done.stdout)["failed"][0]["code"] == "SG515"
    assert done.stderr == ""


def test_a_party_does_not_outlive_its_launcher(tmp_path: Path) -> None:
    start = time.monotonic()
    code, lines = one_party(make(plan_three(), tmp_path), "injected", forsaken=True)
    assert code == 1
    assert not any("failed" in line for line in lines)
    assert time.monotonic() - start < 30


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ([sys.executable, "-c", "import time; time.sleep(99)"], "nothing was heard for"),
        ([sys.executable, "-c", "print('hello'); raise SystemExit(3)"], "exit code 3"),
        (["/no/such/program"], "cannot be started"),
    ],
)
def test_processes_that_are_no_parties(
    tmp_path: Path, command: list[str], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervision, "_START_SECONDS", 0.5)
    run = make(plan_three(), tmp_path)
    with pytest.raises(SecgenError, match=words) as caught:
        run_protocol(
            run.plan, "", {}, STUDY, run.files, tmp_path / "state",
            on_progress=lambda _: None, timeout=0.5, party_command=command,
        )  # fmt: skip
    assert caught.value.diagnostics[0].code == "SG508"
    assert children() == []


@pytest.mark.parametrize(
    "line",
    [b"\xff", b"null", b"[" * 100_000, b'{"failed":[]}', b'{"failed":[3]}', b'{"failed":3}',
     b'{"measurements":{},"bytes":1e400}',
     b'{"party":"a","phase":"b","bytes":1e400,"expected":1,"connected":[],"missing":{},"elapsed":1}'],
)  # fmt: skip
def test_lines_that_no_party_writes(line: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (every one is refused alike)
        read_line(line)


def test_files_must_be_those_of_the_silos(tmp_path: Path) -> None:
    run = make(plan_three(), tmp_path)
    south = run.files.pop("south")
    assert run.fails("injected").code == "SG517"
    run.files["sotuh"] = south
    assert "south" in run.fails("injected").next_step


def one_party(
    run: Run, behaviour: str, *, forsaken: bool = False, **changes: str
) -> tuple[int, list[Any]]:
    """The first party alone: its exit code and its lines.  A forsaken one loses its launcher."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = config_of(
            run.plan,
            consortium_of(run.plan, run.folder / "keys"),
            program=changes.get("program", generate_program(run.plan, LINES)),
            source_lines=LINES,
            data_file=str(run.files["europe"]),
            state=str(run.folder / "alone"),
            listener=listener.fileno(),
            connect_timeout=60.0,
            timeout=60.0,
        )
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.mpyc.entries", behaviour],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=(listener.fileno(),),
        )
    assert process.stdin is not None
    process.stdin.write(config.model_dump_json().encode() + b"\n")
    process.stdin.flush()
    if forsaken:
        process.stdin.close()
    assert process.stdout is not None
    lines = [json.loads(line) for line in process.stdout]
    process.stdin.close()
    process.stdout.close()
    return process.wait(), lines


def children() -> list[int]:
    """Processes that this one has started and that still run."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[1]) == os.getpid() and fields[0] != "Z":
            found.append(int(path.parent.name))
    return found
