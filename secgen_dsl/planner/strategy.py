"""How each marginal is measured: plain tables, or row-centred tables beside a label histogram."""

from fractions import Fraction

from secgen_dsl.ir.plan import LinearMap
from secgen_dsl.ir.program import Marginal, Program
from secgen_dsl.ir.statement import statement_of
from secgen_dsl.planner.allocation import Measured, allocate, objective
from secgen_dsl.privacy.sensitivity import marginal_sensitivity_squared


def choose(program: Program, mu: Fraction) -> tuple[Measured, ...]:
    """The measured marginals of least weighted total variance, in the program's order, added last.

    Row-centred tables with a label histogram are ResidualPlanner's optimum for one label × gene
    workload (PRIVACY 2.2).  With several workloads that share label histograms, and floors on the
    noise, the best choice is found by toggling one marginal at a time, from all centred; each
    toggle must lower the objective of the optimal allocation.

    Args:
        mu: μ > 0 of the whole plan; the floors make the choice depend on it.
    """
    with_panel = [m for m in program.marginals if m.panel is not None]
    honest = len(program.parties) - program.tolerated

    def cost(centred: set[str]) -> Fraction:
        measured = _measured(program, centred)
        return objective(measured, allocate(measured, mu, honest))

    centred = {m.id for m in with_panel}
    best = cost(centred)
    improved = True
    while improved:
        improved = False
        for marginal in with_panel:
            toggled = centred ^ {marginal.id}
            toggled_cost = cost(toggled)
            if toggled_cost < best:
                centred, best, improved = toggled, toggled_cost, True
    return _measured(program, centred)


def _measured(program: Program, centred: set[str]) -> tuple[Measured, ...]:
    marginals = [*program.marginals]
    histograms = {frozenset(m.columns): m for m in marginals if m.panel is None}
    # What the rows' totals add to the variance of a centred table's cells, by label columns.
    burden: dict[frozenset[str], Fraction] = {}
    for marginal in program.marginals:
        if marginal.id not in centred:
            continue
        labels = frozenset(marginal.columns)
        if labels not in histograms:
            histograms[labels] = _histogram(program, marginal)
            marginals.append(histograms[labels])
        tables, label_cells, bins = program.shape(marginal)
        extra = marginal.weight * tables * Fraction(label_cells, bins)
        burden[labels] = burden.get(labels, Fraction(0)) + extra
    own = {marginal.id for marginal in program.marginals}
    measured = []
    for marginal in marginals:
        tables, label_cells, bins = program.shape(marginal)
        linear_map: LinearMap = "centred" if marginal.id in centred else "identity"
        # A centred cell is (y + N)/B: variance s²·(B − 1)/B + σ_N²/B², hence (B − 1)·s² a row.
        free_cells = label_cells * (bins - 1 if linear_map == "centred" else bins)
        coefficient = marginal.weight * free_cells if marginal.id in own else Fraction(0)
        if marginal.panel is None:
            coefficient += burden.get(frozenset(marginal.columns), Fraction(0))
        measured.append(
            Measured(
                marginal=marginal,
                map=linear_map,
                tables=tables,
                table_sensitivity_squared=marginal_sensitivity_squared(1, bins, linear_map),
                coefficient=coefficient,
            )
        )
    return tuple(measured)


def _histogram(program: Program, marginal: Marginal) -> Marginal:
    """The label histogram that a centred marginal needs."""
    taken = {m.id for m in program.marginals}
    identifier = "*".join(marginal.columns)
    if identifier in taken:
        identifier += " (labels)"
    return Marginal(
        kind="marginal",
        id=identifier,
        statement=statement_of(marginal.columns, None, 1, "none", "", (), Fraction(1)),
        columns=marginal.columns,
        panel=None,
        bins=1,
        binning="none",
        reference="",
        edges=(),
        weight=Fraction(1),
    )
