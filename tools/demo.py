"""`make demo`: the main job, end to end, on the embedded colorectal cohort.

Three hospitals' processes on this machine, MPyC between them; synthetic data, receipt and
description under build/demo; then how well a classifier trained on the synthetic rows does.
"""

import json
import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

from yardstick import measure

from secgen_dsl.evaluation.accuracy import render_yardstick

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "build" / "demo"
SPEC = Path("specs") / "colorectal.secgen"


def secgen(*arguments: str) -> None:
    """Run the command as a user would; its diagnostics and exit code are the demo's."""
    print(f"\n$ secgen {' '.join(arguments)}", flush=True)
    done = subprocess.run(
        [sys.executable, "-m", "secgen_dsl.cli.main", *arguments], cwd=ROOT, check=False
    )
    if done.returncode != 0:
        sys.exit(done.returncode)


def main() -> None:
    shutil.rmtree(OUT, ignore_errors=True)
    secgen("check", str(SPEC))
    secgen("run", str(SPEC), "--out", str(OUT.relative_to(ROOT)))

    plan = json.loads((OUT / "plan.json").read_text())
    receipt = json.loads((OUT / "receipt.json").read_text())
    certificate = json.loads((OUT / "certificate.json").read_text())
    measured = {
        m["query"]: m["values"]
        for m in json.loads((OUT / "measurements.json").read_text())["measurements"]
    }
    print("\nWhat happened")
    within = ("certifies", "confirms")
    certified = [a["epsilon"] for a in certificate["accountings"] if a["role"] in within]
    delta = float(Fraction(certificate["delta"]))
    print(f"  budget      epsilon {certificate['epsilon']} at delta {delta:g}")
    print(f"  certified   epsilon {' and '.join(certified)}, by two accountants")
    for party, sent in receipt["bytes_sent"].items():
        print(f"  {party:<10}  sent {sent:,} bytes: shares of noised counts, never a row")
    labels = next(c for c in plan["program"]["columns"] if c["name"] == "subtype")["values"]
    counts = ", ".join(f"{k} {v}" for k, v in zip(labels, measured["subtype"], strict=True))
    print(f"  opened      noised people by subtype: {counts}")

    print("\nHow good the synthetic rows are (ten fresh runs on other splits; half a minute)")
    print(render_yardstick(measure()))

    where = OUT.relative_to(ROOT)
    print("\nWhere to look next")
    print(f"  {where / 'synthetic.csv'}, {where / 'synthetic.h5ad'}   the synthetic rows")
    print(f"  {where / 'description.md'}    the protocol description for an ethics board")
    print(f"  {where / 'party_program.py'}  what each party ran, beside the plan")
    print(f"  {where / 'plan.json'}, {where / 'certificate.json'}, {where / 'receipt.json'}")
    print(f"  {SPEC}      the spec; change it and run `secgen check` again")


if __name__ == "__main__":
    main()
