"""Words that the language does not have, or not yet: rejected by name, with a way round."""

OPENS_LATER = ("noise",)
"""Words that pass for a name: what follows them does not fit, but they are what is meant."""

LATER: dict[str, tuple[str, str]] = {
    "quantile": (
        "bins at quantiles of the private data are not possible",
        "write `in 4 bins from REFERENCE` with a public table: the data's own quantiles move with "
        "each patient, by more than the noise hides",
    ),
    "noise": (
        "`noise joint` is not in version 1",
        "each party draws its own noise; remove the line",
    ),
    "selected": (
        "selecting marginals by the data is not in version 1",
        "name the panel's genes from public knowledge; gene pairs are kept by a public table: "
        "keep 40 by correlation in REFERENCE",
    ),
}
