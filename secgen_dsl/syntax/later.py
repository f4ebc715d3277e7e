"""Words that the language does not have, or not yet: rejected by name, with a way round."""

import re

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

_ROW_BY_ROW = (
    "leave it out; row by row there is: panel NAME expression counts as log2(cpm + 1) 0..16 "
    "library size from column NAME { GENE, GENE }"
)
_CHOSEN = (
    "list the genes, or name a file of them: panels are chosen from public knowledge, since genes "
    "that the data choose tell of the data"
)
MIXING: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(rf"(?:{pattern})(?![\w-])", re.IGNORECASE), next_step)
    for pattern, next_step in (
        (
            r"z[-_ ]?scored?s?|standardi[sz](?:e|ed|ing|ation)"
            r"|(?:quantile[-_ ]?)?normali[sz](?:e|ed|ing|ation)"
            r"|size[-_ ]?factors?|tmm|rle|deseq2?|median[-_ ]of[-_ ]ratios|vst|rlog|voom"
            r"|combat(?:[-_ ]?seq)?|(?:remove[-_ ]?)?batch[-_ ]?(?:correct\w*|effects?|adjust\w*)",
            _ROW_BY_ROW,
        ),
        (
            r"filter(?:ed|s|ing)?|(?:most|highly)[-_ ]variable|variance[-_ ]filter\w*|hvgs?",
            _CHOSEN,
        ),
    )
)
"""Names of what looks at several people's rows before they are counted, and what to do instead."""


def mixes_people(text: str, offset: int = 0) -> tuple[str, str] | None:
    """The name of such a step that stands at ``offset``, and what to do instead."""
    for pattern, next_step in MIXING:
        match = pattern.match(text, offset)
        if match is not None:
            return match.group(), next_step
    return None
