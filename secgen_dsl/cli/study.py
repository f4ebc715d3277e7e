"""From a spec file, or a compiled bundle, to a verified plan."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from secgen_dsl.diagnostics.diagnostic import Diagnostic, SecgenError, Source
from secgen_dsl.ir.plan import Plan
from secgen_dsl.ir.program import Program, Study
from secgen_dsl.ir.queries import Marginal, Moments, SecondMoment, VectorSum
from secgen_dsl.public.files import PublicFile

if TYPE_CHECKING:
    from secgen_dsl.semantics.resolve import Resolved
    from secgen_dsl.verifier import Verified

PlaceT = TypeVar("PlaceT")


@dataclass(frozen=True)
class PlannedStudy:
    """A verified plan and what a command needs beside it.

    Attributes:
        sources: marginal id → ``spec:line``; an added histogram has that of what it serves.
        source: the spec.
        files: every public file that the spec names, by its name there.
        public_files: reference name → its file.
        simulate: silo → sample file, for a local run.
        defaults: what the compiler filled in, in words.
        labelled: how many people of the public tables have which label, in words.
    """

    plan: Plan
    study: Study
    verified: "Verified"
    sources: dict[str, str]
    source: Source
    files: dict[str, PublicFile]
    public_files: dict[str, PublicFile]
    simulate: dict[str, Path]
    defaults: tuple[str, ...]
    labelled: tuple[str, ...]
    warnings: tuple[Diagnostic, ...]


def plan_spec(path: Path) -> PlannedStudy:
    """Parse, resolve, plan and verify a spec.

    Raises:
        SecgenError: every error found.
    """
    from secgen_dsl.syntax.parser import read_source

    return plan_source(read_source(path), path.parent)


def plan_source(source: Source, folder: Path) -> PlannedStudy:
    """The same for a spec's text; the files that it names are relative to ``folder``."""
    # A spec with errors is told so before the numerical libraries are loaded.
    from secgen_dsl.semantics.resolve import resolve
    from secgen_dsl.syntax.parser import parse

    resolved = resolve(parse(source), source, folder)

    from secgen_dsl.planner.advice import plan_warnings
    from secgen_dsl.planner.plan import plan_program
    from secgen_dsl.verifier import verify

    try:
        plan = plan_program(resolved.program)
    except SecgenError as error:
        raise _in_the_spec(error, resolved) from error
    verified = verify(plan)
    return PlannedStudy(
        plan=plan,
        study=resolved.study,
        verified=verified,
        sources=all_places(resolved.sources, plan),
        source=source,
        files=resolved.files,
        public_files=resolved.reference_files,
        simulate=resolved.simulate,
        defaults=resolved.defaults,
        labelled=resolved.labelled,
        warnings=resolved.warnings
        + plan_warnings(plan, verified.epsilon, resolved.spans, resolved.epsilon),
    )


def _in_the_spec(error: SecgenError, resolved: "Resolved") -> SecgenError:
    """The planner's faults at what the spec says: it knows statements, but not where they stand."""
    spans = {
        query.statement: resolved.spans[query.id] for query in reversed(resolved.program.queries)
    }
    return SecgenError(
        replace(each, span=spans.get(each.place, resolved.epsilon), place="")
        for each in error.diagnostics
    )


def all_places(places: Mapping[str, PlaceT], plan: Plan) -> dict[str, PlaceT]:
    """Marginal id → place, also of the marginals that the planner added: those that they serve."""
    found = dict(places)
    served = {
        frozenset(query.columns): query.id
        for query in reversed(plan.program.queries)
        if isinstance(query, Marginal | Moments)
    }
    for added in plan.added:
        if isinstance(added, VectorSum | SecondMoment):
            found[added.id] = found[added.serves]
        elif isinstance(added, Marginal):
            found[added.id] = found[served[frozenset(added.columns)]]
    return found


def program_of(path: Path) -> tuple[Program, str, tuple[Diagnostic, ...]]:
    """The program of a spec or bundle, its title, and warnings.  Its budget may allow no plan.

    Raises:
        SecgenError: every error found.
    """
    if path.is_dir():
        planned = plan_of(path)
        return planned.plan.program, planned.study.title, ()
    from secgen_dsl.semantics.resolve import resolve
    from secgen_dsl.syntax.parser import parse, read_source

    source = read_source(path)
    resolved = resolve(parse(source), source, path.parent)
    return resolved.program, resolved.study.title, resolved.warnings


def plan_of(path: Path) -> PlannedStudy:
    """The same for a spec file or the folder of a bundle, which is verified again."""
    if not path.is_dir():
        return plan_spec(path)
    from secgen_dsl.backends.bundle import read_bundle
    from secgen_dsl.cli.bundling import check_bundle
    from secgen_dsl.planner.advice import plan_warnings
    from secgen_dsl.verifier import verify

    bundle = read_bundle(path)
    verified = verify(bundle.plan)
    source, resolved = check_bundle(bundle, verified, path)
    return PlannedStudy(
        plan=bundle.plan,
        study=bundle.study,
        verified=verified,
        sources=bundle.sources,
        source=source,
        files=bundle.files,
        public_files=resolved.reference_files,
        simulate={},
        defaults=resolved.defaults,
        labelled=resolved.labelled,
        warnings=resolved.warnings
        + plan_warnings(bundle.plan, verified.epsilon, resolved.spans, resolved.epsilon),
    )
