"""Whatever a generated plan may open, a model is fitted and rows are drawn: the budget is spent."""

from typing import Literal

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from secgen_dsl.diagnostics.diagnostic import SecgenError
from secgen_dsl.ir.base import sha256_of
from secgen_dsl.ir.plan import Measurement, Measurements, Plan
from secgen_dsl.synthesis.sample import draw_samples
from secgen_dsl.synthesis.synthesize import model_of
from tests.generated.drafts import GeneratedSpec
from tests.generated.specs import specs
from tests.generated.studies import examples, folder_of, planned, resolved

Opened = Literal["nothing", "noise", "people", "great noise"]


def measurements(plan: Plan, opened: Opened, seed: int) -> Measurements:
    rng = np.random.default_rng(seed)
    found = []
    for release in plan.releases():
        deviation = float(plan.released_variance(release)) ** 0.5
        scale = {"nothing": 0.0, "noise": 1.0, "people": 0.1, "great noise": 50.0}[opened]
        values = rng.normal(scale=scale * deviation, size=release.opened)
        if opened == "people":  # of most cells nobody, of some many
            values += rng.integers(0, 4, release.opened) // 3 * rng.exponential(60, release.opened)
        whole = tuple(int(value) for value in np.rint(values))
        found.append(Measurement(query=release.query, values=whole))
    return Measurements(
        format="secgen.measurements/2", plan_sha256=sha256_of(plan), measurements=tuple(found)
    )


@examples(quick=30, full=400)
@given(specs(), st.sampled_from(("nothing", "noise", "people", "great noise")), st.integers(0, 999))
def test_any_opened_values_give_rows(spec: GeneratedSpec, opened: Opened, seed: int) -> None:
    with folder_of(spec) as folder:
        meaning = resolved(spec.text(), folder)
        plan = planned(meaning)
        assume(plan is not None)
        assert plan is not None
        files = meaning.reference_files
        try:
            model = model_of(plan, measurements(plan, opened, seed), files)
        except SecgenError as error:
            # Only that nothing was measured which rows could be drawn from.
            assert {one.code for one in error.diagnostics} == {"SG610"}
            return
    for rows in (1, 30):
        samples = draw_samples(model, rows, np.random.default_rng(seed))
        assert np.isfinite(samples.values).all()
        ranges = {panel.name: panel for panel in plan.program.panels}
        for position, gene in enumerate(samples.genes):
            panel = ranges[gene.panel]
            values = samples.values[:, position]
            assert values.min(initial=float(panel.high)) >= float(panel.low) - 1e-6
            assert values.max(initial=float(panel.low)) <= float(panel.high) + 1e-6
