"""`secgen run --mock N`: the whole study on invented rows, and everything says that they are."""

import csv
import gzip
import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import anndata
import pandas as pd
import pytest
from pydantic import ValidationError

from secgen_dsl.ir.base import read_node
from secgen_dsl.ir.plan import Measurements
from tests.cli.commands import secgen
from tests.conftest import SPECS

STUDY_D = SPECS / "two_hospitals.secgen"
ALL = sorted(path.stem for path in SPECS.glob("*.secgen"))
OF_THE_STUDY = {"plan.json", "certificate.json", "party_program.py", "study.json"}
ROWS = 12


def check(out: Path, spec: Path) -> None:
    """Everything in a rehearsal's folder is marked, or the study's own."""
    files = sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())
    assert set(files) > OF_THE_STUDY | {"INVENTED.md", "receipt.json", "description.md"}
    compiled = out.parent / "compiled"
    assert secgen("compile", spec, "-o", compiled).code == 0
    for name in files:
        content = (out / name).read_bytes()
        if name in OF_THE_STUDY:
            assert content == (compiled / name).read_bytes(), name
        else:
            assert b"invented" in content.lower(), name
            assert b"synthetic-0" not in content
            assert "synthetic" not in name
    receipt = json.loads((out / "receipt.json").read_text())
    assert receipt["data"] == "invented"
    assert receipt["files"] == {
        name: hashlib.sha256((out / name).read_bytes()).hexdigest()
        for name in files
        if name != "receipt.json"
    }
    assert {path.name for path in out.parent.iterdir()} == {out.name, compiled.name}


@pytest.mark.parametrize("name", ALL)
def test_every_spec_can_be_rehearsed(name: str, tmp_path: Path) -> None:
    spec, out = SPECS / f"{name}.secgen", tmp_path / "out"
    ended = secgen("run", spec, "--mock", ROWS, "--out", out, "--backend", "plaintext")
    assert ended.code == 0, ended.err
    assert "INVENTED" in ended.out
    assert "REHEARSAL" in ended.err
    check(out, spec)
    silos = json.loads((out / "plan.json").read_text())["program"]["silos"]
    tables = [out / "invented" / f"{silo['name']}.csv" for silo in silos]
    assert sorted(tables) == sorted((out / "invented").iterdir())
    for table in tables:
        with table.open(encoding="utf-8", newline="") as file:
            assert len(list(csv.reader(file))) == 1 + ROWS
        assert secgen("check-data", spec, "--site", table).code == 0


@pytest.mark.parametrize("name", ["two_hospitals", "pseudobulk"])
def test_with_all_parties(name: str, tmp_path: Path) -> None:
    spec, out = SPECS / f"{name}.secgen", tmp_path / "out"
    ended = secgen("run", spec, "--mock", ROWS, "--out", out, "--json")
    assert ended.code == 0, ended.err
    assert ended.json["data"] == "invented"
    assert ended.json["backend"] == "mpyc"
    assert min(ended.json["bytes_sent"].values()) > 0
    check(out, spec)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted({*ALL} - {"two_hospitals", "pseudobulk"}))
def test_with_all_parties_slow(name: str, tmp_path: Path) -> None:
    test_with_all_parties(name, tmp_path)


def test_a_bundle_can_be_rehearsed(tmp_path: Path) -> None:
    spec = SPECS / "pseudobulk.secgen"
    assert secgen("compile", spec, "-o", tmp_path / "compiled").code == 0
    out = tmp_path / "out"
    args = ("--mock", ROWS, "--out", out, "--backend", "plaintext")
    assert secgen("run", tmp_path / "compiled", *args).code == 0
    check(out, spec)
    table = anndata.read_h5ad(out / "invented.h5ad")
    assert table.uns["secgen"] == "invented"
    assert all(name.startswith("invented-") for name in table.obs_names)


def test_the_seed_gives_the_same_rows_and_other_noise(tmp_path: Path) -> None:
    contents = []
    for number in range(2):
        out = tmp_path / str(number)
        ended = secgen("run", STUDY_D, "--mock", ROWS, "--seed", 7, "--out", out,
                       "--backend", "plaintext")  # fmt: skip
        assert ended.code == 0
        contents.append({p.name: p.read_bytes() for p in out.rglob("*") if p.is_file()})
    same = {name for name in contents[0] if contents[0][name] == contents[1][name]}
    assert {"north.csv", "south.csv"} <= same
    assert not same & {"invented-measurements.json", "invented-measurements.csv"}


def test_no_file_of_a_site_is_read(tmp_path: Path) -> None:
    """The spec's `simulate` names files that cannot be read; the rehearsal does not notice."""
    spec = tmp_path / "study.secgen"
    spec.write_bytes(STUDY_D.read_bytes())
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "europe.csv.gz").write_bytes(gzip.compress(b"not a table"))
    assert secgen("run", spec, "--out", tmp_path / "real", "--backend", "plaintext").code == 1
    ended = secgen("run", spec, "--mock", ROWS, "--out", tmp_path / "out", "--backend", "plaintext")
    assert ended.code == 0, ended.err


def test_data_and_mock_exclude_each_other(tmp_path: Path) -> None:
    ended = secgen("run", STUDY_D, "--mock", ROWS, "--data", "north=x.csv", "--out", tmp_path / "o")
    assert ended.code == 2
    assert "exclude each other" in ended.err
    assert secgen("run", STUDY_D, "--mock", 0, "--out", tmp_path / "o").code == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("held", ["parties/north/y", "receipt.json"])
def test_what_another_run_left_is_not_touched(held: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / held).parent.mkdir(parents=True)
    (out / held).write_text("stored")
    ended = secgen("run", STUDY_D, "--mock", ROWS, "--out", out)
    assert (ended.code, ended.codes()) == (1, ["SG702"])
    assert [path.name for path in out.rglob("*") if path.is_file()] == [Path(held).name]


@pytest.mark.parametrize("name", ["two_hospitals", "pseudobulk"])
@pytest.mark.parametrize("backend", ["plaintext", "mpyc"])
def test_a_run_refuses_what_a_rehearsal_invented(name: str, backend: str, tmp_path: Path) -> None:
    spec, out = SPECS / f"{name}.secgen", tmp_path / "out"
    assert secgen("run", spec, "--mock", ROWS, "--out", out, "--backend", "plaintext").code == 0
    plan = json.loads((out / "plan.json").read_text())
    silo, *others = (each["name"] for each in plan["program"]["silos"])
    table = out / "invented" / f"{silo}.csv"
    pd.read_csv(table, dtype=str).to_parquet(tmp_path / "t.parquet")
    site = tmp_path / "site.toml"
    site.write_text('[files]\nexpression = "t.parquet"\n', encoding="utf-8")
    data = [f"--data={other}={tmp_path / other}.csv" for other in others]
    for path in (table, site):
        options = (f"--data={silo}={path}", *data, "--out", tmp_path / "real")
        ended = secgen("run", spec, *options, "--backend", backend)
        assert (ended.code, ended.codes()) == (1, ["SG428"])
        assert f'the silo "{silo}"' in ended.err
        assert not (tmp_path / "real").exists()


def test_measurements_of_a_rehearsal_are_no_measurements(tmp_path: Path) -> None:
    out = tmp_path / "out"
    args = ("--mock", ROWS, "--out", out, "--backend", "plaintext")
    assert secgen("run", STUDY_D, *args).code == 0
    text = (out / "invented-measurements.json").read_text(encoding="utf-8")
    with pytest.raises(ValidationError):
        read_node(Measurements, text)
    data = json.loads(text)
    assert data.pop("data") == "invented"
    assert read_node(Measurements, json.dumps(data)).measurements


def test_a_rehearsal_that_is_stopped_leaves_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "secgen_dsl.cli.main", "run", str(STUDY_D), "--mock",
               str(ROWS), "--out", str(tmp_path / "out")]  # fmt: skip
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=dict(os.environ),
        # A shell starts what it runs in the background deaf to the interrupt.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )  # fmt: skip
    assert process.stderr is not None
    for line in process.stderr:
        if "verifying the plan" in line:
            assert [path.name[:5] for path in tmp_path.iterdir()] == [".out."]
            process.send_signal(signal.SIGINT)
            break
    rest = process.stderr.read()
    assert process.wait(timeout=60) == 1
    assert "SG901" in rest
    assert list(tmp_path.iterdir()) == []
