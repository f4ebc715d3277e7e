"""One distribution of the columns that agrees with every noisy table of them.

Tables that share columns disagree, because their noise differs, and noisy counts may be negative.
For each set of columns that tables connect, ``fit_joint`` finds the joint distribution whose
tables are nearest to all noisy ones, each weighted by its precision:

1. the number of people N is the precision-weighted mean of the tables' totals;
2. ``min ½ Σ_m ‖A_m q − y_m‖² / v_m`` over the joint counts ``q ≥ 0, Σq = N``: the maximum
   likelihood under Gaussian noise, by an accelerated projected gradient;
3. many joints share the optimal tables; the one of largest entropy is found by iterative
   proportional fitting: columns that no table joins directly are conditionally independent.  That
   is the choice of Private-PGM as well (McKenna, Sheldon, Miklau, ICML 2019).

Where one table holds all columns this is the Euclidean projection of the precision-weighted least
squares solution; the closed form is a test of the general one.
"""

from collections.abc import Sequence
from math import prod

import numpy as np

from secgen_dsl.diagnostics.diagnostic import fail
from secgen_dsl.synthesis.measured import CategoryCounts, Floats

MAX_JOINT_CELLS = 2**20
"""Largest joint table of connected columns: 8 MB an array, and some 13 s to fit."""

GAP = 1e-6
"""Optimality gap at which the fit ends, in units of ½χ²: every fitted table is then within
√(2·10⁻⁶) ≈ .0014 standard errors of the optimum (f is 1/v-strongly convex in each table)."""


def project_to_simplex(points: Floats, total: float | Floats) -> Floats:
    """The nearest vectors (Euclidean) with non-negative entries of the given sum.

    By sorting: Held, Wolfe, Crowder, Math. Programming 6 (1974); Duchi et al., ICML 2008, fig. 1.

    Args:
        points: shape (..., n), n ≥ 1; projected along the last axis.
        total: > 0; a number, or one for each vector, of shape (...).

    Returns:
        Shape (..., n).
    """
    totals = np.broadcast_to(np.asarray(total, dtype=np.float64), points.shape[:-1])[..., None]
    descending = -np.sort(-points, axis=-1)
    ranks = np.arange(1, points.shape[-1] + 1)
    # The multiplier if exactly the first `rank` entries stay positive.
    multipliers = (np.cumsum(descending, axis=-1) - totals) / ranks
    kept = np.maximum((descending > multipliers).sum(axis=-1, keepdims=True), 1)
    multiplier = np.take_along_axis(multipliers, kept - 1, axis=-1)
    return np.maximum(points - multiplier, 0.0)


def connected_columns(groups: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Sets of columns that the groups connect, each in order of first appearance.

    A group without columns (a table of everyone) joins no set, and is left out.
    """
    components: list[list[str]] = []
    for group in groups:
        joined = [c for c in components if set(c) & set(group)]
        merged = [name for component in joined for name in component]
        merged += [name for name in group if name not in merged]
        components = [c for c in components if c not in joined]
        if merged:
            components.append(merged)
    order = list(dict.fromkeys(name for group in groups for name in group))
    ordered = [tuple(sorted(component, key=order.index)) for component in components]
    return sorted(ordered, key=lambda component: order.index(component[0]))


def estimate_people(tables: Sequence[CategoryCounts]) -> float:
    """N, the precision-weighted mean of the tables' totals; at least 1.

    A total of L cells has the variance L·v, so its weight is 1/(L·v).  The tables of one component
    count the same people, apart from rows that a table leaves out for a missing value.
    """
    weights = np.array([1 / (table.counts.size * table.variance) for table in tables])
    totals = np.array([table.counts.sum() for table in tables])
    return max(1.0, float(weights @ totals / weights.sum()))


def fit_joint(
    columns: tuple[str, ...],
    sizes: tuple[int, ...],
    tables: Sequence[CategoryCounts],
    iterations: int = 20_000,
) -> tuple[Floats, float]:
    """The joint distribution of ``columns``, and the number of people N.

    Args:
        columns: names of a connected set.
        sizes: number of values of each.
        tables: at least one; their columns are among ``columns``.
        iterations: limit on gradient steps.

    Returns:
        Probabilities of shape ``sizes``, and N ≥ 1 (an estimate, not an integer).

    Raises:
        SecgenError: SG601, the joint table exceeds 2²⁰ cells; SG609, no convergence.
    """
    cells = prod(sizes)
    if cells > MAX_JOINT_CELLS:
        names = " × ".join(f"{c} ({n})" for c, n in zip(columns, sizes, strict=True))
        raise fail(
            "SG601",
            f"the measured tables connect {names}: a joint table of {cells:,} cells, "
            f"over the limit of {MAX_JOINT_CELLS:,}",
            place="measure { … }",
            next_step="drop the marginal that joins the groups of columns, "
            "or merge rare values of the columns with the most values",
        )
    people = estimate_people(tables)
    views = [_TableView(columns, sizes, table) for table in tables]
    counts = _least_squares(views, sizes, people, iterations)
    if counts is None:
        raise fail(
            "SG609",
            f"the fit of {', '.join(columns)} did not converge in {iterations:,} steps",
            place="measure { … }",
            next_step="report this with the plan and the measurements: both hold noised "
            "values only",
        )
    joint = _largest_entropy(views, [view.sum(counts) for view in views], sizes, people)
    return joint / joint.sum(), people


class _TableView:
    """A table as a linear map A of the joint: sums over the columns that it lacks."""

    def __init__(
        self, columns: tuple[str, ...], sizes: tuple[int, ...], table: CategoryCounts
    ) -> None:
        held = [name for name in columns if name in table.columns]
        own_sizes = [sizes[columns.index(name)] for name in table.columns]
        order = [table.columns.index(name) for name in held]
        kept = tuple(n if c in table.columns else 1 for c, n in zip(columns, sizes, strict=True))
        self.summed = tuple(i for i, name in enumerate(columns) if name not in table.columns)
        self.target = table.counts.reshape(own_sizes).transpose(order).reshape(kept)
        self.precision = 1 / table.variance
        self.cells_per_entry = prod(sizes) / table.counts.size

    def sum(self, joint: Floats) -> Floats:
        """A q, with length-1 axes for the columns that were summed over."""
        return joint.sum(axis=self.summed, keepdims=True) if self.summed else joint


def _least_squares(
    views: list[_TableView], sizes: tuple[int, ...], people: float, iterations: int
) -> Floats | None:
    """Step 2: FISTA (Beck, Teboulle 2009) with restarts (O'Donoghue, Candès 2015).

    It ends by the Frank-Wolfe gap ``⟨∇f(q), q⟩ − N·min ∇f(q)``, an upper bound on f(q) − f*
    (Jaggi, ICML 2013).  AᵀA has the largest eigenvalue cells/entries, which bounds the step.
    """
    step = 1 / sum(view.precision * view.cells_per_entry for view in views)

    def gradient(joint: Floats) -> Floats:
        total = np.zeros(sizes)
        for view in views:
            total += (view.sum(joint) - view.target) * view.precision
        return total

    current = np.full(sizes, people / prod(sizes))
    ahead, momentum = current, 1.0
    for count in range(iterations):
        if count % 10 == 0:
            slope = gradient(current)
            if float((slope * current).sum() - people * slope.min()) <= GAP:
                return current
        slope = gradient(ahead)
        following = project_to_simplex((ahead - step * slope).ravel(), people).reshape(sizes)
        if float((slope * (following - current)).sum()) > 0:
            momentum = 1.0  # momentum points uphill: start it again
        next_momentum = (1 + (1 + 4 * momentum**2) ** 0.5) / 2
        ahead = following + (momentum - 1) / next_momentum * (following - current)
        current, momentum = following, next_momentum
    return None


def _largest_entropy(
    views: list[_TableView], targets: list[Floats], sizes: tuple[int, ...], people: float
) -> Floats:
    """Step 3: iterative proportional fitting from the uniform joint.

    The targets are tables of one joint, so that it converges to the joint of largest entropy among
    those with these tables (Csiszár, Ann. Probab. 3 (1975) 146).  It ends when every
    entry is within a thousandth of its standard error; trees need two sweeps.
    """
    joint = np.full(sizes, people / prod(sizes))
    for _ in range(1_000):
        worst = 0.0
        for view, target in zip(views, targets, strict=True):
            own = view.sum(joint)
            misfit = float(np.abs(own - target).max()) * view.precision**0.5
            worst = max(worst, misfit)
            joint = joint * np.divide(target, own, out=np.zeros_like(own), where=own > 0)
        if worst <= 1e-3:
            break
    return joint
