"""Queries: what a spec asks for, and what the planner adds to serve it.

A spec has tables of counts (``Marginal``, ``PairMarginal``) and ``Moments``.  What is measured are
tables, sums of clipped vectors and second moments.
"""

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from secgen_dsl.ir.base import Node, Rational

Binning = Literal["equal", "at", "reference", "reference-else-equal", "learned"]
"""Where edges come from: equal bins of the range, the spec, quantiles of a public table (with
``else-equal`` genes that the table lacks have equal bins), or noised moments of an earlier round.
"""


class ErrorTarget(Node):
    """The accuracy that a statement asks for: one standard error of a cell as released.

    Attributes:
        unit: ``people``, or ``percent`` of the people's bound ÷ label cells.
        value: > 0.
    """

    unit: Literal["percent", "people"]
    value: Rational


class Importance(Node):
    """How much of the budget a query gets.

    Attributes:
        weight: importance relative to the other queries of the same pool, > 0.
        share: the fraction of μ² that the query alone gets, or None: it is in the common pool.
        error: a bound on its standard error, or None.
    """

    weight: Rational
    share: Rational | None
    error: ErrorTarget | None


class Standard(Node):
    """The public scale on which genes are summed: (value − centre)/scale, one pair a gene.

    Attributes:
        reference: the public table that gives it; empty: the middle and a sixth of the range, or
            in place of that, for moments, what a first round says (``ir/learned``).
        centres: in the panel's unit.
        scales: > 0.
    """

    reference: str
    centres: tuple[Rational, ...]
    scales: tuple[Rational, ...]


class LearnedBins(Node):
    """Edges that a first round's noised moments decide: centre + scale·(mean + deviation·q).

    Attributes:
        standard: of the genes.
        quantiles: for each gene B − 1 numbers q, non-decreasing: of the standardised public table,
            or of the normal law.
        part: of the query's own budget, what learning its edges may use, 0 < part < 1.
    """

    standard: Standard
    quantiles: tuple[tuple[Rational, ...], ...]
    part: Rational


class Marginal(Node):
    """Counts of people by categories, and for a panel by the bin of each gene.

    Without a panel it is one table with a cell for each combination of the columns' values.  With
    a panel it is one table a gene: rows are the combinations (the *label cells*), columns the bins.

    Attributes:
        id: unique name within the program, for example ``subtype*cycle``.
        statement: the statement in canonical words, as the documents show it.
        columns: names of columns; the cell index runs fastest over the last one.
        panel: name of the panel, or None.
        gene: one gene of the panel (``panel.gene``), or None: all of them.
        bins: number of bins B ≥ 2 of each gene; 1 without a panel.
        binning: where the edges come from; ``none`` without a panel.
        reference: the public reference of the edges; empty unless they are its quantiles.
        edges: for each gene, its B − 1 inner edges, non-decreasing and within the panel's range.
            Bin b is [edge b−1, edge b), the last one closed.  None where they are learned.
        learned: how edges are learned; None unless ``binning`` is ``learned``.
    """

    kind: Literal["marginal"]
    id: str
    statement: str
    columns: tuple[str, ...]
    panel: str | None
    gene: str | None
    bins: int
    binning: Literal["none"] | Binning
    reference: str
    edges: tuple[tuple[Rational, ...], ...]
    learned: LearnedBins | None
    importance: Importance


class PairMarginal(Node):
    """Counts of people by the bins of two genes, one table for each of a list of gene pairs.

    By labels, a table has a block of bins by bins for each combination of the columns' values.

    The list is public: it comes from gene sets and a public table only, never from silos' data.

    Attributes:
        columns: names of the label columns; the block index runs fastest over the last one.  Empty:
            the tables have one block, of everybody.
        panel: name of the panel of all genes.
        sets: name of the gene sets that both genes of a pair are in one of; empty: any two genes.
        set_names: those sets that count; empty: all of them.
        keep: so many pairs were kept, those of greatest correlation in ``keep_by``; None: all.
        keep_by: a public reference; empty unless ``keep`` is set.
        genes: the genes of the pairs, in the panel's order.
        pairs: positions (i, j) in ``genes`` with i < j, in rising order.
        bins: number of bins B ≥ 2 of each gene.
        edges: for each of ``genes``, its B − 1 inner edges.
    """

    kind: Literal["pairs"]
    id: str
    statement: str
    columns: tuple[str, ...]
    panel: str
    sets: str
    set_names: tuple[str, ...]
    keep: int | None
    keep_by: str
    genes: tuple[str, ...]
    pairs: tuple[tuple[int, int], ...]
    bins: int
    binning: Binning
    reference: str
    edges: tuple[tuple[Rational, ...], ...]
    importance: Importance


class Moments(Node):
    """Means of a panel's genes, and means by label and a second moment of public factors of them.

    It stands for a label histogram, a vector sum of the genes, one of the factor scores by label,
    and a second moment of the scores; the planner adds them.

    Attributes:
        columns: the labels.
        source: the public table, or the gene sets, that the factors come from.
        standard: of the genes; without a table it is that of a first round, which opens a sum of
            the genes (``centres``), and what is opened replaces it for all other sums.
        loadings: K rows of G whole numbers, in units of 2^−14: a score is the sum of a person's
            standardised genes times its row.
        divisors: K numbers > 0; a score is divided by its own before it is clipped, so that
            noise is shared evenly.
        variances: K numbers > 0, of the scores in the public table, before the division.
    """

    kind: Literal["moments"]
    id: str
    statement: str
    columns: tuple[str, ...]
    panel: str
    source: str
    standard: Standard
    loadings: tuple[tuple[int, ...], ...]
    divisors: tuple[Rational, ...]
    variances: tuple[Rational, ...]
    importance: Importance

    @property
    def learns_scale(self) -> bool:
        """A first round decides the scale, for no public table gives it."""
        return not self.standard.reference


class VectorSum(Node):
    """A sum of L2-clipped vectors of whole numbers, one a sample; made by the planner.

    Attributes:
        serves: id of the query that it was made for.
        content: ``means`` are a panel's standardised genes, with one entry more of a quarter of
            the clip that counts people; ``centres`` the same, on the public scale, where moments
            learn theirs; ``squares`` their squares; ``scores`` factor scores.
        columns: labels; each label cell has a sum of its own.
        coordinates: length of a vector.
        clip: C ≥ 1: a person's vector is shrunk to an L2 norm of at most C.
    """

    kind: Literal["vector-sum"]
    id: str
    statement: str
    serves: str
    content: Literal["centres", "means", "squares", "scores"]
    columns: tuple[str, ...]
    coordinates: int
    clip: int


class SecondMoment(Node):
    """A sum of products f_i·f_j of clipped factor scores: K squares, then all products i < j.

    Attributes:
        serves: id of the moments.
        coordinates: K.
        clip: C ≥ 1, of the scores.
    """

    kind: Literal["second-moment"]
    id: str
    statement: str
    serves: str
    coordinates: int
    clip: int


Table: TypeAlias = Marginal | PairMarginal
"""Counts of people."""

Vector: TypeAlias = VectorSum | SecondMoment
"""Sums of clipped vectors."""

Asked: TypeAlias = Annotated[Marginal | PairMarginal | Moments, Field(discriminator="kind")]
"""What a spec asks for."""

Query: TypeAlias = Annotated[
    Marginal | PairMarginal | VectorSum | SecondMoment, Field(discriminator="kind")
]
"""What is measured."""


def as_table(query: "Marginal | PairMarginal | Moments | VectorSum | SecondMoment") -> Table:
    """The query, which is known to count people.  Raises TypeError if it does not."""
    if isinstance(query, Marginal | PairMarginal):
        return query
    raise TypeError(f"{query.id} does not count people")
