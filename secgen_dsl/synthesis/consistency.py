"""One distribution of the columns that agrees with every noisy table of them.

Tables that share columns disagree, because their noise differs, and noisy counts may be negative.
For each set of columns that tables connect, ``fit_tables`` finds the joint distribution whose
tables are nearest to all noisy ones, each weighted by its precision:

1. the number of people N is the precision-weighted mean of the tables' totals;
2. ``min ½ Σ_m ‖A_m q − y_m‖² / v_m`` over the joint counts ``q ≥ 0, Σq = N``: the maximum
   likelihood under Gaussian noise;
3. many joints share the optimal tables; the one of largest entropy is found by iterative
   proportional fitting: columns that no table joins directly are conditionally independent.  That
   is the choice of Private-PGM as well (McKenna, Sheldon, Miklau, ICML 2019).

The joint is never formed: it is held as the tables of the cliques of a junction tree.  That costs
nothing.  Step 2 sees the joint through tables that lie in cliques, and clique tables that agree on
their separators are those of a joint (Lauritzen, Graphical Models, 1996, ch. 3), so that the
problem over agreeing clique tables has the same optimum.  Its end is certified by a gap (``GAP``),
after which the tables agree exactly.  Step 3 is exact and needs no iteration where every clique
is some table's set of columns; else it ends within a thousandth of a standard error.

Loops of tables (a*b, b*c, a*c) are triangulated (``ir.cliques``) and need nothing else.  Several
cliques are fitted by an interior-point method, one clique and very large ones by an accelerated
projected gradient.  Where one table holds all columns of a clique the optimum is the Euclidean
projection of the precision-weighted least squares solution; the closed form is a test of the
general one, and so are the joints that Private-PGM's library finds (decision 0019).
"""

from collections.abc import Mapping, Sequence
from itertools import islice
from math import prod

import numpy as np

from secgen_dsl.diagnostics.diagnostic import fail
from secgen_dsl.synthesis.interior_point import MOST_ROWS, interior_points, rows_of
from secgen_dsl.synthesis.junction import JunctionTree, Separator, junction_tree
from secgen_dsl.synthesis.measured import CategoryCounts, Floats
from secgen_dsl.synthesis.views import TableView

GAP = 1e-6
"""Optimality gap at which the fit ends, in units of ½χ² for each measured cell: fitted tables are
then within √(2·10⁻⁶) ≈ .0014 standard errors of the optimum, in root mean square over the cells
(f is 1/v-strongly convex in each table)."""

ENOUGH = 1e-3
"""The same, of a fit that rounding or the limit on steps ended before: .045 standard errors."""

_NOBODY = 1e-6
"""Cells of fewer people are empty: samples never have a value that the tables leave empty."""

MOST_STEPS = 20_000
_PATIENCE = 5
"""Steps of the interior-point method that may bring nothing more, because of rounding."""

_AGREEMENT = 0.1
"""A round of gradient steps ends when its last step is so much shorter than the tables disagree."""


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


def fit_tables(
    sizes: Mapping[str, int],
    sets: Sequence[Sequence[str]],
    tables: Sequence[CategoryCounts],
    steps: int = MOST_STEPS,
) -> tuple[JunctionTree, tuple[Floats, ...], float]:
    """The distribution of connected columns, and the number of people N.

    Args:
        sizes: column → number of values.
        sets: columns that shall lie in one clique, beside those of each table.
        tables: at least one.  Tables and sets together connect all columns.
        steps: limit on steps, of either method.

    Returns:
        The junction tree; the probabilities of its cliques, which agree exactly on separators up
        to rounding; and N ≥ 1 (an estimate, not an integer).

    Raises:
        SecgenError: SG601, a clique exceeds 2²⁰ cells; SG609, no convergence.
    """
    tree = junction_tree(sizes, [*(table.columns for table in tables), *sets])
    people = estimate_people(tables)
    views = [TableView(tree, table) for table in tables]
    counts = _nearest(tree, views, people, steps)
    if counts is None:
        raise fail(
            "SG609",
            f"the fit of {', '.join(sizes)} did not converge in {steps:,} steps",
            place="measure { … }",
            next_step="report this with the plan and the measurements: both hold noised "
            "values only",
        )
    # Inside the border no cell is empty; what is next to nobody is nobody.
    counts = tree.calibrated([np.where(table < _NOBODY, 0.0, table) for table in counts])
    complete = {view.clique for view in views if not view.summed}
    if complete != set(range(len(tree.cliques))):
        counts = _largest_entropy(tree, views, counts, people)
    return tree, tuple(table / counts[0].sum() for table in counts), people


def _nearest(
    tree: JunctionTree, views: Sequence[TableView], people: float, steps: int
) -> list[Floats] | None:
    """Step 2; None if there is no answer within ``ENOUGH``."""
    problem = _LeastSquares(tree, views, people)
    if not tree.separators or rows_of(tree, views) > MOST_ROWS:
        return problem.solve(steps)
    best, least, waited = None, problem.tolerance * ENOUGH / GAP, 0
    for counts in islice(interior_points(tree, views, people), steps):
        found = tree.calibrated(counts)
        gap, waited = problem.gap(found), waited + 1
        if gap <= least:
            best, least, waited = found, gap, 0
        if gap <= problem.tolerance or (best is not None and waited == _PATIENCE):
            break
    return best


class _LeastSquares:
    """Step 2: clique tables q of least f(q), on simplices of the sum N, that agree on separators.

    Agreement is reached by the method of multipliers: ``f(q) + Σ_s ⟨λ_s, d_s⟩ + ½ρ_s‖d_s‖²`` with
    ``d_s`` what child and parent disagree by is minimised over the simplices, then
    ``λ_s += ρ_s·d_s``, and ρ_s is doubled where d_s did not halve (Nocedal, Wright, Numerical
    Optimization, 2006, algorithm 17.4).  The inner problem is solved by FISTA (Beck, Teboulle
    2009) with restarts (O'Donoghue, Candès 2015); its step in each clique comes from the largest
    eigenvalues, cells/entries of AᵀA, and ‖a − b‖² ≤ 2‖a‖² + 2‖b‖².
    """

    def __init__(self, tree: JunctionTree, views: Sequence[TableView], people: float) -> None:
        self._tree, self._views, self._people = tree, views, people
        self.tolerance = GAP * sum(view.target.size for view in views)
        self._multipliers = [np.zeros(separator.shape) for separator in tree.separators]
        self._penalties = [self._scale(separator) for separator in tree.separators]
        self._current = [np.full(shape, people / prod(shape)) for shape in tree.shapes]
        self._restart()

    def solve(self, steps: int) -> list[Floats] | None:
        """Agreeing counts of all cliques within the gap, or None if ``steps`` are too few."""
        taken = 0
        before: list[float] = []
        while True:
            found = self._tree.calibrated(self._current)
            if self.gap(found) <= self.tolerance:
                return found
            settled = False
            for _ in range(20):
                moved = [self._step() for _ in range(10)][-1]
                taken += 10
                if not self._multipliers:
                    break
                apart = [float(np.abs(d).max()) for d in self._disagreements(self._current)]
                weighed = (p * d**2 for p, d in zip(self._penalties, apart, strict=True))
                settled = moved < _AGREEMENT**2 * sum(weighed)
                if settled:
                    break
            if taken >= steps:
                return found if self.gap(found) <= self.tolerance * ENOUGH / GAP else None
            if self._multipliers:
                self._tighten(apart, before if settled else [])
                before = apart

    def _tighten(self, apart: Sequence[float], before: Sequence[float]) -> None:
        for number, by in enumerate(self._disagreements(self._current)):
            self._multipliers[number] = self._multipliers[number] + self._penalties[number] * by
            if before and apart[number] > before[number] / 2:
                self._penalties[number] *= 2
        self._restart()

    def _scale(self, separator: Separator) -> float:
        """A first ρ: the greatest precision with which a table near by knows an entry."""
        near = [v for v in self._views if v.clique in (separator.child, separator.parent)]
        entries = prod(separator.shape)
        return max(v.precision * min(1.0, entries / v.target.size) for v in near or self._views)

    def _restart(self) -> None:
        self._ahead, self._momentum = self._current, 1.0
        bounds = np.zeros(len(self._tree.cliques))
        for view in self._views:
            bounds[view.clique] += view.precision * view.cells_per_entry
        for separator, penalty in zip(self._tree.separators, self._penalties, strict=True):
            for clique in (separator.child, separator.parent):
                cells = prod(self._tree.shapes[clique])
                bounds[clique] += 2 * penalty * cells / prod(separator.shape)
        self._bounds = bounds

    def _step(self) -> float:
        """One step of FISTA; its squared length, in the metric of the bounds."""
        slopes = self._gradient(self._ahead)
        for separator, multiplier, penalty, apart in zip(
            self._tree.separators,
            self._multipliers,
            self._penalties,
            self._disagreements(self._ahead),
            strict=True,
        ):
            pull = multiplier + penalty * apart
            slopes[separator.child] += pull.reshape(separator.along_child)
            slopes[separator.parent] -= pull.reshape(separator.along_parent)
        following = [
            project_to_simplex((point - slope / bound).ravel(), self._people).reshape(point.shape)
            for point, slope, bound in zip(self._ahead, slopes, self._bounds, strict=True)
        ]
        moves = [new - old for new, old in zip(following, self._current, strict=True)]
        if sum(float((slope * move).sum()) for slope, move in zip(slopes, moves, strict=True)) > 0:
            self._momentum = 1.0  # momentum points uphill: start it again
        next_momentum = (1 + (1 + 4 * self._momentum**2) ** 0.5) / 2
        carried = (self._momentum - 1) / next_momentum
        self._ahead = [new + carried * move for new, move in zip(following, moves, strict=True)]
        self._current, self._momentum = following, next_momentum
        return sum(float((m * m).sum() * b) for m, b in zip(moves, self._bounds, strict=True))

    def _gradient(self, tables: Sequence[Floats]) -> list[Floats]:
        slopes = [np.zeros(table.shape) for table in tables]
        for view in self._views:
            slopes[view.clique] += (view.sum(tables[view.clique]) - view.target) * view.precision
        return slopes

    def _disagreements(self, tables: Sequence[Floats]) -> list[Floats]:
        return [
            s.of_child(tables[s.child]) - s.of_parent(tables[s.parent])
            for s in self._tree.separators
        ]

    def gap(self, tables: Sequence[Floats]) -> float:
        """``⟨∇f(q), q⟩ − min ⟨∇f(q), ·⟩`` over all joints, at least f(q) − f* (Jaggi, ICML 2013).

        The least value of a sum of clique tables is found along the tree, from leaves to root.
        """
        slopes = self._gradient(tables)
        value = sum(float((s * t).sum()) for s, t in zip(slopes, tables, strict=True))
        for separator in reversed(self._tree.separators):
            least = slopes[separator.child].min(axis=separator.child_axes)
            slopes[separator.parent] = slopes[separator.parent] + least.reshape(
                separator.along_parent
            )
        return value - self._people * float(slopes[0].min())


def _largest_entropy(
    tree: JunctionTree, views: Sequence[TableView], counts: Sequence[Floats], people: float
) -> list[Floats]:
    """Step 3: iterative proportional fitting from the uniform joint, along the tree.

    The targets are tables of one joint, so that it converges to the joint of largest entropy among
    those with these tables (Csiszár, Ann. Probab. 3 (1975) 146).  It visits the cliques in turn and
    carries what changed along the tree's edges (Jiroušek, Přeučil, Comput. Statist. Data Anal. 19
    (1995) 177).  It ends when every entry is within a thousandth of its standard error.
    """
    targets = [view.sum(counts[view.clique]) for view in views]
    tables = [np.full(shape, people / prod(shape)) for shape in tree.shapes]
    children: list[list[Separator]] = [[] for _ in tree.cliques]
    for separator in tree.separators:
        children[separator.parent].append(separator)

    def fit(clique: int) -> float:
        worst = 0.0
        for view, target in zip(views, targets, strict=True):
            if view.clique == clique:
                own = view.sum(tables[clique])
                worst = max(worst, float(np.abs(own - target).max()) * view.precision**0.5)
                ratio = np.divide(target, own, out=np.zeros_like(own), where=own > 0)
                tables[clique] = tables[clique] * ratio
        return worst

    def carry(separator: Separator, *, down: bool) -> None:
        of_child = separator.of_child(tables[separator.child])
        of_parent = separator.of_parent(tables[separator.parent])
        new, old = (of_parent, of_child) if down else (of_child, of_parent)
        ratio = np.divide(new, old, out=np.zeros_like(old), where=old > 0)
        if down:
            tables[separator.child] = tables[separator.child] * ratio.reshape(separator.along_child)
        else:
            tables[separator.parent] = tables[separator.parent] * ratio.reshape(
                separator.along_parent
            )

    for _ in range(1_000):
        # A walk through the whole tree; where it stands, the table is that of the joint.
        worst = 0.0
        stack: list[tuple[Separator | None, bool]] = [(None, False)]
        while stack:
            edge, leaving = stack.pop()
            if edge is not None:
                carry(edge, down=not leaving)
            if not leaving:
                clique = 0 if edge is None else edge.child
                worst = max(worst, fit(clique))
                if edge is not None:
                    stack.append((edge, True))
                stack += [(child, False) for child in children[clique]]
        if worst <= 1e-3:
            break
    return tree.calibrated(tables)
