"""Which marginals hold the main effects of double-centred gene pairs: each gene's own bin counts.

A double-centred table tells how two genes' bins depend on each other.  How many people each bin of
one gene holds is in that gene's own table, if it has the same bins, summed over its labels: over
those that the pairs lack, where they have labels themselves.
"""

from collections.abc import Mapping, Sequence

from secgen_dsl.ir.program import Program
from secgen_dsl.ir.queries import Marginal, PairMarginal


def main_effects(program: Program, pairs: PairMarginal) -> Mapping[str, Sequence[Marginal]]:
    """Gene of the pairs → the marginals that count it in the same bins, in the program's order.

    Same bins are those of the same panel with the same edges.  No marginal's may be learned: their
    edges are not known before the run.  All labels of the pairs are among the marginal's.  A gene
    that no such marginal counts has an empty list.
    """
    found: dict[str, list[Marginal]] = {gene: [] for gene in pairs.genes}
    edges = dict(zip(pairs.genes, pairs.edges, strict=True))
    for query in program.queries:
        if not isinstance(query, Marginal) or not set(pairs.columns) <= set(query.columns):
            continue
        if query.panel == pairs.panel and query.learned is None:
            for gene, own in zip(program.genes(query), query.edges, strict=True):
                if edges.get(gene) == own:
                    found[gene].append(query)
    return found
