"""The nearest agreeing tables of a junction tree, by an interior-point method.

The problem is the second step of ``consistency``, a convex quadratic one in the clique tables q:

    min ½ Σ_m ‖A_m q − y_m‖² / v_m    where q ≥ 0, Σq = N, and neighbours agree on separators.

First-order methods need more steps the more cliques there are and the more precisions differ: of
36 random graphs with variances from 1 to 2,000 a quarter had not ended after 20,000.  This one
ends in eight to twenty: the primal-dual method with Mehrotra's corrector
(Nocedal, Wright, Numerical Optimization, 2006, ch. 16.6).  Each step solves one symmetric positive
definite system with a row for each measured cell and each entry of a separator.
"""

from collections.abc import Iterator, Sequence
from math import prod

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from scipy.sparse import csr_matrix, vstack

from secgen_dsl.synthesis.junction import JunctionTree
from secgen_dsl.synthesis.measured import Floats
from secgen_dsl.synthesis.views import TableView

MOST_ROWS = 3_000
"""Systems with more rows take seconds a step, and 72 MB an array."""

_TO_BORDER = 0.99
_REGULAR = 1e-12
"""Added to the rows of constraints: keeps the system regular where cells are nearly empty."""


def rows_of(tree: JunctionTree, views: Sequence[TableView]) -> int:
    """Rows of the system: measured cells, entries of separators, and the number of people."""
    return sum(view.target.size for view in views) + sum(prod(s.shape) for s in tree.separators) + 1


def interior_points(
    tree: JunctionTree, views: Sequence[TableView], people: float
) -> Iterator[list[Floats]]:
    """Counts of all cliques, nearer and nearer to the optimum, until rounding allows no more.

    All are > 0, and agree better and better.  The caller calibrates them, and says what is enough.

    Args:
        tree: of the columns.
        views: the measured tables, at least one.
        people: N.
    """
    measured, constraints = _matrices(tree, views, people)
    both = vstack([measured, constraints]).tocsr()
    transposed = both.T.tocsr()
    rows = measured.shape[0]
    wanted = np.zeros(both.shape[0])
    wanted[:rows] = np.concatenate([(v.target * v.precision**0.5).ravel() for v in views])
    wanted[-1] = 1.0
    noise = np.concatenate([np.ones(rows), np.zeros(constraints.shape[0])])
    ends = np.cumsum([prod(shape) for shape in tree.shapes])[:-1]
    # Shares of the people, multipliers of all rows, and slacks of shares ≥ 0.
    shares = np.concatenate([np.full(prod(s), 1 / prod(s)) for s in tree.shapes])
    multipliers = noise * (both @ shares - wanted)
    slope = transposed @ multipliers
    slacks = slope - slope.min() + np.abs(slope).mean() + 1.0
    while True:
        off_primal = wanted - both @ shares + noise * multipliers
        off_dual = slacks - transposed @ multipliers
        ratio = shares / slacks
        system = (both.multiply(ratio) @ transposed).toarray()
        system[np.diag_indices_from(system)] += np.maximum(noise, _REGULAR)
        try:
            factor = cho_factor(system, lower=True, overwrite_a=True, check_finite=False)
        except LinAlgError:
            return

        def direction(
            complement: Floats,
            slacks: Floats = slacks,
            factor: tuple[Floats, bool] = factor,
            ratio: Floats = ratio,
            off_primal: Floats = off_primal,
            off_dual: Floats = off_dual,
        ) -> tuple[Floats, Floats, Floats]:
            """Changes towards shares × slacks + complement, all else being met."""
            own = complement / slacks + ratio * off_dual
            change = cho_solve(factor, both @ own - off_primal, check_finite=False)
            of_shares = own - ratio * (transposed @ change)
            return of_shares, change, transposed @ change - off_dual

        # How far the gap closes without centring decides how near the centre to aim.
        gap = float(shares @ slacks)
        of_shares, _, of_slacks = direction(-shares * slacks)
        length = min(_longest(shares, of_shares), _longest(slacks, of_slacks))
        closed = float((shares + length * of_shares) @ (slacks + length * of_slacks))
        centre = (closed / gap) ** 3 * gap / shares.size
        of_shares, change, of_slacks = direction(centre - shares * slacks - of_shares * of_slacks)
        length = _TO_BORDER * min(_longest(shares, of_shares), _longest(slacks, of_slacks))
        shares = shares + length * of_shares
        multipliers = multipliers + length * change
        slacks = slacks + length * of_slacks
        if not (np.isfinite(shares).all() and np.isfinite(slacks).all()):
            return
        yield [
            part.reshape(shape) * people
            for part, shape in zip(np.split(shares, ends), tree.shapes, strict=True)
        ]


def _longest(values: Floats, changes: Floats) -> float:
    """The greatest step, at most 1/_TO_BORDER, that leaves values ≥ 0."""
    falling = changes < 0
    least = float((-values[falling] / changes[falling]).min()) if falling.any() else np.inf
    return min(least, 1 / _TO_BORDER)


def _matrices(
    tree: JunctionTree, views: Sequence[TableView], people: float
) -> tuple[csr_matrix, csr_matrix]:
    """Measured cells in standard errors, and constraints, of the shares of all cliques' cells."""
    cells = [prod(shape) for shape in tree.shapes]
    starts = np.concatenate([[0], np.cumsum(cells)])

    def sums(clique: int, shape: tuple[int, ...], factor: float) -> csr_matrix:
        entries = np.arange(prod(shape)).reshape(shape)
        rows = np.broadcast_to(entries, tree.shapes[clique]).ravel()
        columns = np.arange(starts[clique], starts[clique + 1])
        return csr_matrix(
            (np.full(rows.size, factor), (rows, columns)), shape=(entries.size, starts[-1])
        )

    measured = [sums(v.clique, v.target.shape, people * v.precision**0.5) for v in views]
    agreeing = [
        sums(s.child, s.along_child, 1.0) - sums(s.parent, s.along_parent, 1.0)
        for s in tree.separators
    ]
    everyone = sums(0, (1,) * len(tree.shapes[0]), 1.0)
    return vstack(measured).tocsr(), vstack([*agreeing, everyone]).tocsr()
