"""From a planned study to its bundle: the certificate by both accountants, the party program."""

from secgen_dsl.backends.bundle import Bundle
from secgen_dsl.backends.mpyc.generate import generate_program
from secgen_dsl.cli.study import PlannedStudy
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
