"""Exact squared L2 sensitivities of marginals, from public shapes alone.

Neighbouring inputs differ by the presence of one person, who contributes one row (add-or-remove,
one contribution).  A table is a sum over persons of a one-hot vector, so its change is one unit
vector e_b.  Per table, squared, in units of the noise on one raw cell:

====================  =============  ======================================================
linear map A          per table      why
====================  =============  ======================================================
identity              1              ‖e_b‖² = 1
centred (B bins)      1 − 1/B        ‖P e_b‖² with P = I − 11ᵀ/B, the projection off the mean
====================  =============  ======================================================

T tables that each change by a unit vector give T times the value: their squares add.

**Why the projection, and not ‖A e_b‖².**  A centred release is ``y = A(x + z)`` with the noise z
drawn on the raw cells, *before* A.  A = B·P scales signal and noise alike, so the metric in which
y's noise is spherical with variance s² is that of P: the sensitivity that goes with s² is
‖P(x − x′)‖² = 1 − 1/B.  Were noise added after A, one person would move B·v − Σv by
‖A e_b‖² = B(B − 1) against the same s²: an ε = 4 plan would be one of ε = 22 (PROTOCOL, step 3).
"""

from fractions import Fraction

from secgen_dsl.ir.plan import LinearMap


def marginal_sensitivity_squared(tables: int, bins: int, linear_map: LinearMap) -> Fraction:
    """Squared L2 sensitivity of ``tables`` tables measured alike, add-or-remove, one contribution.

    Args:
        tables: T ≥ 1, each changed by one unit vector when a person is added or removed.
        bins: B ≥ 1 for ``identity`` (it plays no part); B ≥ 2 for ``centred``.
        linear_map: the map A, which is applied after the noise.

    Returns:
        T, or T·(1 − 1/B), in units of the noise of one raw cell.

    Raises:
        ValueError: a number out of its range.
    """
    if tables < 1 or bins < 1:
        raise ValueError(f"tables ({tables}) and bins ({bins}) must be positive")
    if linear_map == "identity":
        return Fraction(tables)
    if bins < 2:
        raise ValueError("a centred table needs at least two bins")
    return tables * (1 - Fraction(1, bins))
