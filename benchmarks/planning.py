"""How long a plan takes with as many queries as a spec may have.

    .venv/bin/python benchmarks/planning.py [--queries 10000] [--out FILE.json]

For specs of so many marginals: seconds of reading the spec, of planning it (`plan_program`) and of
verifying the plan; and how many noises differ in it.  Best of three; processor's seconds, as other
programs may run beside.

Seconds of planning 10,000 queries, on two cores that other programs kept busy (load 3 to 7): 0.9 to
1.2 for pairs of columns, with 50 weights or targets, and for single genes; 1.7 to 2.1 with gene
pairs beside; 1.9 to 2.6 where all weights differ; 2.0 to 2.4 where each has a panel (20,000
releases).  Nine panels of 20,000 genes: 0.12.
"""

import argparse
import json
import time
from itertools import combinations, islice
from pathlib import Path

from timing import timed

from secgen_dsl.cli.study import plan_source
from secgen_dsl.diagnostics.diagnostic import Source
from secgen_dsl.planner.plan import plan_program
from secgen_dsl.semantics.resolve import resolve
from secgen_dsl.syntax.parser import parse
from secgen_dsl.verifier import verify

SPEC = """secgen 1
study "Very many tables" {{ purpose "How long planning takes." }}
silos hold patients {{ north terms open; south terms open; west terms open }}
trust {{ tolerate 1 colluding party }}
person {{ key patient; at most {samples}; in at most 1 silo; at most 5000 people in all }}
columns {{
{columns}
}}
panel genes expression log2 0..20 {{ {genes} }}
panel few expression log2 0..20 {{ {few} }}
privacy {{ add or remove one person; epsilon 8; delta 1e-6 }}
measure {{
{measure}
}}
release {{ measurements to silos }}
"""


FEW = 40
"""Genes of the panel whose pairs are counted."""


def spec_of(columns: int, genes: int, lines: list[str], samples: str = "1 sample") -> str:
    """A spec whose columns have 2 to 6 values."""
    values = [", ".join(f"v{v}" for v in range(2 + k % 5)) for k in range(columns)]
    return SPEC.format(
        samples=samples,
        columns="\n".join(f"  c{k} category {{ {values[k]} }}" for k in range(columns)),
        genes=", ".join(f"G{k}" for k in range(genes)),
        few=", ".join(f"F{k}" for k in range(FEW)),
        measure="\n".join(f"  marginal {line}" for line in lines),
    )


def cases(queries: int) -> dict[str, str]:
    """Name → spec."""
    pairs = [f"c{i} * c{j}" for i, j in combinations(range(142), 2)][:queries]
    panel = "c0 * genes in 3 equal bins"
    weights = [f"{pair} weight {1 + k % 50}" for k, pair in enumerate(pairs)]
    single = [f"c{k % 100} * genes.G{k // 100} in 3 equal bins" for k in range(queries)]
    one = [f"c0 * genes.G{k} in 4 equal bins" for k in range(queries)]
    panels = [f"{pair} * genes in 3 equal bins" for pair in islice(pairs, queries)]
    targets = [f"{pair} error {400 + k % 7} people" for k, pair in enumerate(pairs)]
    apart = [f"{pair} weight {1000 + k}" for k, pair in enumerate(pairs)]
    few = ["c0 * few in 4 equal bins", "pairs of few in 4 equal bins"]
    whole = [f"c{k % 3} * genes in {3 + k // 3} equal bins" for k in range(9)]
    return {
        "panels of 20,000 genes": spec_of(3, 20_000, [*whole, *few]),
        "pairs of columns": spec_of(142, 1, [*pairs[:-1], panel]),
        "pairs of columns, 50 weights": spec_of(142, 1, [*weights[:-1], panel]),
        "a hundred columns by a hundred genes": spec_of(100, queries // 100 + 1, single),
        "one column by each gene": spec_of(1, queries, one),
        "pairs of columns and gene pairs": spec_of(142, 1, [*pairs[:-2], *few]),
        "pairs of columns by a panel": spec_of(142, 20, panels),
        "accuracy targets": spec_of(142, 1, [*targets[:-1], panel]),
        "all weights differ": spec_of(142, 1, [*apart[:-1], panel], "2 samples"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--queries", type=int, default=10_000)
    parser.add_argument("--only", help="a part of a case's name")
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--out", type=Path, help="also write the figures as JSON")
    options = parser.parse_args()
    # What is imported on the way is not counted.
    plan_source(Source("s", spec_of(2, 2, ["c0 * genes in 3 equal bins"])), Path())
    figures = []
    for name, text in cases(options.queries).items():
        if options.only and options.only not in name:
            continue
        source = Source("s", text)
        resolved, reading = timed(
            lambda s=source: resolve(parse(s), s, Path()), 1, time.process_time
        )
        program = resolved.program
        plan, planning = timed(lambda p=program: plan_program(p), options.times, time.process_time)
        verified, verifying = timed(lambda p=plan: verify(p), 1, time.process_time)
        noises = {release.noise.variance for release in plan.releases()}
        row = {
            "case": name,
            "queries": len(program.queries),
            "added": len(plan.added),
            "centred": sum(r.map != "identity" for r in plan.releases()),
            "noises": len(noises),
            "epsilon": round(verified.epsilon, 5),
            "reading_s": reading,
            "planning_s": planning,
            "verifying_s": verifying,
        }
        print(json.dumps(row), flush=True)
        figures.append(row)
    if options.out:
        options.out.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
