"""How long `secgen fmt` takes, and that the time grows with the text only.

    .venv/bin/python benchmarks/format_speed.py [--out FILE.json]

Prints CPU seconds of checking the syntax and of the layout for specs of 1,250 to 10,000 lines, half
of them columns and half of them lines of one long gene list, and wall and CPU seconds of the whole
command on the largest (just under the megabyte that a spec may have).
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from secgen_dsl.diagnostics.diagnostic import Source
from secgen_dsl.syntax.format import format_text
from secgen_dsl.syntax.parser import MAXIMUM_BYTES, check_syntax

LINES = (1_250, 2_500, 5_000, 10_000)


def spec_of(lines: int) -> str:
    """A spec of about so many lines in an untidy layout; at 10,000 as large as a spec may be."""
    column = "category {female,male, unknown }  else unknown"
    columns = [f"    column_{k}   {column}  # note {k}" for k in range(lines // 2)]
    genes = [
        "  " + ", ".join(f"ENSG{k * 12 + j:08}" for j in range(8)) + ","
        for k in range(lines // 2 - 6)
    ]
    return "\n".join(
        ["secgen 1", "columns {", *columns, "}", "panel all expression log2 0..20 {", *genes, "}"]
    )


def cpu_seconds(run: Callable[[], object]) -> float:
    taken = []
    for _ in range(3):
        start = time.process_time()
        run()
        taken.append(time.process_time() - start)
    return round(min(taken), 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="also write the figures as JSON")
    options = parser.parse_args()
    figures = []
    check_syntax(Source("spec", "secgen 1"))  # the parser is made once a process
    for lines in LINES:
        text = spec_of(lines)
        assert len(text) <= MAXIMUM_BYTES
        row = {
            "lines": text.count("\n") + 1,
            "bytes": len(text),
            "syntax_cpu_s": cpu_seconds(lambda text=text: check_syntax(Source("spec", text))),
            "layout_cpu_s": cpu_seconds(lambda text=text: format_text(text)),
        }
        figures.append(row)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large.secgen"
        path.write_text(spec_of(LINES[-1]), encoding="utf-8")
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        command = [sys.executable, "-m", "secgen_dsl.cli.main", "fmt", path]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        wall, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    command_figures = {"wall_s": round(wall, 2), "cpu_s": round(cpu, 2)}
    summary = {"rows": figures, "whole command": command_figures}
    print(json.dumps(summary, indent=1))
    if options.out:
        options.out.write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
