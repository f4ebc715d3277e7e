"""What the protocol costs: time, memory, rounds and bytes of each party, on this machine.

    python benchmarks/protocol_cost.py [--parties 3] [--genes 978] [--labels 5] [--people 363]

Invented people, real processes, real noise: the planned label and gene
tables have about 20,000 raw cells (978 genes × 5 labels × 4 bins).  Prints one JSON object.
"""

import argparse
import csv
import json
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from secgen_dsl.backends.mpyc.cost import predicted_bytes
from secgen_dsl.backends.mpyc.generate import generate_program
from secgen_dsl.backends.mpyc.launcher import run_protocol
from secgen_dsl.cli.study import plan_spec
from secgen_dsl.ir.plan import Plan
from secgen_dsl.ir.program import Program


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parties", type=int, default=3)
    parser.add_argument("--genes", type=int, default=978)
    parser.add_argument("--labels", type=int, default=5)
    parser.add_argument("--people", type=int, default=363)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        plan = make_plan(options.parties, options.genes, options.labels, Path(folder))
        files = {}
        for seed, silo in enumerate(plan.program.silos):
            path = Path(folder) / f"{silo.name}.csv"
            write_people(path, plan.program, options.people, seed)
            files[silo.name] = path
        meter = Meter()
        with meter:
            result = run_protocol(
                plan,
                generate_program(plan, {}),
                {},
                "5" * 64,
                files,
                Path(folder) / "state",
                on_progress=lambda _: None,
                timeout=120,
                party_command=[sys.executable, str(Path(__file__).with_name("metered_party.py"))],
            )
        steps = [
            json.loads(path.read_text()) for path in sorted(Path(folder).glob("state/*/steps.json"))
        ]
    assert set(result.bytes_sent.values()) == {predicted_bytes(plan)}
    print(
        json.dumps(
            {
                "parties": options.parties,
                "threshold": plan.threshold,
                "raw_cells": sum(release.raw_cells for release in plan.releases()),
                "opened": sum(release.opened for release in plan.releases()),
                "rounds": result.rounds,
                "bytes_sent_by_a_party": max(result.bytes_sent.values()),
                "seconds_all": round(result.seconds, 2),
                "seconds_from_ready_to_opened": round(result.exchange_seconds, 2),
                "cpu_seconds_by_party": sorted(meter.cpu.values()),
                "cpu_seconds_of_steps_by_party": [
                    {name: round(seconds, 3) for name, seconds in one.items()} for one in steps
                ],
                "peak_rss_mb_by_party": sorted(meter.rss.values()),
            },
            indent=2,
        )
    )


class Meter:
    """CPU seconds and peak memory of this process's children, read from /proc while they run."""

    def __init__(self) -> None:
        self.cpu: dict[int, float] = {}
        self.rss: dict[int, int] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Meter":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        children = Path("/proc/self/task")
        while not self._stop.is_set():
            for path in children.glob("*/children"):
                for word in path.read_text().split():
                    self._look(int(word))
            time.sleep(0.02)

    def _look(self, child: int) -> None:
        try:
            fields = Path(f"/proc/{child}/stat").read_text().rsplit(")", 1)[1].split()
            status = Path(f"/proc/{child}/status").read_text()
        except OSError:
            return
        self.cpu[child] = (int(fields[11]) + int(fields[12])) / 100
        for line in status.splitlines():
            if line.startswith("VmHWM:"):
                self.rss[child] = int(line.split()[1]) // 1024


def make_plan(parties: int, genes: int, labels: int, folder: Path) -> Plan:
    silos = "; ".join(f"site{k} terms open" for k in range(parties))
    spec = folder / "cost.secgen"
    spec.write_text(
        f"""secgen 1
study "Cost" {{ purpose "measuring the protocol" }}
silos hold patients {{ {silos} }}
trust {{ tolerate {(parties - 1) // 2} colluding parties }}
person {{ key patient; at most 1 sample; in at most 1 silo; at most 10000 people in all }}
columns {{ label category {{ {", ".join(f"L{k}" for k in range(labels))} }} }}
panel genes expression log2 0..16 {{ {", ".join(f"G{k}" for k in range(genes))} }}
privacy {{ add or remove one person; epsilon 4; delta 1e-6 }}
measure {{ marginal label * genes in 4 equal bins }}
release {{ samples 100 to public as csv }}
"""
    )
    return plan_spec(spec).plan


def write_people(path: Path, program: Program, people: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    genes, labels = program.panels[0].genes, program.columns[0].values
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["patient", "label", *genes])
        for person in range(people):
            values = [f"{value:.3f}" for value in draw.normal(8, 3, len(genes))]
            writer.writerow([f"p{person}", labels[draw.integers(len(labels))], *values])


if __name__ == "__main__":
    main()
