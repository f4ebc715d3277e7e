"""What an audit finds: checks with their outcomes."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Outcome = Literal["holds", "fails", "could not be checked"]
Group = Literal["plan", "approvals", "execution", "opened values", "ledger", "results", "all sites"]
GROUPS: tuple[Group, ...] = (
    "plan", "approvals", "execution", "opened values", "ledger", "results", "all sites",
)  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """What one check came to.

    Attributes:
        group: what it is about.
        check: what was checked, as it would be if it held.
        outcome: of the check.
        site: whose files; empty: several sites'.
        words: why it fails, or what it lacks; a remark where it holds.
        file: the file that it is about, or that is missing.
    """

    group: Group
    check: str
    outcome: Outcome
    site: str
    words: str = ""
    file: str = ""


class Report:
    """Takes the findings of a site's checks."""

    def __init__(self, site: str) -> None:
        self.site = site
        self.findings: list[Finding] = []

    def check(
        self, group: Group, check: str, faults: Iterable[str], file: str = "", remark: str = ""
    ) -> bool:
        """Note that a check holds, if there are no faults, or fails."""
        found = list(faults)
        outcome: Outcome = "fails" if found else "holds"
        words = "; ".join(found[:3]) + (f"; and {len(found) - 3} more" if len(found) > 3 else "")
        self.findings.append(Finding(group, check, outcome, self.site, words or remark, file))
        return not found

    def lacks(self, group: Group, check: str, words: str, file: str = "") -> None:
        """Note that a check could not be made."""
        self.findings.append(Finding(group, check, "could not be checked", self.site, words, file))
