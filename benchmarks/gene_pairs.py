"""Correlation between genes, with and without measured pairs: plaintext backend, real noise.

    .venv/bin/python benchmarks/gene_pairs.py [--epsilon 4] [--runs 5] [--study brca|colorectal]
        [--bins 3] [--gene-bins 4] [--labels]

Forty gene pairs within hallmark sets, those of greatest correlation in the public reference, get
40% of the budget; the rest goes to label × gene tables.  Figures compare 2,000 synthetic rows with
the silos' rows: Pearson correlation over all rows (labels pooled).  ``error`` is mean |Δr|,
``sign`` the share of pairs with |r| > .3 in the real rows whose sign agrees (and whose synthetic
|r| is above .1).  With as many bins of pairs as of genes (--bins 4) pairs can be double-centred:
both ways to measure them are then compared, at the same share of the budget.  With --labels pairs
are counted by labels.  ``within labels`` is mean |Δr| inside the labels, each by its people.  BRCA
is read as brca_study.py says; colorectal is the committed demo.
"""

import argparse
import secrets
import sys
import tempfile
from dataclasses import replace
from fractions import Fraction
from math import ceil
from pathlib import Path

import numpy as np
import pandas as pd
from brca_study import lay_out, shared_data

from secgen_dsl.backends.plaintext.backend import read_tables, run_plaintext
from secgen_dsl.cli.study import PlannedStudy, plan_spec
from secgen_dsl.ir.base import sha256_of
from secgen_dsl.ir.main_effects import main_effects
from secgen_dsl.ir.plan import LinearMap, Measurement, Measurements, Opening, Plan, Release
from secgen_dsl.ir.queries import PairMarginal
from secgen_dsl.privacy.sensitivity import sensitivity_squared
from secgen_dsl.queries.contribution import raw_cells
from secgen_dsl.queries.maps import apply_map
from secgen_dsl.synthesis.fitting import fit_model
from secgen_dsl.synthesis.model import LatentCorrelations
from secgen_dsl.synthesis.reference import read_numbers, read_references
from secgen_dsl.synthesis.sample import draw_samples
from secgen_dsl.verifier.verify import verify

SPECS = Path(__file__).resolve().parent.parent / "specs"
ROWS = 2_000
INDEPENDENT = LatentCorrelations((), np.zeros((1, 0, 0)))
BRCA_SETS = "HALLMARK_P53_PATHWAY, HALLMARK_ESTROGEN_RESPONSE_EARLY, HALLMARK_G2M_CHECKPOINT"


def brca(folder: Path, epsilon: str) -> Path:
    """The BRCA spec, with pairs."""
    shared = shared_data()
    if shared is None:
        sys.exit("the BRCA cohort is not on this machine (see benchmarks/brca_study.py)")
    spec = lay_out(shared, folder, epsilon)
    text = (shared / "hallmark_v6.2.symbols.gmt").read_text(encoding="utf-8")
    (folder / "hallmark.gmt").write_text(text, encoding="utf-8")
    measure = f"""sets hallmark from "hallmark.gmt"
measure {{
  marginal pam50 * l1000 in GENE_BINS bins from elsewhere
  marginal PAIRSpairs of l1000 within hallmark {{ {BRCA_SETS} }} in BINS bins from elsewhere \
keep 40 by correlation in elsewhere share 40%
}}"""
    lines = spec.read_text(encoding="utf-8").splitlines()
    lines = [measure if line.startswith("measure") else line for line in lines]
    spec.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return spec


def colorectal(folder: Path, epsilon: str) -> Path:
    """The colorectal spec over all 175 genes, with pairs."""
    data = SPECS / "data"
    header = pd.read_csv(data / "europe.csv.gz", nrows=0).columns
    reference = pd.read_csv(data / "colorectal_reference.csv.gz", nrows=0).columns
    genes = [name for name in header if name in set(reference) and name.isupper()]
    (folder / "genes.txt").write_text("\n".join(genes) + "\n", encoding="utf-8")
    silos = ("europe", "northeast", "south")
    spec = folder / "colorectal.secgen"
    spec.write_text(
        f"""secgen 1
study "Colorectal pairs" {{ purpose "Benchmark"; contact "nobody@consortium.example" }}
silos hold patients {{
{chr(10).join(f"  {name} terms open" for name in silos)}
}}
trust {{ tolerate 1 colluding party }}
person {{ key patient; at most 1 sample; in at most 1 silo; at most 1000 people in all }}
columns {{ subtype category {{ CIN, GS, MSI, unknown }} else unknown }}
public elsewhere from "{data / "colorectal_reference.csv.gz"}" log2 "Other regions"
panel genes expression log2 0..20 from "genes.txt"
privacy {{ add or remove one person; epsilon {epsilon}; delta 1e-5 }}
measure {{
  marginal subtype * genes in GENE_BINS bins from elsewhere
  marginal PAIRSpairs of genes in BINS bins from elsewhere \
keep 40 by correlation in elsewhere share 40%
}}
release {{ samples 600 to public as csv }}
simulate {{
{chr(10).join(f'  {name} "{data / name}.csv.gz"' for name in silos)}
}}
""",
        encoding="utf-8",
    )
    return spec


def measured_as(plan: Plan, query: PairMarginal, linear_map: LinearMap) -> Plan:
    """The plan with pairs measured that way, for the same part of the budget; verified."""
    honest = len(plan.parties) - plan.threshold
    bins = query.bins if linear_map == "identity" else query.bins - 1
    blocks = plan.program.label_cells(query) // query.bins

    def changed(release: Release) -> Release:
        if release.query != query.id:
            return release
        sensitivity = sensitivity_squared(plan.program, query, linear_map)
        spent = release.noise.sensitivity_squared / release.noise.variance
        variance = Fraction(ceil(sensitivity / spent * 16), 16)
        noise = {
            "sensitivity_squared": sensitivity,
            "variance": variance,
            "party_variance": variance / honest,
        }
        return release.model_copy(
            update={
                "map": linear_map,
                "opened": release.tables * blocks * bins**2,
                "noise": release.noise.model_copy(update=noise),
            }
        )

    rounds = tuple(
        r.model_copy(update={"releases": tuple(changed(x) for x in r.releases)})
        for r in plan.rounds
    )
    openings = tuple(
        Opening(round=r.number, query=x.query, values=x.opened, recipients="parties")
        for r in rounds
        for x in r.releases
    )
    found = plan.model_copy(update={"rounds": rounds, "openings": openings})
    verify(found)
    return found


def with_others_of(first: Measurements, own: Measurements, query: PairMarginal) -> Measurements:
    """The opened values of the pairs, beside those of another run of all other tables.

    So that both ways are compared on the same noise of the genes' own tables.
    """
    others = {one.query: one for one in first.measurements}
    measurements = [one if one.query == query.id else others[one.query] for one in own.measurements]
    return own.model_copy(update={"measurements": tuple(measurements)})


def without_noise(planned: PlannedStudy) -> tuple[Plan, Measurements]:
    """The exact counts, and a plan that says so (a variance of 1/100)."""
    program = planned.plan.program
    keys = {silo: secrets.token_bytes(32) for silo in planned.simulate}
    tables = read_tables(program, planned.simulate, keys)
    quiet = {"variance": Fraction(1, 100), "party_variance": Fraction(1, 300)}

    def quieter(release: Release) -> Release:
        return release.model_copy(update={"noise": release.noise.model_copy(update=quiet)})

    rounds = tuple(
        r.model_copy(update={"releases": tuple(map(quieter, r.releases))})
        for r in planned.plan.rounds
    )
    plan = planned.plan.model_copy(update={"rounds": rounds})
    opened = []
    for release in plan.releases():
        query = plan.query(release.query)
        counts = sum(raw_cells(program, query, table) for table in tables.values())
        values = tuple(int(value) for value in apply_map(release.map, np.asarray(counts)))
        opened.append(Measurement(query=release.query, values=values))
    return plan, Measurements(
        format="secgen.measurements/2", plan_sha256=sha256_of(plan), measurements=tuple(opened)
    )


def figures(
    real: pd.DataFrame, made: pd.DataFrame, query: PairMarginal, label: str
) -> dict[str, float]:
    """Errors over the measured pairs, and over all pairs of their genes."""
    genes = list(query.genes)
    truth = np.corrcoef(real[genes].to_numpy().T)
    found = np.corrcoef(made[genes].to_numpy().T)
    measured = tuple(np.array(query.pairs).T)
    every = np.triu_indices(len(genes), 1)
    strong = np.abs(truth[measured]) > 0.3
    agrees = truth[measured] * found[measured] > 0
    within, people = 0.0, 0
    for value, own in real.groupby(label):
        others = made[made[label] == value] if label in made else made
        if len(own) < 10 or len(others) < 10:
            continue
        one, other = (np.corrcoef(t[genes].to_numpy().T)[measured] for t in (own, others))
        within += len(own) * float(np.nanmean(np.abs(one - other)))
        people += len(own)
    return {
        "within labels": within / people,
        "error, measured pairs": float(np.abs(truth - found)[measured].mean()),
        "error, all pairs of their genes": float(np.abs(truth - found)[every].mean()),
        "sign, measured pairs": float((agrees & (np.abs(found[measured]) > 0.1))[strong].mean()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epsilon", default="4")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--bins", default="3")
    parser.add_argument("--gene-bins", default="4")
    parser.add_argument("--labels", action="store_true")
    parser.add_argument("--study", choices=("brca", "colorectal"), default="brca")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        spec = (brca if options.study == "brca" else colorectal)(folder, options.epsilon)
        text = spec.read_text(encoding="utf-8").replace("GENE_BINS", options.gene_bins)
        label = "pam50" if options.study == "brca" else "subtype"
        text = text.replace("BINS", options.bins)
        text = text.replace("PAIRS", f"{label} * " if options.labels else "")
        spec.write_text(text, encoding="utf-8")
        planned = plan_spec(spec)
        program = planned.plan.program
        query = next(q for q in program.queries if isinstance(q, PairMarginal))
        maps: list[LinearMap] = ["identity"]
        if all(main_effects(program, query).values()):
            maps.append("double-centred")
        plans = {linear_map: measured_as(planned.plan, query, linear_map) for linear_map in maps}
        chosen = next(x.map for x in planned.plan.releases() if x.query == query.id)
        real = pd.concat([pd.read_csv(path) for path in planned.simulate.values()])
        references = read_references(program, planned.public_files)
        numbers = read_numbers(program, planned.public_files)
        results: dict[str, list[dict[str, float]]] = {}
        for run in range(options.runs):
            keys = {silo: secrets.token_bytes(32) for silo in planned.simulate}
            tables = read_tables(program, planned.simulate, keys)
            first = run_plaintext(plans["identity"], tables)
            noises = {
                f"epsilon {options.epsilon}, {linear_map}": (
                    plan,
                    with_others_of(first, run_plaintext(plan, tables), query),
                )
                for linear_map, plan in plans.items()
            }
            for noise, (plan, measurements) in (
                noises | {"no noise": without_noise(planned)}
            ).items():
                model = fit_model(plan, measurements, references, numbers)
                for how, used in {
                    noise: model,
                    f"{noise}, without pairs": replace(model, latent=INDEPENDENT),
                }.items():
                    samples = draw_samples(used, ROWS, np.random.default_rng(run))
                    made = pd.DataFrame(samples.values, columns=[g.symbol for g in samples.genes])
                    made[label] = samples.labels(label)
                    results.setdefault(how, []).append(figures(real, made, query, label))
        public = pd.DataFrame(dict(references["elsewhere"]))
        results["the reference itself"] = [figures(real, public, query, label)]
    print(f"{options.study}: {len(query.pairs)} pairs of {len(query.genes)} genes")
    print(f"  the planner measures them as: {chosen}")
    ways = [results[how] for how in results if how.endswith((", identity", ", double-centred"))]
    for how, runs in results.items():
        means = {key: np.mean([run[key] for run in runs]) for key in runs[0]}
        print(f"  {how:<42}" + "   ".join(f"{key} {value:.3f}" for key, value in means.items()))
    if len(ways) == 2:
        print("  double-centred less plain, and its standard error over the runs")
        for key in ways[0][0]:
            less = np.array([own[key] - plain[key] for plain, own in zip(*ways, strict=True)])
            print(f"    {key} {less.mean():+.4f} ± {less.std() / (len(less) - 1) ** 0.5:.4f}")


if __name__ == "__main__":
    main()
