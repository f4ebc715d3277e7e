"""From a planned study to its bundle: the certificate by both accountants, the party program."""

from pathlib import Path

from secgen_dsl.backends.bundle import Bundle
from secgen_dsl.backends.mpyc.generate import generate_program
from secgen_dsl.cli.study import PlannedStudy
from secgen_dsl.diagnostics.diagnostic import fail
from secgen_dsl.verifier import Verified
from secgen_dsl.verifier.certify import certify


def bundle_of(planned: PlannedStudy) -> Bundle:
    """The bundle.  Raises SecgenError if the second accountant does not confirm the budget."""
    return Bundle(
        plan=planned.plan,
        study=planned.study,
        certificate=certify(planned.plan, planned.verified, independent=True),
        sources=planned.sources,
        program_text=generate_program(planned.plan, planned.sources),
        public_files=planned.public_files,
    )


def check_bundle(bundle: Bundle, verified: Verified, folder: Path) -> None:
    """Nothing in a bundle is taken on trust: all that follows from its plan is made again.

    Raises:
        SecgenError: SG703, the party program is not the one that this release generates from the
            plan, the certificate's figures are not the plan's, or a public file is not the one
            that the plan pins.
    """
    from secgen_dsl.public.aligned import bridge_key

    fresh = certify(bundle.plan, verified, independent=False)
    stated = bundle.certificate
    pinned = {reference.name: reference.sha256 for reference in bundle.plan.program.references}
    for bridge in bundle.plan.program.bridges:
        keys = (bridge_key(bridge.name, unit) for unit in bridge.units)
        pinned |= dict(zip(keys, bridge.sha256, strict=True))
    held = {name: file.sha256 for name, file in bundle.public_files.items()}
    figures = ("epsilon", "delta", "mu", "slack", "outsider_epsilon", "floor_epsilon")
    faults = {
        "the party program is not the one of its plan": bundle.program_text
        != generate_program(bundle.plan, bundle.sources),
        "the certificate does not hold the plan's figures": any(
            getattr(fresh, name) != getattr(stated, name) for name in figures
        ),
        "the public tables are not those that the plan pins": pinned != held,
    }
    for fault, found in faults.items():
        if found:
            raise fail(
                "SG703",
                fault,
                place=str(folder),
                next_step="ask for the bundle again, or compile the spec with this release",
            )
