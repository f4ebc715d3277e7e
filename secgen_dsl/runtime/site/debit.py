"""What a plan costs a site, by the site's own description."""

from pathlib import Path

from secgen_dsl.ir.plan import Plan
from secgen_dsl.privacy.spend import spend_of
from secgen_dsl.runtime.ledger import Debit
from secgen_dsl.runtime.site.description import Site


def debit_of(plan: Plan, path: Path, place: str) -> Debit:
    """The debit of a verified plan.  Reads no data.

    Args:
        path: the site's site.toml, or a table, which has no policy.
        place: the site's name, for diagnostics.

    Raises:
        SecgenError: SG418, the site.toml cannot be used.
    """
    site = Site(path, place)
    description = site.description
    return Debit(spend_of(plan), description.cohort.id, description.policy, site.where)
