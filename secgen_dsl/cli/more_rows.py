"""Draws rows from the opened values that a run left behind."""

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from secgen_dsl import __version__
from secgen_dsl.backends.bundle import holds_results, read_plan, write_file
from secgen_dsl.diagnostics.diagnostic import Diagnostic, SecgenError, fail
from secgen_dsl.ir.base import Node, read_node, sha256_of
from secgen_dsl.ir.plan import Measurements, Plan
from secgen_dsl.ir.program import SampleFormat, Study
from secgen_dsl.rehearsal import MARK
from secgen_dsl.runtime.evidence.folder import MEASUREMENTS_FILE, PLAN_FILE, STUDY_FILE
from secgen_dsl.runtime.evidence.results import read_results
from secgen_dsl.runtime.regular import UnreadError, read_regular

if TYPE_CHECKING:
    from secgen_dsl.public.files import PublicFile
    from secgen_dsl.synthesis.model import TableModel

NodeT = TypeVar("NodeT", bound=Node)

RECORD = "synthesis.json"

_FITTING_ROUNDS = 100


@dataclass(frozen=True)
class Request:
    """What rows are wanted.

    Attributes:
        rows: how many; None: as many as the plan says.
        where: column and value; a column at most once.
        balance: columns whose values are to be equally frequent.
        parts: column → value → its part.
        seed: None: a new one.
        formats: none: those of the plan.
    """

    rows: int | None
    where: tuple[tuple[str, str], ...]
    balance: tuple[str, ...]
    parts: Mapping[str, Mapping[str, float]]
    seed: int | None
    formats: tuple[SampleFormat, ...]


def draw_more(
    results: Path, spec: Path | None, request: Request, out: Path
) -> tuple[dict[str, Any], tuple[Path, ...], tuple[Diagnostic, ...]]:
    """Draw the rows that are wanted, and write them with a record of how they were made.

    Args:
        results: the folder of a run's results.
        spec: the spec or bundle that was run; None: it names no public table.
        out: made if it does not exist.

    Returns:
        The record, the files that were written, and SG615 if values have no rows for noise.

    Raises:
        SecgenError: SG531 the folder holds no results of a run; SG606 the spec is needed; SG613
            labels that the model cannot give; SG706 ``out`` holds synthetic rows already; whatever
            planning the spec, the fit and the writing report.
    """
    import numpy as np

    from secgen_dsl.synthesis.conditioning import label_counts, warn_of_lost_values
    from secgen_dsl.synthesis.files import write_samples
    from secgen_dsl.synthesis.sample import draw_samples
    from secgen_dsl.synthesis.synthesize import model_of
    from secgen_dsl.verifier import verify

    plan, measurements, title = opened_run(results)
    verify(plan)
    release = plan.program.samples
    formats = request.formats or (release.formats if release else ("csv",))
    rows = request.rows or (release.rows if release else None)
    if rows is None:
        raise fail(
            "SG611",
            "the plan releases no samples, and no number of rows was given",
            place="--rows",
            next_step="add --rows N",
        )
    _require_free(out, formats)
    fitted = model_of(plan, measurements, _public_files(plan, spec))
    model = _as_wished(fitted, request)
    seed = secrets.randbits(53) if request.seed is None else request.seed
    samples = draw_samples(model, rows, np.random.default_rng(seed))
    written = write_samples(out, plan, samples, formats, title)
    narrowed = {*(column for column, _ in request.where), *request.parts}
    record: dict[str, Any] = {
        "format": "secgen.synthesis/1",
        "plan_sha256": sha256_of(plan),
        "measurements_sha256": sha256_of(measurements),
        "rows": rows,
        "where": dict(request.where),
        "balance": list(request.balance),
        "parts": {column: dict(parts) for column, parts in request.parts.items()},
        "seed": seed,
        "counts": {
            column: label_counts(samples, column)
            for column in sorted(narrowed | {*request.balance})
        },
        "audience": None if release is None else release.audience.model_dump(),
        "versions": {"secgen": __version__, "numpy": np.__version__},
        "files": {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in written},
    }
    write_file(out / RECORD, (json.dumps(record, indent=1, sort_keys=True) + "\n").encode())
    warnings = warn_of_lost_values(fitted, samples, narrowed)
    return record, (*written, out / RECORD), warnings


def opened_run(results: Path) -> tuple[Plan, Measurements, str]:
    """Plan, opened values and title of a run's results.

    Raises:
        SecgenError: SG531, the folder holds no results of a run; SG703, its plan cannot be read.
    """
    if not holds_results(results):
        raise fail(
            "SG531",
            "this is not the folder of a run's results",
            place=str(results),
            next_step="give the --out folder of a finished `secgen run` or `secgen party`",
        )
    if (results / f"{MARK}-{MEASUREMENTS_FILE}").exists():
        raise fail(
            "SG531",
            "these are results of a rehearsal: its values were invented",
            place=str(results),
            next_step="give the results of a run; to rehearse with more rows, change `samples` in "
            "the spec and rehearse again",
        )
    stated = dict(read_results(results).get("files", {})).get(MEASUREMENTS_FILE)
    data = _bytes_of(results / MEASUREMENTS_FILE)
    if stated != hashlib.sha256(data).hexdigest():
        raise fail(
            "SG531",
            "the opened values are not those of the receipt beside them: the file was changed",
            place=str(results / MEASUREMENTS_FILE),
            next_step="give the folder as the run left it; `secgen audit` says what else differs",
        )
    return (
        read_plan(results / PLAN_FILE),
        _parsed(results / MEASUREMENTS_FILE, data, Measurements),
        _parsed(results / STUDY_FILE, _bytes_of(results / STUDY_FILE), Study).title,
    )


def _parsed(path: Path, data: bytes, model: type[NodeT]) -> NodeT:
    try:
        return read_node(model, data)
    except ValueError as error:
        raise _unusable(path, "it is not what a run writes") from error


def _bytes_of(path: Path) -> bytes:
    try:
        return read_regular(path)
    except UnreadError as error:
        raise _unusable(path, str(error)) from error


def _unusable(path: Path, words: str) -> SecgenError:
    return fail(
        "SG531",
        f"the file cannot be used: {words}",
        place=str(path),
        next_step="give the folder as the run left it",
    )


def _public_files(plan: Plan, spec: Path | None) -> "dict[str, PublicFile]":
    if spec is not None:
        from secgen_dsl.cli.study import plan_of

        planned = plan_of(spec)
        if planned.verified.plan_sha256 != sha256_of(plan):
            raise fail(
                "SG607",
                f"the spec is the plan {planned.verified.plan_sha256[:12]}…, and the run was of "
                f"{sha256_of(plan)[:12]}…",
                place=str(spec),
                next_step="give the spec or bundle that was run",
            )
        return planned.public_files
    if plan.program.references:
        names = ", ".join(f'"{one.name}"' for one in plan.program.references)
        raise fail(
            "SG606",
            f"the public tables are needed that the plan names: {names}",
            place="--spec",
            next_step="add --spec with the spec or the bundle that was run: it names their files",
        )
    return {}


def _as_wished(model: "TableModel", request: Request) -> "TableModel":
    from secgen_dsl.synthesis.conditioning import balanced, only_where, with_proportions

    for column, value in request.where:
        model = only_where(model, column, value)
    wishes = len(request.balance) + len(request.parts)
    # What one column is given moves those that depend on it: iterative proportional fitting.
    for _ in range(_FITTING_ROUNDS if wishes > 1 else 1):
        for column in request.balance:
            model = balanced(model, column)
        for column, parts in request.parts.items():
            model = with_proportions(model, column, parts)
    return model


def _require_free(out: Path, formats: tuple[SampleFormat, ...]) -> None:
    for name in (RECORD, *(f"synthetic.{kind}" for kind in formats)):
        if (out / name).exists():
            raise fail(
                "SG706",
                f"the folder holds {name} already",
                place=str(out),
                next_step="give another folder, or move its files away",
            )
