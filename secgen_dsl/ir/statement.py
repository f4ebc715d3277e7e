"""A marginal in the canonical words of the language, derived from what it is."""

from fractions import Fraction

from secgen_dsl.ir.program import Marginal, decimal_text


def statement_of(
    columns: tuple[str, ...],
    panel: str | None,
    bins: int,
    binning: str,
    reference: str,
    edges: tuple[tuple[Fraction, ...], ...],
    weight: Fraction,
) -> str:
    """``marginal a * b * panel in 4 bins from R weight 2``."""
    factors = " * ".join((*columns, panel) if panel is not None else columns)
    phrase = {
        "none": "",
        "equal": f" in {bins} equal bins",
        "at": " in bins at "
        + ", ".join(decimal_text(edge) for edge in (edges[0] if edges else ())),
        "reference": f" in {bins} bins from {reference}",
    }[binning]
    weighted = f" weight {decimal_text(weight)}" if weight != 1 else ""
    return f"marginal {factors}{phrase}{weighted}"


def canonical_statement(marginal: Marginal) -> str:
    """The statement that ``marginal.statement`` must equal."""
    return statement_of(
        marginal.columns,
        marginal.panel,
        marginal.bins,
        marginal.binning,
        marginal.reference,
        marginal.edges,
        marginal.weight,
    )
