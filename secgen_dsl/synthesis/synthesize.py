"""Opened values to the fitted model, and to synthetic rows in one step."""

from collections.abc import Mapping

import numpy as np

from secgen_dsl.ir.plan import Measurements, Plan
from secgen_dsl.public.files import PublicFile
from secgen_dsl.synthesis.fitting import fit_model
from secgen_dsl.synthesis.model import TableModel
from secgen_dsl.synthesis.reference import read_label_codes, read_numbers, read_references
from secgen_dsl.synthesis.sample import Samples, draw_samples


def model_of(
    plan: Plan, measurements: Measurements, references: Mapping[str, PublicFile]
) -> TableModel:
    """Fit the model to a run's opened values.

    Nothing here sees a patient or spends budget: it may be repeated at will.

    Args:
        plan: that was run.
        measurements: its opened values.
        references: file of every public table of the program, as ``read_references`` takes them.

    Raises:
        SecgenError: SG601–SG610; see ``fit_model`` and ``read_references``.
    """
    values = read_references(plan.program, references)
    numbers = read_numbers(plan.program, references)
    labels = read_label_codes(plan.program, references)
    return fit_model(plan, measurements, values, numbers, labels)


def synthesize(
    plan: Plan,
    measurements: Measurements,
    references: Mapping[str, PublicFile],
    rows: int,
    rng: np.random.Generator,
) -> Samples:
    """Draw rows from the model of a run's opened values.

    Args:
        rows: number of synthetic rows, ≥ 1.
        rng: for example ``numpy.random.default_rng()``, seeded by the system.

    Raises:
        SecgenError: SG601–SG611; see ``model_of`` and ``draw_samples``.
    """
    return draw_samples(model_of(plan, measurements, references), rows, rng)
