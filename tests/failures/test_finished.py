"""What was opened is not lost with the results: killed or full disks, and `--finished`."""

import contextlib
import errno
import os
import re
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.failures.conftest import PARTIES, Begin
from tests.failures.sites import Ended, Study
from tests.failures.test_stopped import complete

ALONE = {"south": ["--finished"]}
OTHERS = ("north", "university")


def finish_alone(study: Study, begin: Begin) -> Ended:
    return begin(study, without=OTHERS, options=ALONE).end()["south"]


def test_killed_between_the_opening_and_the_results(study: Study, begin: Begin) -> None:
    """Nothing is lost: the results come from the site's own state, or from another run of all."""
    ended = begin(study, {"south": {"at": "before the results", "do": ""}}).end()
    assert [ended[name].code for name in PARTIES] == [0, -signal.SIGKILL, 0]
    assert not study.out("south").exists()
    values, rows = study.result("north"), study.stored("south")
    synthetic = (study.out("north") / "synthetic.csv").read_bytes()

    alone = finish_alone(study, begin)
    assert alone.code == 0, alone.said
    assert "nobody else is asked" in alone.said
    assert study.result("south") == values
    assert (study.out("south") / "synthetic.csv").read_bytes() == synthetic
    assert {path.name for path in study.out("south").iterdir()} >= {
        "receipt.json", "party-receipt.json", "transcript.jsonl", "approvals", "consortium.toml",
    }  # fmt: skip
    assert study.stored("south") == rows

    complete(study, begin)
    assert study.result("south") == values
    assert study.stored("south") == rows


def test_finished_needs_a_completed_run(study: Study, begin: Begin) -> None:
    never = finish_alone(study, begin)
    assert never.codes == ["SG530"], never.said
    assert not (study.home("south") / "state").exists()

    # Opened here, but not confirmed by all: there is no receipt of a completed run.
    running = begin(study, {"north": {"at": "before confirming", "do": "kill"}})
    running.end()
    begun = finish_alone(study, begin)
    assert begun.codes == ["SG530"], begun.said
    assert not study.out("south").exists()
    complete(study, begin)

    # The receipt and the store have to be of one run, and the receipt as it was signed.
    receipt = max((study.state("south") / "runs").glob("*/party-receipt.json"))
    text = receipt.read_text()
    receipt.write_text(text.replace('"bytes_sent":', '"bytes_sent":1'))
    changed = finish_alone(study, begin)
    assert changed.codes == ["SG530"], changed.said
    assert "it is not signed by this machine's key" in changed.said
    receipt.write_text(text)
    assert finish_alone(study, begin).code == 0

    store = study.state("south") / "store.sqlite"
    with contextlib.closing(sqlite3.connect(store)) as database:
        total = bytearray(database.execute("SELECT total FROM opened").fetchone()[0])
        total[0] ^= 1
        database.execute("UPDATE opened SET total = ?", (bytes(total),))
        database.commit()
    other = finish_alone(study, begin)
    assert other.codes == ["SG530"], other.said
    assert "its opened values are not those of the store" in other.said
    store.unlink()
    assert finish_alone(study, begin).codes == ["SG530"]


def test_no_room_for_the_results(study: Study, begin: Begin) -> None:
    """The system refuses to write more: nothing is half-written, nothing is lost."""
    ended = begin(study, {"south": {"at": "results without room", "do": ""}}).end()
    assert [ended[name].code for name in PARTIES] == [0, 1, 0]
    assert ended["south"].codes == ["SG701"], ended["south"].said
    assert os.strerror(errno.EFBIG).lower() in ended["south"].said.lower()
    assert "--finished" in ended["south"].said
    assert not study.out("south").exists()
    assert not list(study.home("south").glob(".out*")), "a half-written folder is left"
    values = study.result("north")
    assert finish_alone(study, begin).code == 0
    assert study.result("south") == values


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip("a small disk cannot be mounted here")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_full_disk_in_the_middle_of_a_run(study: Study, begin: Begin, small_disk: Path) -> None:
    """The disk with a site's state is full before the opening is noted: it sends no opening."""
    (study.home("south") / "state").symlink_to(small_disk)
    running = begin(study, {"south": {"at": "before opening", "do": "wait"}})
    running.reached("south")
    filler = small_disk / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while file.write(bytes(1024)):
            pass
    running.go("south")
    ended = running.end()
    assert ended["south"].codes == ["SG512"], ended["south"].said
    for name in OTHERS:
        assert ended[name].codes == ["SG526"], ended[name].said
        # South itself, or the other one who has heard it first.
        assert re.search(r"south stopped (the run while|it)", ended[name].said), ended[name].said
    filler.unlink()
    complete(study, begin)
