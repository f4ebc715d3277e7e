"""What machines read of a run says nothing about anybody's patients."""

import gzip
import json
from pathlib import Path
from typing import Any

from tests.failures.conftest import PARTIES, Begin
from tests.failures.sites import Study

_TIMES = {"time", "seconds_left"}


def lines_of(log: Path) -> list[Any]:
    """The JSON lines of a run but for the times, each once: how often a phase is told varies."""
    lines = []
    for line in log.read_text().splitlines():
        if line.startswith("{"):
            read = {key: value for key, value in json.loads(line).items() if key not in _TIMES}
            # Who of the others came first is theirs; how many bytes a moment saw is the clock's.
            for key in ("connected", "waiting_for", "bytes", "message"):
                read.pop(key, None)
            if read not in lines:
                lines.append(read)
    return lines


def other_people(data: Path) -> Path:
    """A table of the same columns with one person, whose every value is odd."""
    opened = gzip.open if data.suffix == ".gz" else open
    with opened(data, "rt", encoding="utf-8") as file:
        header = file.readline().rstrip("\n")
    path = data.parent / "other.csv"
    cells = ["p0" if name == "patient" else "NaN" for name in header.split(",")]
    path.write_text(header + "\n" + ",".join(cells) + "\n", encoding="utf-8")
    return path


def test_other_patients_leave_the_same_lines(study: Study, begin: Begin, tmp_path: Path) -> None:
    json_lines = {name: ["--log-json"] for name in PARTIES}
    running = begin(study, options=json_lines)
    assert [one.code for one in running.end().values()] == [0, 0, 0]
    first = {name: lines_of(running.logs[name]) for name in PARTIES}
    assert all(any(line["event"] == "progress" for line in first[name]) for name in PARTIES)
    for name in PARTIES:
        study.lose_state(name)
    data = study.sites.data["north"]
    copied = tmp_path / data.name
    copied.write_bytes(data.read_bytes())
    options = {**json_lines, "north": ["--log-json", "--site", str(other_people(copied))]}
    running = begin(study, options=options)
    assert [one.code for one in running.end().values()] == [0, 0, 0]
    assert {name: lines_of(running.logs[name]) for name in PARTIES} == first
