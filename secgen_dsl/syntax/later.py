"""Words that the language has, or will have, but this release does not: rejected by name."""

_NEXT = "leave it out for now"

OPENS_LATER = ("counts", "each", "named", "pairs")
"""Words that pass for a name: what follows them does not fit, but they are what is meant."""

LATER: dict[str, tuple[str, str]] = {
    "quantile": (
        "bins at quantiles of the private data are not possible",
        "write `in 4 bins from REFERENCE` with a public table: the data's own quantiles move with "
        "each patient, by more than the noise hides",
    ),
    "learned": (
        "bins learned from the data come with a later release",
        "write `in 4 bins from REFERENCE` or `in 4 equal bins`",
    ),
    "moments": ("moments come with a later release", "measure `marginal LABEL * PANEL` instead"),
    "pairs": ("gene pairs come with a later release", "measure `marginal LABEL * PANEL` instead"),
    "each": ("`each` comes with a later release", "write one marginal a line"),
    "per": ("`per` comes with a later release", "write: at most 1 sample"),
    "sets": ("gene sets come with a later release", "list the genes in a panel"),
    "number": (
        "number columns come with a later release",
        "use a category column with the ranges as values",
    ),
    "mutation": (
        "mutation columns come with a later release",
        "use a category column { yes, no, untested }",
    ),
    "replace": (
        "`replace one person` comes with a later release",
        "write `add or remove one person`",
    ),
    "share": ("`share` comes with a later release", "use `weight`"),
    "error": ("accuracy targets come with a later release", "use `weight`"),
    "expect": ("`expect` comes with a later release", _NEXT),
    "mechanism": ("the choice of mechanism comes with a later release", _NEXT),
    "keep": (
        "`keep` comes with a later release",
        "remove it: one sample a person is kept by chance",
    ),
    "aligned": (
        "`aligned by` comes with a later release",
        "give the reference in the panel's unit",
    ),
    "missing": ("`missing is` comes with a later release", _NEXT),
    "counts": ("`counts as` comes with a later release", "give the table in log2 units"),
    "approval": ("`approval` comes with a later release", "release to silos only"),
    "named": ("named audiences come with a later release", "release to silos or to public"),
    "registered": (
        "registered audiences come with a later release",
        "release to silos or to public",
    ),
    "noise": (
        "`noise joint` is not in version 1",
        "each party draws its own noise; remove the line",
    ),
    "selected": (
        "selecting marginals by the data is not in version 1",
        "name the panel's genes from public knowledge",
    ),
}
