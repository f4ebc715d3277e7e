"""What the protocol costs: time, memory, rounds and bytes of each party, on this machine.

    python benchmarks/protocol_cost.py [--parties 3] [--genes 978] [--labels 5] [--people 363]

Invented people, real processes, real noise: installed parties run a hand-made plan whose label and
gene tables have about 20,000 raw cells (978 genes × 5 labels × 4 bins).  Prints one JSON object.
"""

import argparse
import csv
import json
import tempfile
import threading
import time
from fractions import Fraction
from pathlib import Path

import numpy as np

from secgen_dsl.backends.mpyc.cost import predicted_bytes
from secgen_dsl.backends.mpyc.generate import generate_program
from secgen_dsl.backends.mpyc.launcher import run_protocol
from secgen_dsl.ir.plan import MERSENNE_61, LinearMap, Opening, Plan, Release, Round
from secgen_dsl.ir.program import (
    CategoryColumn,
    Marginal,
    Panel,
    Person,
    Privacy,
    Program,
    Silo,
    Terms,
)
from secgen_dsl.ir.statement import statement_of


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parties", type=int, default=3)
    parser.add_argument("--genes", type=int, default=978)
    parser.add_argument("--labels", type=int, default=5)
    parser.add_argument("--people", type=int, default=363)
    options = parser.parse_args()
    plan = make_plan(options.parties, options.genes, options.labels)
    with tempfile.TemporaryDirectory() as folder:
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
                files,
                Path(folder) / "state",
                on_progress=lambda _: None,
                timeout=120,
            )
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


def make_plan(parties: int, genes: int, labels: int) -> Plan:
    program = make_program(parties, genes, labels)
    honest = parties - program.tolerated
    histogram = make_marginal(program, None)
    releases = []
    maps: tuple[tuple[Marginal, LinearMap, int], ...] = (
        (program.marginals[0], "centred", 1000),  # mu² = 978·¾ / 1000 + 1/25 < .925², for ε = 4
        (histogram, "identity", 25),
    )
    for marginal, linear_map, variance in maps:
        tables, cells, bins = program.shape(marginal)
        squared = Fraction(tables) * (1 - Fraction(1, bins) if linear_map == "centred" else 1)
        releases.append(
            Release(
                marginal=marginal.id,
                map=linear_map,
                tables=tables,
                raw_cells=tables * cells * bins,
                opened=tables * cells * (bins - 1 if linear_map == "centred" else bins),
                sensitivity_squared=squared,
                variance=Fraction(variance),
                party_variance=Fraction(variance, honest),
            )
        )
    return Plan(
        format="secgen.plan/1",
        program=program,
        added=(histogram,),
        parties=program.parties,
        threshold=program.tolerated,
        modulus=MERSENNE_61,
        rounds=(Round(number=1, releases=tuple(releases)),),
        openings=tuple(
            Opening(round=1, marginal=one.marginal, values=one.opened, recipients="parties")
            for one in releases
        ),
    )


def make_program(parties: int, genes: int, labels: int) -> Program:
    program = Program(
        format="secgen.program/1",
        silos=tuple(
            Silo(name=f"silo{index}", terms=Terms(kind="open", reference=""))
            for index in range(parties)
        ),
        helpers=(),
        tolerated=(parties - 1) // 2,
        person=Person(key="patient", samples=1, silos=1, people_bound=None),
        columns=(
            CategoryColumn(
                kind="category",
                name="subtype",
                values=tuple(f"subtype{index}" for index in range(labels)),
                otherwise=None,
            ),
        ),
        references=(),
        panels=(
            Panel(
                name="genes",
                unit="log2(x+1)",
                low=Fraction(0),
                high=Fraction(16),
                genes=tuple(f"GENE{index}" for index in range(genes)),
                list_sha256="",
            ),
        ),
        privacy=Privacy(adjacency="add-or-remove", epsilon=Fraction(4), delta=Fraction(1, 100_000)),
        marginals=(),
        samples=None,
        measurements="silos",
    )
    return program.model_copy(update={"marginals": (make_marginal(program, "genes"),)})


def make_marginal(program: Program, panel: str | None) -> Marginal:
    """The marginal of the labels, with a panel of four equal bins or alone."""
    bins, binning = (1, "none") if panel is None else (4, "equal")
    edges = tuple(
        tuple(Fraction(edge) for edge in (4, 8, 12))
        for _ in (() if panel is None else program.panel(panel).genes)
    )
    return Marginal.model_validate(
        {
            "kind": "marginal",
            "id": "subtype" if panel is None else f"subtype*{panel}",
            "statement": statement_of(("subtype",), panel, bins, binning, "", edges, Fraction(1)),
            "columns": ("subtype",),
            "panel": panel,
            "bins": bins,
            "binning": binning,
            "reference": "",
            "edges": edges,
            "weight": Fraction(1),
        }
    )


def write_people(path: Path, program: Program, people: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    genes, labels = program.panels[0].genes, program.columns[0].values
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["patient", "subtype", *genes])
        for person in range(people):
            values = [f"{value:.3f}" for value in draw.normal(8, 3, len(genes))]
            writer.writerow([f"p{person}", labels[draw.integers(len(labels))], *values])


if __name__ == "__main__":
    main()
