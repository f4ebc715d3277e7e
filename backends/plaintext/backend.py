"""The reference: every party's noised contribution summed in one process, with no sharing.

It opens what the MPyC backend opens, with the noise of all m parties.  It protects nobody from
whoever runs it, who sees every row: it is for tests, yardsticks and rehearsals.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from secgen_dsl.diagnostics.diagnostic import Diagnostic, SecgenError, nearest
from secgen_dsl.ir.base import sha256_of
from secgen_dsl.ir.plan import Measurement, Measurements, Plan
from secgen_dsl.ir.program import Program
from secgen_dsl.queries.contribution import noised_contribution
from secgen_dsl.queries.table import SampleTable, empty_table
from secgen_dsl.runtime.noise import NoiseSource, SystemNoise
from secgen_dsl.runtime.site.read import read_site


def run_plaintext(
    plan: Plan,
    tables: Mapping[str, SampleTable],
    noise: Mapping[str, NoiseSource] | None = None,
) -> Measurements:
    """Carry out ``plan`` on one machine.

    Args:
        plan: a verified plan.
        tables: silo → its people; helpers have none and add noise only.
        noise: party → its source; without it each party draws from the system's CSPRNG.

    Returns:
        For each release, in the plan's order, the sum over all m parties of A(x + z), decoded as
        the protocol decodes field elements: into (−p/2, p/2).

    Raises:
        SecgenError: SG417, the tables are not those of the plan's silos.
        ValueError: ``noise`` is not for exactly the plan's parties.
    """
    program = plan.program
    _check_silos(program, tables)
    if noise is None:
        noise = {party: SystemNoise() for party in plan.parties}
    if set(noise) != set(plan.parties):
        raise ValueError("each party of the plan needs a noise source of its own")
    nobody = empty_table(program)
    measurements: list[Measurement] = []
    opened: dict[str, tuple[int, ...]] = {}
    for one_round in plan.rounds:
        contributions = [
            noised_contribution(plan, one_round, tables.get(party, nobody), noise[party], opened)
            for party in plan.parties
        ]
        for release in one_round.releases:
            vectors = [contribution[release.query] for contribution in contributions]
            values = opened_sum(vectors, plan.modulus)
            measurements.append(Measurement(query=release.query, values=values))
            opened[release.query] = values
    return Measurements(
        format="secgen.measurements/2",
        plan_sha256=sha256_of(plan),
        measurements=tuple(measurements),
    )


def opened_sum(vectors: list[NDArray[np.int64]], modulus: int) -> tuple[int, ...]:
    """The sum of integer vectors in the field of ``modulus``, decoded into (−p/2, p/2)."""
    half = modulus // 2
    columns = zip(*(vector.tolist() for vector in vectors), strict=True)
    return tuple((sum(column) + half) % modulus - half for column in columns)


def read_tables(
    program: Program, files: Mapping[str, Path], site_keys: Mapping[str, bytes]
) -> dict[str, SampleTable]:
    """Read every silo's files.

    Args:
        program: names the silos, columns and genes.
        files: silo → its table or site.toml.
        site_keys: silo → its secret key; it decides which of a person's samples counts.

    Raises:
        SecgenError: SG417, the files are not those of the silos; else the shape faults (SG411 to
            SG424) of all silos at once.
        KeyError: a silo has no key.
    """
    _check_silos(program, files)
    tables: dict[str, SampleTable] = {}
    faults: list[Diagnostic] = []
    for silo in program.silos:
        try:
            tables[silo.name], _ = read_site(
                program, files[silo.name], site_keys[silo.name], silo.name
            )
        except SecgenError as error:
            faults.extend(error.diagnostics)
    if faults:
        raise SecgenError(faults)
    return tables


def _check_silos(program: Program, given: Mapping[str, object]) -> None:
    silos = [silo.name for silo in program.silos]
    unknown = [
        Diagnostic(
            code="SG417",
            message=f'the spec has no silo "{name}"',
            place=name,
            next_step=nearest(name, silos) or f"its silos are {', '.join(silos)}",
        )
        for name in given
        if name not in silos
    ]
    absent = [
        Diagnostic(
            code="SG417",
            message=f'the silo "{name}" has no data file',
            place=name,
            next_step=f"name one in the spec's `simulate` block, or with --data {name}=FILE",
        )
        for name in silos
        if name not in given
    ]
    if unknown or absent:
        raise SecgenError(unknown + absent)
