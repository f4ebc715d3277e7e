"""What a run costs at a distance: seconds between the parties, for the table in docs/.

    python benchmarks/distance.py [--latency 50ms] [--bandwidth 20mbit] [--quick]

m = 3, 5, 10 parties and 10⁴, 10⁵, 10⁶ counts; all parties on this machine, as processes of their
own, with a simulated distance between them (``runtime/network/distance.py`` says what is modelled).
Prints a Markdown table.  Rounds and bytes are exact; seconds are of this machine and the model.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from protocol_cost import make_plan, write_people

from secgen_dsl.backends.mpyc.cost import predicted_bytes, predicted_rounds
from secgen_dsl.backends.mpyc.generate import generate_program
from secgen_dsl.backends.mpyc.launcher import run_protocol
from secgen_dsl.runtime.network.distance import Distance, read_bandwidth, read_latency

SHAPES = {10**4: (500, 5), 10**5: (5_000, 5), 10**6: (20_000, 13)}
"""About so many counts: genes, labels (in 4 bins)."""


def seconds(parties: int, genes: int, labels: int, distance: Distance | None) -> tuple[float, str]:
    """Seconds from when all are ready to connect to the last result, and what was sent."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plan = make_plan(parties, genes, labels, folder)
        files = {}
        for seed, silo in enumerate(plan.program.silos):
            files[silo.name] = folder / f"{silo.name}.csv"
            write_people(files[silo.name], plan.program, 20, seed)
        result = run_protocol(
            plan,
            generate_program(plan, {}),
            {},
            "5" * 64,
            files,
            folder / "state",
            on_progress=lambda _: None,
            timeout=600,
            distance=distance,
        )
        sent = set(result.bytes_sent.values())
        assert sent == {predicted_bytes(plan)}
        cells = sum(release.raw_cells for release in plan.releases())
        text = f"{cells:,} | {predicted_rounds(plan)} | {predicted_bytes(plan) / 1e6:.2f}"
        return result.exchange_seconds, text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latency", type=read_latency, default="50ms")
    parser.add_argument("--bandwidth", type=read_bandwidth, default="20mbit")
    parser.add_argument("--quick", action="store_true", help="m = 3 and up to 10⁵ counts only")
    options = parser.parse_args()
    distance = Distance(options.latency, options.bandwidth)
    print("| parties | counts | rounds | MB sent by each | s on one machine | s at a distance |")
    print("|---|---|---|---|---|---|")
    for parties in (3,) if options.quick else (3, 5, 10):
        for counts, (genes, labels) in SHAPES.items():
            if options.quick and counts > 10**5:
                continue
            near, text = seconds(parties, genes, labels, None)
            far, _ = seconds(parties, genes, labels, distance)
            print(f"| {parties} | {text} | {near:.1f} | {far:.1f} |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
