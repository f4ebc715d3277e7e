"""Whenever a party is killed or its power is cut: no share without a debit, no debit without y."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from secgen_dsl.runtime.ledger import Debit
from secgen_dsl.runtime.store import ContributionStore, first_key
from tests.mpyc.plans import plan_three

from . import killed
from .spends import debit_of_plan

PLAN = plan_three()
KEY = first_key(PLAN, 0)
CELLS = 76
CALLS = pytest.mark.skipif(not killed.can_trace(), reason="this system does not let us trace")


@pytest.fixture
def folder() -> Iterator[Path]:
    """In memory where there is such a place: a kill leaves what was written there as on a disk."""
    memory = Path("/dev/shm")  # noqa: S108 (a folder of our own in it)
    place = memory if os.access(memory, os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=place) as name:
        yield Path(name)


class PartyUntilItsFirstShare:
    """Opens its store, stores y with its debit unless it is stored, and sends it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.debit: Debit = debit_of_plan(PLAN)
        self.sent = folder / "sent"

    def __call__(self) -> None:
        with ContributionStore(self.folder / "store.sqlite") as store:
            y = store.find(KEY)
            if y is None:
                y = np.frombuffer(os.urandom(8 * CELLS), dtype="<i8").astype(np.int64)
                store.save(KEY, y, self.debit)
            wire = os.open(self.sent, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
            os.write(wire, y.tobytes())
            os.close(wire)


def check(party: PartyUntilItsFirstShare) -> bool:
    """What must hold wherever it ended.  Returns whether the debit was made."""
    sent = party.sent.read_bytes() if party.sent.exists() else b""
    with ContributionStore(party.folder / "store.sqlite") as store:
        debits, y = len(store.ledger().entries), store.find(KEY)
    assert debits == (y is not None)
    assert debits <= 1
    if sent:
        assert y is not None, "a share left before the debit was durable"
        assert set(batched(sent)) == {y.tobytes()}, "a second noised vector left"
    return debits == 1


def batched(sent: bytes) -> list[bytes]:
    return [sent[start : start + 8 * CELLS] for start in range(0, len(sent), 8 * CELLS)]


def kill_everywhere(
    folder: Path, kill: Callable[[int, PartyUntilItsFirstShare], bool], stride: int = 1
) -> int:
    """Kill a party at each step (of ``stride``), check, let it start again, check."""
    made = []
    step, ended = 1 - stride, False
    while not ended:
        step += stride
        party = PartyUntilItsFirstShare(folder / str(step))
        ended = kill(step, party)
        before = check(party)
        made.append(before)
        party()
        assert check(party)
        assert len(batched(party.sent.read_bytes())) <= 2
        shutil.rmtree(party.folder)
    # Up to some step nothing is debited, from it on all is: the commit is one instant.
    assert made == sorted(made)
    assert not made[0]
    assert made[-1]
    return step


def test_killed_at_lines_of_python(folder: Path) -> None:
    """Where system calls cannot be traced this is all there is; a sample, for there are many."""
    assert kill_everywhere(folder, killed.kill_at_line, stride=17) > 100


@CALLS
def test_killed_at_any_instruction(folder: Path) -> None:
    assert kill_everywhere(folder, killed.kill_at_call) > 200


@CALLS
def test_killed_while_it_recovers(folder: Path) -> None:
    """A party that is killed in the middle of its transaction, and again while it recovers."""
    step = 0
    while True:
        step += 1
        party = PartyUntilItsFirstShare(folder / "first")
        assert not killed.kill_at_call(step, party)
        journal = party.folder / "store.sqlite-journal"
        if journal.exists() and journal.stat().st_size > 0 and not party.sent.exists():
            break
        shutil.rmtree(party.folder)
    again, ended = 0, False
    while not ended:
        again += 7  # a few of them: all take a minute
        second = PartyUntilItsFirstShare(folder / str(again))
        shutil.copytree(party.folder, second.folder, dirs_exist_ok=True)
        ended = killed.kill_at_call(again, second)
        check(second)
        second()
        assert check(second)


FSYNC, FDATASYNC = 74, 75


class Disk:
    """What a power cut leaves at worst: file contents and folders as they were last synced."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.contents: dict[int, bytes] = {}
        self.names: dict[str, int] = {}
        self._before: tuple[int, int] | None = None
        self.cuts: list[dict[str, bytes]] = []

    def __call__(self, stop: killed.Stop) -> None:
        if self._before is None:
            self._before = stop.call()
            return
        (number, descriptor), self._before = self._before, None
        if number not in (FSYNC, FDATASYNC):
            return
        path = stop.file(descriptor)
        if path == self.folder:
            self.names = {entry.name: entry.inode() for entry in os.scandir(path)}
        elif path.is_relative_to(self.folder):
            self.contents[path.stat().st_ino] = path.read_bytes()
        self.cuts.append(self.image())

    def image(self) -> dict[str, bytes]:
        return {name: self.contents.get(inode, b"") for name, inode in self.names.items()}


@pytest.mark.skipif(not killed.can_read_calls(), reason="system calls cannot be read here")
def test_power_cuts(tmp_path: Path) -> None:
    party = PartyUntilItsFirstShare(tmp_path / "party")
    disk = Disk(party.folder)
    sent_at: list[int] = []

    def watch(stop: killed.Stop) -> None:
        disk(stop)
        if not sent_at and party.sent.exists():
            sent_at.append(len(disk.cuts))

    assert killed.kill_at_call(None, party, watch)
    assert sent_at
    assert len(disk.cuts) > 5
    made = []
    for number, image in enumerate([*disk.cuts[: sent_at[0]], disk.image()]):
        left = PartyUntilItsFirstShare(tmp_path / str(number))
        for name, content in image.items():
            (left.folder / name).write_bytes(content)
        made.append("store.sqlite" in image and check(left))
    assert made == sorted(made)
    # At the last sync before the first share the debit is there, whatever was only cached.
    assert made[-2]
    assert not made[0]
