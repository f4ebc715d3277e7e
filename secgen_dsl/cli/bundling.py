"""From a planned study to its bundle, and back: all that follows from the spec is made again."""

from pathlib import Path

from secgen_dsl.backends.bundle import Bundle
from secgen_dsl.backends.mpyc.generate import generate_program
from secgen_dsl.cli.study import PlannedStudy, all_places
from secgen_dsl.diagnostics.diagnostic import SecgenError, Source, fail
from secgen_dsl.ir.base import sha256_of
from secgen_dsl.planner.plan import plan_program
from secgen_dsl.semantics.resolve import Resolved, resolve
from secgen_dsl.syntax.parser import parse, source_of
from secgen_dsl.verifier import Verified
from secgen_dsl.verifier.certify import certify, is_certificate_of


def bundle_of(planned: PlannedStudy) -> Bundle:
    """The bundle.  Raises SecgenError if the second accountant does not confirm the budget."""
    return Bundle(
        plan=planned.plan,
        study=planned.study,
        certificate=certify(planned.plan, planned.verified, independent=True),
        sources=planned.sources,
        program_text=generate_program(planned.plan, planned.sources),
        spec=planned.source.text,
        files=planned.files,
    )


def check_bundle(bundle: Bundle, verified: Verified, folder: Path) -> tuple[Source, Resolved]:
    """Nothing in a bundle is taken on trust: its spec is read and planned again.

    Returns:
        The spec and what it means.

    Raises:
        SecgenError: SG703, the plan, the study or the places are not those of the spec, the party
            program is not the one that this release generates, the certificate is not the plan's,
            or the files are not those that the spec names.
    """
    if not is_certificate_of(bundle.certificate, bundle.plan, verified):
        raise _lie(folder, "the certificate does not hold the plan's figures")
    source, resolved = _read_spec(bundle, folder)
    faults = {
        "the public files are not those that the plan pins": resolved.files.keys()
        != bundle.files.keys(),
        "the study is not the one of its spec": resolved.study != bundle.study,
        "the places of the queries are not those of its spec": all_places(
            resolved.sources, bundle.plan
        )
        != bundle.sources,
        "the party program is not the one of its plan": bundle.program_text
        != generate_program(bundle.plan, bundle.sources),
    }
    for fault, found in faults.items():
        if found:
            raise _lie(folder, fault)
    return source, resolved


def _read_spec(bundle: Bundle, folder: Path) -> tuple[Source, Resolved]:
    # The queries' places tell the name that the spec had: it stands in the party program.
    name = next(iter(bundle.sources.values()), "").rpartition(":")[0]
    if not name.isprintable():
        raise _lie(folder, "the places of the queries are not those of its spec")
    try:
        source = source_of(name, bundle.spec.encode())
        resolved = resolve(parse(source), source, folder, bundle.files)
        plan = plan_program(resolved.program)
    except SecgenError as error:
        reason = error.diagnostics[0].message
        raise _lie(folder, f"the spec of the bundle has an error: {reason}") from error
    if sha256_of(plan) != sha256_of(bundle.plan):
        raise _lie(folder, "the plan is not the one of its spec and public files")
    return source, resolved


def _lie(folder: Path, fault: str) -> SecgenError:
    return fail(
        "SG703",
        fault,
        place=str(folder),
        next_step="ask for the bundle again, or compile the spec with this release",
    )
