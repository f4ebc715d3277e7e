"""secgen's peers on the 50-gene panel; columns of the CSV as of ``sweep``.

    .venv/bin/python -m benchmarks.quality.peers_sweep brca50 --epsilon 1 --epsilon 4 \\
        --seed 1 --folds 2 --out benchmarks/quality/results/peers.csv

The environments that ``peers`` names must stand in build/peers, or where SECGEN_PEERS says.  A peer
gets the pooled rows of all silos; secgen never pools them.  "reference bins" are four bins at the
quantiles of the public reference, for a peer as for secgen's tables, and a peer's codes are decoded
as secgen decodes its own.  AIM is left out: SmartNoise's had not finished after 11 minutes, and
dpmm's MST takes as long.  The peers' noise has no seed: their lines do not repeat bit by bit.
"""

import json
import os
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.quality.sweep import DELTA, METHODS, Method, Rows, Task, main
from secgen_dsl.synthesis.decoding import BinCurve, bin_curve

BINS = 4
RANGE = (0.0, 25.0)
"""Of the panel, as ``Study.lay_out`` writes it."""

_ROOT = Path(__file__).resolve().parents[2]
_MINUTES = 60


def peer(library: str, model: str, *, own_bins: bool = False) -> Method:
    """What a peer makes of the pooled rows.

    Args:
        library: dpmm or smartnoise.
        model: aim, mst or privbayes.
        own_bins: whether it cuts the public range itself, instead of at the reference's quantiles.
    """

    def run(task: Task) -> Rows:
        genes = list(task.study.genes)
        table = pd.DataFrame(task.study.values(task.train), columns=genes)
        domain: dict[str, object] = {"label": {"categories": list(task.study.labels)}}
        curves: dict[str, BinCurve] = {}
        for gene in genes:
            if own_bins:
                table[gene] = table[gene].clip(*RANGE)
                domain[gene] = {"lower": RANGE[0], "upper": RANGE[1]}
                continue
            public = task.study.reference[gene].to_numpy(dtype=np.float64)
            edges = np.quantile(public, [k / BINS for k in range(1, BINS)])
            table[gene] = np.searchsorted(edges, table[gene], side="right")
            domain[gene] = {"categories": list(range(BINS))}
            curves[gene] = bin_curve(edges, *RANGE, public)
        table.insert(0, "label", list(task.train["label"]))
        made = _run_peer(library, model, table, domain, task)
        rng = np.random.default_rng(task.seed)
        values = made[genes].to_numpy(dtype=np.float64)
        for number, gene in enumerate(genes):
            if gene in curves:
                places = rng.random(len(values))
                values[:, number] = curves[gene].decode(values[:, number] + places)
        return values, made["label"].to_numpy(dtype=np.str_)

    return run


def _run_peer(
    library: str, model: str, table: pd.DataFrame, domain: dict[str, object], task: Task
) -> pd.DataFrame:
    home = Path(os.environ.get("SECGEN_PEERS", _ROOT / "build" / "peers"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table.to_csv(folder / "train.csv", index=False)
        (folder / "domain.json").write_text(json.dumps(domain), encoding="utf-8")
        command = [home / library / "bin" / "python", Path(__file__).with_name("peers.py")]
        command += [library, model, folder]
        figures = {"--epsilon": task.epsilon, "--delta": float(DELTA), "--seed": task.seed}
        command += [str(word) for pair in figures.items() for word in pair]
        subprocess.run(command, check=True, timeout=60 * _MINUTES, stdout=subprocess.DEVNULL)
        return pd.read_csv(folder / "synthetic.csv", keep_default_na=False)


PEERS: dict[str, Method] = {
    **{name: METHODS[name] for name in ("real", "tables", "factors", "factors and tables")},
    "SmartNoise MST, reference bins (central)": peer("smartnoise", "mst"),
    "dpmm PrivBayes, reference bins (central)": peer("dpmm", "privbayes"),
    "dpmm MST, reference bins (central)": peer("dpmm", "mst"),
    "dpmm PrivBayes, own bins (central)": peer("dpmm", "privbayes", own_bins=True),
}

if __name__ == "__main__":
    main(PEERS, __doc__)
