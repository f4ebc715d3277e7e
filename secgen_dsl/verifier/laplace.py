"""What must hold of a release with discrete Laplace noise."""

from collections.abc import Iterator

from secgen_dsl.ir.plan import LaplaceNoise, Plan, Release
from secgen_dsl.ir.queries import Marginal, PairMarginal, Query
from secgen_dsl.privacy.laplace import LARGEST_SCALE, greatest_noise
from secgen_dsl.privacy.sensitivity import contribution_of, l1_sensitivity

SCALE_UNIT = 1000
"""Scales are multiples of 1/1000."""


def laplace_faults(
    plan: Plan, release: Release, noise: LaplaceNoise, query: Query
) -> Iterator[str]:
    """Every fault of one release, in words; nothing if there is none."""
    name, program = query.id, plan.program
    if not isinstance(query, Marginal | PairMarginal):
        yield f'"{name}" sums vectors, which Laplace noise does not cover'
        return
    if release.map != "identity":
        yield f'"{name}" is mapped, which is not certified with Laplace noise'
        return
    tables, labels, bins = program.shape(query)
    cells = tables * labels * bins
    shape = (release.tables, release.raw_cells, release.halved, release.opened)
    if shape != (tables, cells, 0, cells):
        yield f'the shape of "{name}" is not that of its tables'
        return
    if noise.sensitivity != l1_sensitivity(program, query):
        yield f'the sensitivity of "{name}" is not what a person can change'
    if noise.parts != len(plan.parties) - plan.threshold:
        yield f'the honest parties\' shares of the noise on "{name}" do not add up to it'
    if not 0 < noise.scale <= LARGEST_SCALE:
        yield f'the noise on "{name}" is beyond what can be drawn'
        return
    if SCALE_UNIT % noise.scale.denominator:  # else a plan could take for ever to verify
        yield f'the noise on "{name}" is not a multiple of 1/{SCALE_UNIT}'
        return
    people = contribution_of(program, query).samples * (program.person.people_bound or 2**32)
    if plan.modulus <= 2 * (people + greatest_noise(noise.scale)):
        yield (
            f'the field is too small for "{name}": a smaller bound on the people in all, or fewer '
            "genes, would help"
        )
