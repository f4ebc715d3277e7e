"""Synthetic rows as files: CSV for everyone, ``.h5ad`` for single-cell and bulk toolkits."""

import csv
import os
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from secgen_dsl import __version__
from secgen_dsl.diagnostics.diagnostic import fail
from secgen_dsl.ir.base import sha256_of
from secgen_dsl.ir.plan import Plan
from secgen_dsl.ir.program import Column, NumberColumn, SampleFormat
from secgen_dsl.synthesis.decoding import NUMBER_DECIMALS, is_whole
from secgen_dsl.synthesis.sample import Samples

DECIMALS = 4
"""Of expression values in CSV: finer than any platform's reproducibility."""


def write_samples(
    out: Path,
    plan: Plan,
    samples: Samples,
    formats: Sequence[SampleFormat],
    study_title: str,
    *,
    kind: str = "synthetic",
) -> tuple[Path, ...]:
    """Write ``synthetic.csv`` and ``synthetic.h5ad`` into the folder ``out``, as ``formats`` asks.

    Both appear under their names only when both are complete.  The same samples give the same
    bytes of CSV.

    Args:
        out: made if it does not exist.
        plan: whose hash and promise the ``.h5ad`` names.
        samples: from ``draw_samples``.
        formats: which files.
        study_title: of the spec.
        kind: names the files and the rows, and stands in ``uns["secgen"]``.

    Returns:
        The files' paths, in the order of ``formats``.

    Raises:
        SecgenError: SG612, a file cannot be written.
    """
    writers: dict[SampleFormat, Callable[[Path], None]] = {
        "csv": partial(_write_csv, samples, kind),
        "h5ad": partial(_write_h5ad, plan, samples, study_title, kind),
    }
    written: list[tuple[Path, Path]] = []
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name in dict.fromkeys(formats):
            # anndata wants the real ending, so the mark of an unfinished file stands in front.
            unfinished = out / f".unfinished-{os.getpid()}-{kind}.{name}"
            written.append((unfinished, out / f"{kind}.{name}"))
            writers[name](unfinished)
        for unfinished, finished in written:
            unfinished.replace(finished)
    except OSError as error:
        raise fail(
            "SG612",
            f"the synthetic rows cannot be written: {error.strerror or error}",
            place=str(out),
            next_step="give a folder that can be written to and has room",
        ) from error
    finally:
        for unfinished, _ in written:
            unfinished.unlink(missing_ok=True)
    return tuple(finished for _, finished in written)


def sample_names(rows: int, kind: str = "synthetic") -> list[str]:
    """``synthetic-0001`` and so on; wider numbers where there are more rows."""
    width = max(4, len(str(rows)))
    return [f"{kind}-{number:0{width}d}" for number in range(1, rows + 1)]


def gene_names(samples: Samples) -> list[str]:
    """Names of the genes, unique: ``panel.gene`` where a gene was measured in several units."""
    seen = Counter(gene.symbol for gene in samples.genes)
    return [
        gene.symbol if seen[gene.symbol] == 1 else f"{gene.panel}.{gene.symbol}"
        for gene in samples.genes
    ]


def csv_header(samples: Samples) -> list[str]:
    """Name of the row, columns, genes; genes that share a name with those get ``expr:``."""
    columns = [column.name for column in samples.columns]
    free = (name for name in ("sample", "synthetic_sample") if name not in columns)
    first = next(free, "synthetic:sample")
    taken = {first, *columns}
    genes = [f"expr:{name}" if name in taken else name for name in gene_names(samples)]
    return [first, *columns, *genes]


def _write_csv(samples: Samples, kind: str, path: Path) -> None:
    labels = [_texts(samples, column) for column in samples.columns]
    names = sample_names(samples.codes.shape[0], kind)
    # Adding zero turns −0.0 into 0.0, which would print as -0.0000.
    values = np.round(samples.values, DECIMALS) + 0.0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(csv_header(samples))
        for row, name in enumerate(names):
            own = [column[row] for column in labels]
            writer.writerow([name, *own, *(f"{v:.{DECIMALS}f}" for v in values[row].tolist())])


def _texts(samples: Samples, column: Column) -> list[str]:
    """A column's values as CSV shows them."""
    if not isinstance(column, NumberColumn):
        texts: list[str] = samples.labels(column.name).tolist()
        return texts
    decimals = 0 if is_whole(column) else NUMBER_DECIMALS
    return [f"{number:.{decimals}f}" for number in samples.numbers[column.name].tolist()]


def _obs_name(column: str) -> str:
    """The column's name in ``obs``; anndata keeps ``_index`` for itself and fails on it."""
    return "column:_index" if column == "_index" else column


def _observations(samples: Samples, position: int) -> object:
    """A column as ``obs`` holds it: categories, whole numbers or decimals."""
    import pandas as pd

    column = samples.columns[position]
    if isinstance(column, NumberColumn):
        numbers = samples.numbers[column.name]
        return numbers.astype(np.int64) if is_whole(column) else numbers
    categories = pd.Index(column.values, dtype=object)
    return pd.Categorical.from_codes(samples.codes[:, position], categories=categories)


def _write_h5ad(plan: Plan, samples: Samples, study_title: str, kind: str, path: Path) -> None:
    import anndata
    import pandas as pd

    names = sample_names(samples.codes.shape[0], kind)
    obs = pd.DataFrame(
        {
            _obs_name(column.name): _observations(samples, position)
            for position, column in enumerate(samples.columns)
        },
        index=pd.Index(names),
    )
    var = pd.DataFrame(
        {
            "panel": [gene.panel for gene in samples.genes],
            "unit": [gene.unit for gene in samples.genes],
        },
        index=pd.Index(gene_names(samples), dtype=object),
    )
    privacy = plan.program.privacy
    table = anndata.AnnData(
        X=samples.values.astype(np.float32),
        obs=obs,
        var=var,
        uns={
            "secgen": kind,
            "study": study_title,
            "plan_sha256": sha256_of(plan),
            "epsilon": float(privacy.epsilon),
            "delta": float(privacy.delta),
            "adjacency": privacy.adjacency,
            "secgen_version": __version__,
        },
    )
    with warnings.catch_warnings():
        # pandas' string types change between versions; what is written does not.
        warnings.simplefilter("ignore")
        table.write_h5ad(path)
