"""What a site's data are like shows in nothing that its peers can see.

Real processes; every frame that a party sends or receives is noted by kind, round, size and order.
"""

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from secgen_dsl.backends.mpyc.generate import generate_program
from secgen_dsl.backends.mpyc.launcher import run_protocol
from secgen_dsl.backends.plaintext.backend import read_tables, run_plaintext
from secgen_dsl.cli.study import PlannedStudy, plan_spec
from secgen_dsl.diagnostics.diagnostic import SecgenError
from secgen_dsl.ir.plan import Measurements
from tests.conftest import ROOT

from .entries import InjectedNoise

SPEC = """secgen 1
study "Odd content" { purpose "Tests"; contact "nobody@consortium.example" }
silos hold patients { north terms open; south terms open; west terms open }
trust { tolerate 1 colluding party }
person {
  key patient
  at most 2 samples
  keep earliest collected
  in at most 1 silo
  at most 1000 people in all
}
columns {
  subtype category { A, B, unknown } else unknown
  sex     category { female, male }
  age     number 0..100 in bins at 40, 60
}
panel few  expression log2 0..20 { MLH1, MSH2, MSH6 }
privacy { add or remove one person; epsilon 4; delta 1e-5 }
measure {
  marginal subtype * sex
  marginal subtype * age
  marginal sex * few in 4 equal bins
}
release { measurements to silos }
"""
GENES = ["MLH1", "MSH2", "MSH6"]


def people(count: int, seed: int) -> pd.DataFrame:
    draw = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "sample": [f"s{number}" for number in range(count)],
            "patient": [f"p{number // 2}" for number in range(count)],
            "collected": [f"20{draw.integers(10, 24)}-03-01" for _ in range(count)],
            "subtype": draw.choice(["A", "B", "unknown"], count),
            "sex": draw.choice(["female", "male"], count),
            "age": draw.integers(20, 80, count),
        }
    )
    for gene in GENES:
        frame[gene] = draw.integers(0, 160, count) / 8
    return frame


# Each writes a site's files and returns the one to be given.


def table(change: Callable[[pd.DataFrame], pd.DataFrame]) -> Callable[[Path, pd.DataFrame], Path]:
    def write(folder: Path, frame: pd.DataFrame) -> Path:
        change(frame).to_csv(folder / "t.csv", index=False)
        return folder / "t.csv"

    return write


def joined(
    clinical: Callable[[pd.DataFrame], pd.DataFrame],
    expression: Callable[[pd.DataFrame], pd.DataFrame],
    kind: str = "csv",
) -> Callable[[Path, pd.DataFrame], Path]:
    def write(folder: Path, frame: pd.DataFrame) -> Path:
        clinical(frame.drop(columns=GENES)).to_csv(folder / "c.tsv", sep="\t", index=False)
        values = expression(frame[["sample", *GENES]])
        lines = 'clinical = "c.tsv"\n'
        if kind == "parquet":
            values.to_parquet(folder / "e.parquet")
        elif kind == "turned":
            values.set_index("sample").T.to_csv(folder / "e.csv", index_label="gene")
            lines += 'orientation = "genes_by_samples"\n'
        else:
            values.to_csv(folder / "e.csv", index=False)
        name = "e.parquet" if kind == "parquet" else "e.csv"
        (folder / "site.toml").write_text(f'[files]\nexpression = "{name}"\n{lines}')
        return folder / "site.toml"

    return write


def raw(spoil: Callable[[str], str]) -> Callable[[Path, pd.DataFrame], Path]:
    def write(folder: Path, frame: pd.DataFrame) -> Path:
        text = spoil(frame.to_csv(index=False))
        (folder / "t.csv").write_bytes(text.encode("utf-8", "surrogateescape"))
        return folder / "t.csv"

    return write


def same(frame: pd.DataFrame) -> pd.DataFrame:
    return frame


FAULTS: Mapping[str, Callable[[Path, pd.DataFrame], Path]] = {
    "no number": table(lambda t: t.assign(MLH1=np.nan, age="?", MSH2="high")),
    "unknown values": table(lambda t: t.assign(subtype="C", sex="not stated")),
    "one person": table(lambda t: t.assign(patient="p")),
    "no person": table(lambda t: t.assign(patient="NA")),
    "one sample": table(lambda t: t.assign(sample="s")),
    "rows twice": table(lambda t: pd.concat([t, t])),
    "bad dates": table(lambda t: t.assign(collected=["soon", "", "31.12.2019", "1e9"] * 15)),
    "out of range": table(lambda t: t.assign(age=-1e300, MLH1=1e300, MSH6=np.inf)),
    "one row": table(lambda t: t.head(1)),
    "no row": table(lambda t: t.head(0)),
    "many rows": table(lambda t: pd.concat([t.assign(patient=f"q{k}") for k in range(9)])),
    "stray quotes": raw(lambda text: text.replace("female", '"fe"m').replace("male", "m\udcff\0")),
    "nothing joins": joined(same, lambda t: t.assign(sample="x" + t["sample"])),
    "some join": joined(lambda t: t.head(7), lambda t: t.tail(-3).iloc[::-1], "parquet"),
    "one person joins": joined(lambda t: t.assign(patient="z"), same),
    "no rows to join": joined(lambda t: t.head(0), lambda t: t.head(0), "turned"),
    "odd cells in a turned table": joined(
        same, lambda t: t.assign(MLH1=['"', "", "1e999", "x;y"] * 15), "turned"
    ),
    "an ordinary site": joined(same, same, "turned"),
    # Neighbours (PRIVACY 7.1, T2): one person more, one fewer, one replaced by another.
    "one person more": table(lambda t: pd.concat([t, t.head(1).assign(sample="s", patient="p")])),
    "one person fewer": table(lambda t: t[t["patient"] != "p7"]),
    "one person far out": table(
        lambda t: t.assign(MLH1=t["MLH1"].where(t["patient"] != "p7", 1e308), sex=t["sex"])
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Ended:
    """What was seen of a run.

    Attributes:
        frames: party → peer, and whether sent or received → the frames in order.
        draws: party → its draws of noise in order: for what, of which shape and variance.
        errors: party → what it wrote to standard error.
        lines: the parties' progress, without times.
    """

    measurements: Measurements
    frames: dict[str, dict[str, list[list[object]]]]
    draws: dict[str, list[str]]
    errors: dict[str, str]
    lines: list[tuple[str, str, int]]


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> PlannedStudy:
    path = tmp_path_factory.mktemp("spec") / "s.secgen"
    path.write_text(SPEC, encoding="utf-8")
    return plan_spec(path)


def run(planned: PlannedStudy, files: Mapping[str, Path], state: Path) -> Ended:
    """A run in which every party ends with exit code 0: otherwise it raises."""
    lines = []
    result = run_protocol(
        planned.plan,
        generate_program(planned.plan, planned.sources),
        planned.sources,
        "5" * 64,
        files,
        state,
        on_progress=lambda progress: lines.append((progress.party, progress.phase, progress.bytes)),
        timeout=60,
        party_command=[sys.executable, "-m", "tests.mpyc.entries", "record"],
    )
    frames: dict[str, dict[str, list[list[object]]]] = {}
    for folder in sorted(state.iterdir()):
        by_peer: dict[str, list[list[object]]] = {}
        for line in (folder / "frames.jsonl").read_text().splitlines():
            peer, way, *frame = json.loads(line)
            by_peer.setdefault(f"{way} {peer}", []).append(frame)
        frames[folder.name] = by_peer
    draws = {
        folder.name: (folder / "draws.jsonl").read_text().splitlines() for folder in state.iterdir()
    }
    errors = {folder.name: (folder / "stderr.log").read_text() for folder in state.iterdir()}
    return Ended(result.measurements, frames, draws, errors, sorted(lines))


@pytest.fixture(scope="module")
def ordinary(planned: PlannedStudy, tmp_path_factory: pytest.TempPathFactory) -> Ended:
    folder = tmp_path_factory.mktemp("ordinary")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        files = {}
        for seed, silo in enumerate(planned.plan.program.silos):
            files[silo.name] = folder / f"{silo.name}.csv"
            people(60, seed).to_csv(files[silo.name], index=False)
        return run(planned, files, folder / "state")


@pytest.mark.parametrize("start", range(0, len(FAULTS), 3))
def test_peers_cannot_tell(
    planned: PlannedStudy,
    ordinary: Ended,
    start: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(ROOT)
    files = {}
    for seed, fault in enumerate(list(FAULTS)[start : start + 3]):
        silo = planned.plan.program.silos[seed].name
        (tmp_path / silo).mkdir()
        files[silo] = FAULTS[fault](tmp_path / silo, people(60, seed))
    odd = run(planned, files, tmp_path / "state")
    assert odd.frames == ordinary.frames
    for peers in odd.frames.values():
        kinds = [[frame[0] for frame in frames] for way, frames in peers.items() if "sent" in way]
        assert kinds == [["READY", "STORED", "SHARE", "OPENING", "CONFIRMATION"]] * 2
        kinds = [[frame[0] for frame in frames] for way, frames in peers.items() if "rec" in way]
        assert kinds == [["STORED", "SHARE", "OPENING", "CONFIRMATION"]] * 2
    assert odd.lines == ordinary.lines
    assert odd.draws == ordinary.draws
    assert [len(each) for each in odd.draws.values()] == [len(list(planned.plan.releases()))] * 3
    assert odd.errors == ordinary.errors
    # What is opened is what a single process opens: the faults changed values and nothing else.
    lengths = [len(each.values) for each in odd.measurements.measurements]
    assert lengths == [len(each.values) for each in ordinary.measurements.measurements]
    keys = {name: party_key(tmp_path / "state", name) for name in files}
    noise = {name: InjectedNoise(index) for index, name in enumerate(planned.plan.parties)}
    tables = read_tables(planned.plan.program, files, keys)
    assert run_plaintext(planned.plan, tables, noise) == odd.measurements


def party_key(state: Path, name: str) -> bytes:
    from secgen_dsl.runtime.store import ContributionStore

    (folder,) = state.glob(f"{name}-*")
    with ContributionStore(folder / "store.sqlite") as store:
        return store.site_key()


def test_a_shape_fault_stops_a_site_before_it_connects(
    planned: PlannedStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    files = {}
    for seed, silo in enumerate(planned.plan.program.silos):
        files[silo.name] = tmp_path / f"{silo.name}.csv"
        people(60, seed).to_csv(files[silo.name], index=False)
    files["north"] = tmp_path / "site.toml"
    files["north"].write_text('[files]\nexpression = "north.csv"\nlayer = "x"\n')
    with pytest.raises(SecgenError) as raised:
        run(planned, files, tmp_path / "state")
    assert [fault.code for fault in raised.value.diagnostics] == ["SG420"]
    (folder,) = (tmp_path / "state").glob("north-*")
    assert not (folder / "frames.jsonl").exists()
