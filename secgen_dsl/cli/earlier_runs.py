"""What earlier runs left in the parties' folder, and what a run added to its ledgers.

Only public facts are read: which plans were debited, and whether a noised input is stored.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from secgen_dsl.diagnostics.diagnostic import fail
from secgen_dsl.ir.plan import Plan
from secgen_dsl.ir.program import decimal_text

_STORE = "store.sqlite"


@dataclass(frozen=True)
class Earlier:
    """The parties' folder as it stands.

    Attributes:
        entries: silo → number of entries in its ledger.
        stored: silos that hold a noised input for the first round of this very plan and its
            parties, and have not erased it.
        debited: whether a silo's ledger has an entry for this plan.
    """

    entries: Mapping[str, int]
    stored: tuple[str, ...]
    debited: bool

    def goes_on(self) -> bool:
        """Whether a run of the plan with mpyc costs no silo anything."""
        return len(self.stored) == len(self.entries)


def read_earlier(plan: Plan, state: Path) -> Earlier:
    """Look into every silo's store; none is made.

    Args:
        state: folder of the parties' private folders; it need not exist.

    Raises:
        SecgenError: SG512, SG802, SG803.
    """
    from secgen_dsl.backends.mpyc.supervision import folder_of
    from secgen_dsl.ir.base import sha256_of
    from secgen_dsl.runtime.store import ContributionStore, first_key

    digest = sha256_of(plan)
    entries: dict[str, int] = {}
    stored: list[str] = []
    debited = False
    for silo in plan.program.silos:
        path = folder_of(state, silo.name) / _STORE
        entries[silo.name] = 0
        if not path.exists():
            continue
        with ContributionStore(path) as store:
            ledger = store.ledger()
            if store.holds(first_key(plan, plan.parties.index(silo.name))):
                stored.append(silo.name)
        entries[silo.name] = len(ledger.entries)
        debited = debited or any(entry.plan_sha256 == digest for entry in ledger.entries)
    return Earlier(entries, tuple(stored), debited)


def require_own_plan(plan: Plan, state: Path) -> None:
    """Refuse a results' folder in which the run of another plan was cut off.

    Raises:
        SecgenError: SG702; SG512, SG802, SG803 of a ledger in it.
    """
    from secgen_dsl.ir.base import sha256_of
    from secgen_dsl.runtime.database import read_ledger_file

    digest = sha256_of(plan)
    entries = [
        entry
        for path in sorted(state.glob(f"*/{_STORE}"))
        for entry in read_ledger_file(path).entries
    ]
    if not entries or any(entry.plan_sha256 == digest for entry in entries):
        return
    other = entries[-1]
    raise fail(
        "SG702",
        f"the folder holds the unfinished run of another plan: {other.plan_sha256[:12]}…, debited "
        f"on {other.date} (parties {', '.join(other.parties)})",
        place=str(state.parent),
        next_step="give the name of a new folder with --out, or finish the other plan first: "
        f"`secgen run` with its spec and this --out; --state {state} beside a new --out enters "
        "both plans in the same ledgers",
    )


def announcement(
    earlier: Earlier, backend: Literal["mpyc", "plaintext"], folder_option: str
) -> str:
    """What to know before the run: whether it goes on, or draws a second time; else empty.

    Args:
        folder_option: by which a run on other data gets a folder of its own.
    """
    if backend == "plaintext":
        if not earlier.debited:
            return ""
        return (
            "this plan was debited here before; the plaintext backend stores no noised counts: it "
            "draws anew and debits again"
        )
    if earlier.goes_on():
        return (
            "going on from an earlier run: every silo stored its noised counts for this plan and "
            "uses them, whatever its data file now says, at no cost in privacy; for other data "
            f"give a new {folder_option} (which spends again)"
        )
    if earlier.stored:
        none = [name for name in earlier.entries if name not in earlier.stored]
        return (
            "an earlier run of this plan was cut off: noised counts are stored, and used whatever "
            f"the data file now says, by {', '.join(earlier.stored)}, and not by {', '.join(none)}"
        )
    return ""


def debits_made(plan: Plan, before: Earlier, after: Earlier) -> str:
    """What the run was debited, in words."""
    new = {
        name: after.entries[name] - count
        for name, count in before.entries.items()
        if after.entries[name] > count
    }
    silos = len(before.entries)
    if not new:
        return f"no debit: entries of an earlier run pay for this one in {_ledgers(silos)}"
    epsilon = decimal_text(plan.program.privacy.epsilon)
    text = f"debited epsilon {epsilon} in {_ledgers(len(new))}"
    if len(new) < silos:
        text += f" ({', '.join(new)}); no debit in the {silos - len(new)} other"
    return text


def _ledgers(count: int) -> str:
    return "1 ledger" if count == 1 else f"{count} ledgers"
