"""The form of each statement, as an example that a next step can show."""

import re

_WORD = re.compile(r"[A-Za-z]+")

BLOCKS: dict[str, str] = {
    "secgen": "secgen 1",
    "study": 'study "Title" { purpose "…" }',
    "silos": "silos hold patients { north terms open }",
    "helpers": 'helpers { university "University computing centre" }',
    "trust": "trust { tolerate 1 colluding party }",
    "person": "person { key patient; at most 1 sample; in at most 1 silo }",
    "columns": "columns { subtype category { A, B } else B }",
    "sets": 'sets NAME from "sets.gmt"',
    "public": 'public NAME from "table.csv" log2 "where it comes from"',
    "panel": "panel NAME expression log2 0..20 { GENE, GENE }",
    "privacy": "privacy { add or remove one person; epsilon 4; delta 1e-6 }",
    "measure": "measure { marginal COLUMN }",
    "release": "release { samples 500 to silos as csv }",
    "simulate": 'simulate { north "data/north.csv" }',
}
"""Opening word → an example of the whole block or line."""

_LINES: dict[str, tuple[tuple[str, str], ...]] = {
    "study": (("not", 'not for "…"'), ("", 'purpose "…"')),
    "silos": (
        ("approval", 'north "North Hospital" terms consent "GRU" approval "WHO AND WHEN"'),
        ("consent", 'north "North Hospital" terms consent "GRU"'),
        ("controlled", 'north "North Hospital" terms controlled "dbGaP phs000001"'),
        ("", 'north "North Hospital" terms open'),
    ),
    "helpers": (("", 'university "University computing centre"'),),
    "trust": (("", "tolerate 1 colluding party"),),
    "person": (
        ("key", "key patient"),
        ("keep", "keep earliest DATE_COLUMN"),
        ("expect", 'expect COLUMN VALUE ~ 15% "who says so"'),
        ("per", "at most 1 sample per COLUMN"),
        ("at", "at most 1 sample, or: in at most 1 silo, or: at most 1000 people in all"),
        ("in", "in at most 1 silo"),
        ("", "at most 1 sample"),
    ),
    "columns": (
        ("number", "NAME number 0..100 in bins at 20, 50"),
        ("mutation", "NAME mutation { NPM1, TP53 }"),
        ("", "NAME category { a, b } else b"),
    ),
    "privacy": (
        ("replace", "replace one person of exactly 1089"),
        ("add", "add or remove one person"),
        ("expect", 'expect COLUMN VALUE ~ 15% "who says so"'),
        ("learned", "learned bins using at most 15%"),
        ("mechanism", "mechanism gaussian"),
        ("delta", "delta 1e-6"),
        ("", "epsilon 4"),
    ),
    "measure": (
        ("moments", "moments PANEL by COLUMN in 12 factors from REFERENCE"),
        (
            "pairs",
            "marginal pairs of PANEL within SETS in 3 bins from REFERENCE "
            "keep 40 by correlation in REFERENCE",
        ),
        ("each", "marginal each GROUP * COLUMN"),
        ("share", "marginal COLUMN share 30%"),
        ("error", "marginal COLUMN error 5%, or: error 12 people"),
        ("", "marginal COLUMN * PANEL in 4 bins from REFERENCE weight 2"),
    ),
    "release": (
        ("named", 'samples 500 to named "Members of the consortium" as csv'),
        ("measurements", "measurements to silos"),
        ("", "samples 500 to silos as csv, h5ad"),
    ),
    "simulate": (("", 'north "data/north.csv"'),),
    "public": (
        ("labelled", 'public NAME from "table.csv" log2 labelled by COLUMN "where it comes from"'),
        (
            "aligned",
            'public NAME from "table.csv" log2_fpkm "where it comes from" aligned by BRIDGE',
        ),
        ("and", 'public NAME from "a.csv" log2_fpkm and "b.csv" vst "the same samples"'),
        ("", BLOCKS["public"]),
    ),
    "panel": (
        (
            "as",
            "panel NAME expression counts as log2(cpm + 1) 0..16 library size from column TOTAL "
            "{ GENE, GENE }",
        ),
        (
            "library",
            "panel NAME expression counts as log2(cpm + 1) 0..16 library size from column TOTAL "
            "{ GENE, GENE }",
        ),
        ("missing", "panel NAME expression log2 0..20 missing is 0 { GENE, GENE }"),
        ("", BLOCKS["panel"]),
    ),
}
"""Block or line → examples of its statements, each behind a word that tells it from the others."""

STATEMENTS = frozenset(
    {
        *BLOCKS,
        "marginal",
        "moments",
        "expect",
        "samples",
        "measurements",
        "key",
        "tolerate",
        "epsilon",
        "delta",
    }
)
"""Words that begin a statement and hardly anything else."""

KEYWORDS = frozenset(
    {
        *("to", "as", "in", "at", "by", "from", "bins", "equal", "weight", "terms", "source"),
        *("else", "category", "expression", "colluding", "party", "parties", "people"),
        *("sample", "samples", "silo", "silos", "share", "error", "keep", "within", "per"),
    }
)
"""Words that follow a number or a text: in its place they show that it is missing."""


SELDOM = frozenset({"as"})
"""Words that can stand in a place, but are hardly ever what is missing there."""


def form_of(block: str, statement: str, *, inside: bool) -> str:
    """An example of a statement.

    Args:
        block: the opening word of the block (or of the line outside all blocks).
        statement: its text as far as it could be read, and the word behind that.
        inside: whether the statement stands inside the block's braces.

    Returns:
        An example, or an empty text where the block is not known.
    """
    if not inside and block not in ("public", "panel"):
        return BLOCKS.get(block, "")
    words = set(_WORD.findall(statement))
    return next((form for word, form in _LINES.get(block, ()) if not word or word in words), "")
