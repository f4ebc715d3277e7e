"""A generated spec, carried as far as a test needs it."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings

from secgen_dsl.diagnostics.diagnostic import SecgenError, Source
from secgen_dsl.ir.plan import Plan
from secgen_dsl.ir.program import Program
from secgen_dsl.ir.queries import Asked, Importance, Marginal, PairMarginal
from secgen_dsl.ir.statement import canonical_statement
from secgen_dsl.planner.plan import plan_program
from secgen_dsl.semantics.resolve import Resolved, resolve
from secgen_dsl.syntax.parser import parse
from tests.generated.drafts import GeneratedSpec

PLAIN = Importance(weight=Fraction(1), share=None, error=None)

OUT_OF_REACH = {"SG312", "SG313"}
"""A budget too small, an accuracy out of reach: what the type rules cannot foresee."""

FULL = bool(os.environ.get("SECGEN_FULL"))

_Asked = TypeVar("_Asked", bound=Asked)

_MEMORY = Path("/dev/shm")  # noqa: S108 (files of a second; disks make hundreds of examples slow)


def examples(quick: int, full: int) -> Any:
    """The number of examples of a property: in `make test`, and with SECGEN_FULL=1."""
    return settings(
        max_examples=full if FULL else quick,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


@contextmanager
def folder_of(spec: GeneratedSpec) -> Iterator[Path]:
    """A folder with the spec's files, for as long as an example lasts."""
    parent = _MEMORY if os.access(_MEMORY, os.W_OK) else None
    folder = Path(tempfile.mkdtemp(prefix="secgen-", dir=parent))
    try:
        yield spec.write(folder)
    finally:
        shutil.rmtree(folder)


def resolved(text: str, folder: Path) -> Resolved:
    """The meaning of a spec's text."""
    source = Source("generated.secgen", text)
    return resolve(parse(source), source, folder)


def with_own_tables(meaning: Resolved) -> Resolved:
    """The same study with all pairs' genes counted in the pairs' bins: few specs happen to do so.

    The pairs may then be double-centred.  All queries of such a study weigh the same: tables that
    others outweigh a million times would never be worth it.
    """
    program = meaning.program
    if not any(isinstance(query, PairMarginal) for query in program.queries):
        return meaning
    queries: list[Asked] = []
    for asked in program.queries:
        query = _stated(asked.model_copy(update={"importance": PLAIN}))
        if isinstance(query, PairMarginal):
            panel = program.panel(query.panel)
            edges = dict(zip(query.genes, query.edges, strict=True))
            if query.binning != "equal" and set(edges) != set(panel.genes):
                queries.append(query)
                continue
            whole = tuple(edges.get(gene, query.edges[0]) for gene in panel.genes)
            queries += [query, _own_table(program, query, whole)]
        else:
            queries.append(query)
    return replace(meaning, program=program.model_copy(update={"queries": tuple(queries)}))


def _own_table(
    program: Program, query: PairMarginal, edges: tuple[tuple[Fraction, ...], ...]
) -> Marginal:
    return _stated(
        Marginal(
            kind="marginal",
            id=f"own tables of {query.id}",
            statement="",
            columns=query.columns or (program.columns[0].name,),
            panel=query.panel,
            gene=None,
            bins=query.bins,
            binning=query.binning,
            reference=query.reference,
            edges=edges,
            learned=None,
            importance=PLAIN,
        )
    )


def _stated(query: _Asked) -> _Asked:
    return query.model_copy(update={"statement": canonical_statement(query)})


def planned(meaning: Resolved) -> Plan | None:
    """The plan; None where a budget is too small or an accuracy out of reach."""
    try:
        return plan_program(meaning.program)
    except SecgenError as error:
        if {found.code for found in error.diagnostics} <= OUT_OF_REACH:
            return None
        raise


def sources_of(meaning: Resolved, plan: Plan) -> dict[str, str]:
    """Marginal id → place, those that the planner added included."""
    return meaning.sources | {added.id: "added" for added in plan.added}
