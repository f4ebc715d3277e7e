"""Peers fit a table and sample from it: dpmm and SmartNoise, each in an environment of its own.

Their pins (NumPy, opendp, mbi) fit neither each other nor the project, so this module imports
nothing of the project, and ``peers_sweep`` runs it by the interpreters of two environments:

    python3.11 -m venv build/peers/dpmm
    build/peers/dpmm/bin/pip install -r benchmarks/quality/peers-dpmm.txt
    python3.11 -m venv build/peers/smartnoise
    build/peers/smartnoise/bin/pip install --no-deps -r benchmarks/quality/peers-smartnoise.txt

Both are *central*: one party holds the rows of all silos.  Both are given a domain that is public.
A column with ``categories`` is codes in bins that were cut outside, at a public reference's
quantiles; a column with ``lower`` and ``upper`` is values in a public range, in bins that the peer
finds itself for a part of epsilon (dpmm's PrivTree, a tenth).
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

BINNING_SHARE = 0.1
"""Of epsilon, where the peer finds its own bins: dpmm's default."""

DPMM_STEPS = 300
"""Of mirror descent at the end; its default is 5,000.  PrivBayes on 50 columns computes for 20 s
with 300 and 95 s with 1,500, which was no better: once it has converged, each step is a line search
that fails 25 times.  (MST's 2,500 steps before its choice of pairs cannot be set.)"""

Domain = dict[str, dict[str, Any]]


def dpmm(
    model: str,
    train: pd.DataFrame,
    domain: Domain,
    epsilon: float,
    delta: float,
    seed: int,
    rows: int,
) -> pd.DataFrame:
    """AIM, MST or PrivBayes with Private-PGM (dpmm 0.1.9)."""
    from dpmm.pipelines import AIMPipeline, MSTPipeline, PrivBayesPipeline

    pipeline = {"aim": AIMPipeline, "mst": MSTPipeline, "privbayes": PrivBayesPipeline}[model]
    own_bins = any("lower" in column for column in domain.values())
    binning = BINNING_SHARE * epsilon if own_bins else None
    for name, column in domain.items():
        if "categories" in column:
            train[name] = pd.Categorical(train[name], categories=column["categories"])
    fitted = pipeline(
        epsilon=epsilon - (binning or 0.0),
        delta=delta,
        n_jobs=1,
        gen_kwargs={"n_iters": DPMM_STEPS},
        proc_epsilon=binning,
    )
    fitted.fit(train, domain, random_state=seed)
    return fitted.generate(n_records=rows, random_state=seed)


def smartnoise(
    model: str,
    train: pd.DataFrame,
    domain: Domain,
    epsilon: float,
    delta: float,
    seed: int,
    rows: int,
) -> pd.DataFrame:
    """AIM or MST with Private-PGM (smartnoise-synth 1.0.8, mbi 1.1)."""
    from snsynth import Synthesizer, TableTransformer
    from snsynth.transform import LabelTransformer

    np.random.seed(seed)
    # Left alone, it takes the values that occur in the data.  Here it sees the domain instead.
    coder = TableTransformer([LabelTransformer(nullable=False) for _ in train.columns])
    lengths = [len(domain[name]["categories"]) for name in train.columns]
    coder.fit(
        [
            tuple(
                domain[name]["categories"][row % len(domain[name]["categories"])]
                for name in train.columns
            )
            for row in range(max(lengths))
        ]
    )
    fitted = Synthesizer.create(model, epsilon=epsilon, delta=delta)
    fitted.fit([tuple(row) for row in train.itertuples(index=False)], transformer=coder)
    return pd.DataFrame(fitted.sample(rows), columns=train.columns)


LIBRARIES = {"dpmm": dpmm, "smartnoise": smartnoise}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("library", choices=list(LIBRARIES))
    parser.add_argument("model", choices=["aim", "mst", "privbayes"])
    parser.add_argument("folder", type=Path, help="of train.csv and domain.json")
    parser.add_argument("--epsilon", type=float, required=True)
    parser.add_argument("--delta", type=float, required=True)
    parser.add_argument("--seed", type=int, required=True)
    options = parser.parse_args()
    train = pd.read_csv(options.folder / "train.csv", keep_default_na=False)
    domain = json.loads((options.folder / "domain.json").read_text(encoding="utf-8"))
    made = LIBRARIES[options.library](
        options.model,
        train.copy(),
        domain,
        options.epsilon,
        options.delta,
        options.seed,
        len(train),
    )
    made[list(train.columns)].to_csv(options.folder / "synthetic.csv", index=False)


if __name__ == "__main__":
    main()
