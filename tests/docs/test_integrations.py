"""The Snakemake rules and the Nextflow processes run, where these tools are installed."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, SPECS

INTEGRATIONS = ROOT / "integrations"
PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
RESULTS = ("receipt.json", "measurements.csv", "synthetic.csv")


def shell(*command: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PATH": PATH},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.mark.skipif(shutil.which("snakemake") is None, reason="snakemake is not installed")
def test_the_snakefile_runs_and_never_spends_twice(tmp_path: Path) -> None:
    command = ("snakemake", "--cores", "1", "--directory", str(tmp_path), "--snakefile")
    snakefile = str(INTEGRATIONS / "snakemake" / "Snakefile")
    done = shell(*command, snakefile, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    out = tmp_path / "two_hospitals"
    opened = (out / "measurements.json").read_bytes()
    assert all((out / name).exists() for name in RESULTS)

    forced = shell(*command, snakefile, "--forceall", folder=tmp_path)
    assert forced.returncode != 0
    assert "SG702" in (tmp_path / "two_hospitals.log").read_text(encoding="utf-8")
    assert (out / "measurements.json").read_bytes() == opened


def nextflow_works() -> bool:
    """The launcher alone does not: it fetches the program from the network at its first start."""
    if shutil.which("nextflow") is None:
        return False
    return shell("nextflow", "-version", folder=ROOT).returncode == 0


@pytest.mark.skipif(shutil.which("nextflow") is None, reason="nextflow is not installed")
def test_the_nextflow_pipeline_runs(tmp_path: Path) -> None:
    if not nextflow_works():
        pytest.skip("nextflow's launcher is here, but not the program that it fetches")
    main, out = INTEGRATIONS / "nextflow" / "main.nf", tmp_path / "two_hospitals"
    done = shell("nextflow", "run", str(main), "--out", str(out), folder=tmp_path)
    assert done.returncode == 0, done.stdout
    assert all((out / name).exists() for name in RESULTS)


def script_of(process: str) -> str:
    """The shell script of a Nextflow process."""
    text = (INTEGRATIONS / "nextflow" / "secgen.nf").read_text(encoding="utf-8")
    match = re.search(rf'process {process} {{.*?"""\n(.*?)"""', text, re.DOTALL)
    assert match is not None
    return match.group(1)


def test_the_scripts_of_the_nextflow_processes_run(tmp_path: Path) -> None:
    """What Nextflow hands to the shell, with the values of main.nf in their places."""
    out = tmp_path / "results"
    out.mkdir()  # as a workflow engine may do
    values = {
        "study": str(SPECS),
        "spec": "two_hospitals.secgen",
        "bundle": "bundle",
        "tables": f"--data 'north={SPECS}/data/europe.csv.gz' "
        f"--data 'south={SPECS}/data/south.csv.gz'",
        "out": str(out),
    }
    for process in ("SECGEN_COMPILE", "SECGEN_RUN"):
        script = re.sub(r"\$\{(\w+)\}", lambda match: values[match[1]], script_of(process))
        done = shell("bash", "-euc", script, folder=tmp_path)
        assert done.returncode == 0, done.stderr
        assert "going on from an earlier run" not in done.stderr
    assert all((tmp_path / name).exists() for name in RESULTS)
