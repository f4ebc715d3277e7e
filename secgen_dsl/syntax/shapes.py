"""The form of each statement, as an example that a next step can show."""

BLOCKS: dict[str, str] = {
    "secgen": "secgen 1",
    "study": 'study "Title" { purpose "…" }',
    "silos": "silos hold patients { north terms open }",
    "helpers": 'helpers { university "University computing centre" }',
    "trust": "trust { tolerate 1 colluding party }",
    "person": "person { key patient; at most 1 sample; in at most 1 silo }",
    "columns": "columns { subtype category { A, B } else B }",
    "public": 'public NAME from "table.csv" log2 "where it comes from"',
    "panel": "panel NAME expression log2 0..20 { GENE, GENE }",
    "privacy": "privacy { add or remove one person; epsilon 4; delta 1e-6 }",
    "measure": "measure { marginal COLUMN }",
    "release": "release { samples 500 to silos as csv }",
    "simulate": 'simulate { north "data/north.csv" }',
}
"""Opening word → an example of the whole block or line."""

_LINES: dict[str, dict[str, str]] = {
    "study": {"": 'purpose "…"', "not": 'not for "…"'},
    "silos": {"": 'north "North Hospital" terms open'},
    "helpers": {"": 'university "University computing centre"'},
    "trust": {"": "tolerate 1 colluding party"},
    "person": {
        "": "at most 1 sample",
        "key": "key patient",
        "at": "at most 1 sample, or: in at most 1 silo, or: at most 1000 people in all",
        "in": "in at most 1 silo",
    },
    "columns": {"": "NAME category { a, b } else b"},
    "privacy": {
        "": "epsilon 4",
        "add": "add or remove one person",
        "delta": "delta 1e-6",
    },
    "measure": {"": "marginal COLUMN * PANEL in 4 bins from REFERENCE weight 2"},
    "release": {
        "": "samples 500 to silos as csv, h5ad",
        "measurements": "measurements to silos",
    },
    "simulate": {"": 'north "data/north.csv"'},
}

STATEMENTS = frozenset(
    {*BLOCKS, "marginal", "samples", "measurements", "key", "tolerate", "epsilon", "delta"}
)
"""Words that begin a statement and hardly anything else."""

KEYWORDS = frozenset(
    {
        *("to", "as", "in", "at", "by", "from", "bins", "equal", "weight", "terms", "source"),
        *("else", "category", "expression", "colluding", "party", "parties", "people"),
        *("sample", "samples", "silo", "silos"),
    }
)
"""Words that follow a number or a text: in its place they show that it is missing."""


def form_of(block: str, word: str, *, inside: bool) -> str:
    """An example of the statement that begins with ``word``.

    Args:
        block: the opening word of the block (or of the line outside all blocks).
        word: the statement's first word.
        inside: whether the statement stands inside the block's braces.

    Returns:
        An example, or an empty text where the block is not known.
    """
    if not inside:
        return BLOCKS.get(word, "")
    lines = _LINES.get(block, {})
    return lines.get(word, lines.get("", ""))
