"""The public references of a plan, checked against the hashes that it pins."""

from collections.abc import Mapping

from secgen_dsl.diagnostics.diagnostic import fail
from secgen_dsl.ir.program import Program
from secgen_dsl.public.files import PublicFile
from secgen_dsl.public.reference import ReferenceValues, reference_values


def read_references(
    program: Program, files: Mapping[str, PublicFile]
) -> dict[str, ReferenceValues]:
    """All references of a program, with those genes of its panels that they hold.

    Args:
        program: names the references, and their hashes.
        files: name of a reference → its file.

    Raises:
        SecgenError: SG606, a reference has no file; SG603, a file's bytes are not those that the
            plan names; SG213 as ``reference_values``.
    """
    read: dict[str, ReferenceValues] = {}
    for reference in program.references:
        file = files.get(reference.name)
        if file is None:
            raise fail(
                "SG606",
                f'no file is given for the public reference "{reference.name}"',
                place=f"public {reference.name}",
                next_step="synthesis decodes bins with it: name its file",
            )
        if file.sha256 != reference.sha256:
            raise fail(
                "SG603",
                f"the reference's bytes changed since the plan was made: SHA-256 is "
                f"{file.sha256[:12]}…, the plan says {reference.sha256[:12]}…",
                place=file.name,
                next_step="use the file that the plan was made with, or plan again and have the "
                "new plan approved",
            )
        genes = {
            gene: None
            for panel in program.panels
            if panel.unit == reference.unit
            for gene in panel.genes
        }
        read[reference.name] = reference_values(file, genes, skip_absent=True)
    return read
