"""Exact sensitivities of queries, squared L2 and L1, from public facts alone.

A query is T tables, and a sample adds 1 to at most one cell of each.  How much one *person* can
change a table depends on how many samples may count, and where they may fall (PRIVACY 1.3, c):

* at most k samples at each of at most s silos: up to ``c = k·s`` samples, all perhaps in one cell;
* at most k samples *per column D*: a table over D keeps the V values of D apart, so up to ``k·s``
  samples fall into each of V groups of cells; a table without D may get all ``V·k·s`` in one cell.

With V groups of at most c samples, the squared change of one table, in units of the noise of one
raw cell, is at most

====================  ================  ===============
linear map A          add or remove     replace one
====================  ================  ===============
identity              V·c²              2·V·c²
centred (B bins)      V·c²·(1 − 1/B)    2·V·c²
double-centred        V·c²·(1 − 1/B)²   2·V·c²·(1 − 1/B)
====================  ================  ===============

*Derivation.*  Let d be the change of one table's cells.  Add or remove: d ≥ 0 and sums to at most
c within each group; ‖d‖² is convex, so its maximum is at a corner, c in one cell of each group.
Replace: d is a difference of two such vectors, largest when they share no cell.  Centred: each
row r of d becomes P·r with P = I − 11ᵀ/B, and ‖P·r‖² = ‖r‖² − (Σr)²/B; a row belongs to one
group; add or remove puts c into one cell of it, replace may move c from one bin to another.
T tables give T times the value: their squares add.

Double-centred: d is a B×B block for each label cell, and each becomes (P⊗P)·d.  With e_b the unit
block of a cell, ⟨(P⊗P)e_b, (P⊗P)e_b′⟩ = P_ii′·P_jj′ for b = (i, j), b′ = (i′, j′), so
‖(P⊗P)e_b‖² = (1 − 1/B)²; cells of different blocks are orthogonal.  Add or remove: the triangle
inequality over at most c samples of a group.  Replace: ‖(P⊗P)(x − x′)‖² is convex in (x, x′), hence
greatest at corners, c·e_b against c·e_b′ or 0: in one block 2c²(1 − 1/B)² − 2c²·P_ii′·P_jj′, which
is 2c²(1 − 1/B) in one row or column and 2c²(1 − 2/B) elsewhere; in two blocks 2c²(1 − 1/B)², which
is less than the first.  A block belongs to one group, so the squares of V groups add.  (Nothing is
centred over labels: that would be another map, of another sensitivity.)

**Vectors.**  A clipped vector has an L2 norm of at most C.  In a sum by label with V groups of at
most c samples, a person moves each group's sums by at most c·C, or under replace-one by 2c·C
(from v to −v in one cell): Δ² ≤ V·c²·C², or 4·V·c²·C².  A second moment opens ``f_i·f_j`` with
noise of variance σ² on squares and σ²/2 on products i < j, which weighs a product twice: in units
of σ the change of one sample is ``Σ f_i⁴ + 2·Σ_{i<j} f_i²f_j² = ‖f‖⁴ ≤ C⁴``, that is the Frobenius
norm of f·fᵀ.  c samples give at most c·C² by the triangle inequality; under replace-one both sums
are positive semidefinite, so their inner product is not negative and Δ² ≤ 2·c²·C⁴ (PRIVACY 1.3;
the row "Gram/covariance").

**L1**, for Laplace noise, of plain tables: a sample adds 1 to at most one cell of each table, so a
person adds at most V·c to it, and replacing one moves at most twice that (PRIVACY 1.3).

**Why the projection, and not ‖A d‖².**  A centred release is ``y = A(x + z)`` with the noise z
drawn on the raw cells, *before* A.  A = B·P scales signal and noise alike, so the metric in which
y's noise is spherical with variance s² is that of P.  Were noise added after A, one person would
move B·v − Σv by B(B − 1) against the same s²: an ε = 4 plan would be one of ε = 22 (PROTOCOL,
step 3).
"""

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from secgen_dsl.ir.plan import LinearMap
from secgen_dsl.ir.program import Program
from secgen_dsl.ir.queries import Query, SecondMoment, Table, VectorSum


@dataclass(frozen=True)
class Contribution:
    """What one person may add to one table.

    Attributes:
        groups: V ≥ 1, groups of cells that the person's samples may fall into.
        samples: c ≥ 1, samples in each group, at most.
        replace: the person's samples are replaced, rather than added or removed.
    """

    groups: int
    samples: int
    replace: bool

    def __post_init__(self) -> None:
        if self.groups < 1 or self.samples < 1:
            raise ValueError("a contribution needs at least one group and one sample")

    @property
    def touched_rows(self) -> int:
        """In at most so many label rows of a table the two neighbouring inputs differ."""
        return self.groups * self.samples * (2 if self.replace else 1)


def contribution_of(program: Program, query: Query) -> Contribution:
    """What one person may add to one table of a query of a program."""
    person = program.person
    samples = person.samples * person.silos
    replace = program.privacy.adjacency == "replace-one"
    if person.per is None:
        return Contribution(1, samples, replace)
    values = len(program.column(person.per).values)
    labels = () if isinstance(query, SecondMoment) else query.columns
    if person.per in labels:
        return Contribution(values, samples, replace)
    return Contribution(1, values * samples, replace)


def sensitivity_squared(program: Program, query: Query, linear_map: LinearMap) -> Fraction:
    """Squared L2 sensitivity of a whole release, in units of the noise of a raw cell.

    Args:
        linear_map: of tables; vectors have ``identity``.

    Raises:
        ValueError: a map that the query cannot have.
    """
    contribution = contribution_of(program, query)
    if isinstance(query, VectorSum | SecondMoment):
        if linear_map != "identity":
            raise ValueError("a vector has no other map than the identity")
        moved = contribution.groups * contribution.samples**2
        if isinstance(query, VectorSum):
            return Fraction(moved * query.clip**2 * (4 if contribution.replace else 1))
        return Fraction(moved * query.clip**4 * (2 if contribution.replace else 1))
    table = table_sensitivity_squared(query.bins, linear_map, contribution)
    return program.tables(query) * table


def l1_sensitivity(program: Program, query: Table) -> int:
    """L1 sensitivity of a whole release of plain tables, in people."""
    contribution = contribution_of(program, query)
    moved = contribution.groups * contribution.samples * (2 if contribution.replace else 1)
    return program.tables(query) * moved


@lru_cache(maxsize=1024)  # plans have thousands of tables of a few kinds
def table_sensitivity_squared(
    bins: int, linear_map: LinearMap, contribution: Contribution
) -> Fraction:
    """Squared L2 sensitivity of one table, in units of the noise of one raw cell.

    Args:
        bins: B ≥ 1 for ``identity`` (it plays no part), else B ≥ 2.
        linear_map: the map A, which is applied after the noise.
        contribution: of one person to one table.

    Raises:
        ValueError: a number out of its range.
    """
    if bins < 1:
        raise ValueError(f"bins ({bins}) must be positive")
    moved = Fraction(contribution.groups * contribution.samples**2)
    if linear_map != "identity" and bins < 2:
        raise ValueError("a centred table needs at least two bins")
    left = 1 - Fraction(1, bins)
    if linear_map == "double-centred":
        return moved * (2 * left if contribution.replace else left**2)
    if contribution.replace:
        return 2 * moved
    return moved * left if linear_map == "centred" else moved
