"""Speed and memory of the whole tool on the BRCA study.

    .venv/bin/python benchmarks/brca_speed.py [--out FILE.json]

Prints wall and CPU seconds and peak memory of `secgen check` (panel from a file, and 978 inline
genes), of the plaintext run and of the MPyC run, and of the latter the protocol phase (from
starting the parties to the opened values), rounds and bytes.  Rounds and bytes are exact; seconds
depend on the machine and what else it does.
"""

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from brca_study import lay_out, shared_data

SECGEN = [sys.executable, "-m", "secgen_dsl.cli.main"]


def peak_of_parties(parent: int, stop: threading.Event, peaks: dict[int, int]) -> None:
    """Highest resident set of each party process (its high-water mark in /proc), in KiB."""
    while not stop.is_set():
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                command = (entry / "cmdline").read_bytes()
                if b"mpyc.party" not in command:
                    continue
                found = re.search(r"VmHWM:\s+(\d+)", (entry / "status").read_text())
            except OSError:
                continue
            if found:
                peaks[int(entry.name)] = max(peaks.get(int(entry.name), 0), int(found.group(1)))
        time.sleep(0.05)


def timed(arguments: list[str], cwd: Path) -> dict[str, object]:
    """Run secgen; wall, CPU of it and its children, peak memory, and its output."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    stop, peaks = threading.Event(), {}
    watcher = threading.Thread(target=peak_of_parties, args=(os.getpid(), stop, peaks))
    watcher.start()
    start = time.monotonic()
    done = subprocess.run(
        [*SECGEN, *arguments], cwd=cwd, capture_output=True, text=True, check=False
    )
    wall = time.monotonic() - start
    stop.set()
    watcher.join()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        sys.exit(done.stdout + done.stderr)
    return {
        "wall_s": round(wall, 2),
        "cpu_s": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 2),
        "peak_mb_of_a_party": round(max(peaks.values(), default=0) / 1024),
        "stdout": done.stdout,
        "stderr": done.stderr,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="also write the figures as JSON")
    options = parser.parse_args()
    shared = shared_data()
    if shared is None:
        sys.exit("the BRCA cohort is not on this machine (see benchmarks/brca_study.py)")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        spec = lay_out(shared, folder).name
        inline = lay_out(shared, folder, inline=True).name
        figures: dict[str, object] = {}
        for label, arguments in {
            "check": ["check", spec],
            "check, 978 inline genes": ["check", inline],
            "run, plaintext": ["run", spec, "--backend", "plaintext", "-o", "plaintext"],
            "run, MPyC": ["run", spec, "-o", "mpyc", "--json"],
            "run, MPyC, progress": ["run", spec, "-o", "mpyc2"],
        }.items():
            figures[label] = timed(arguments, folder)
        receipt = json.loads(figures["run, MPyC"]["stdout"])
    protocol = re.search(
        r"protocol ([\d.]+) s, of which ([\d.]+) s", figures["run, MPyC, progress"]["stderr"]
    )
    summary = {
        label: {k: v for k, v in row.items() if k not in ("stdout", "stderr")}
        for label, row in figures.items()
    }
    summary["protocol"] = {
        "wall_s": float(protocol.group(1)),
        "between_parties_s": float(protocol.group(2)),
        "rounds": receipt["rounds_of_messages"],
        "bytes_sent_by_each_party": max(receipt["bytes_sent"].values()),
    }
    print(json.dumps(summary, indent=1))
    if options.out:
        options.out.write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
