"""`secgen ledger`: what was spent on a site's people, and what the next study would cost."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING

import click

from secgen_dsl.cli.report import (
    Format,
    as_json,
    command,
    format_option,
    print_json,
    show,
    succeed,
)
from secgen_dsl.diagnostics.diagnostic import Diagnostic, SecgenError, fail, printable
from secgen_dsl.privacy.rounding import six_digits_up

if TYPE_CHECKING:
    from secgen_dsl.ir.plan import Plan
    from secgen_dsl.privacy.spend import Spend
    from secgen_dsl.runtime.ledger import Ledger

_DELTAS = (Fraction(1, 10**5), Fraction(1, 10**6), Fraction(1, 10**7))
_STORE = "store.sqlite"
_SQLITE = b"SQLite format 3\0"


@dataclass(frozen=True)
class _Next:
    """A study that might come next.

    Attributes:
        debited: an entry for this plan exists; to go on from it is free.
    """

    plan_sha256: str
    spend: "Spend"
    debited: bool


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--with",
    "with_study",
    type=click.Path(path_type=Path),
    metavar="SPEC",
    help="Show what this spec, bundle, results' folder or plan.json would add.",
)
@click.option(
    "--site",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A site.toml whose [policy] is held against the sums.",
)
@format_option
@command
def ledger(path: Path, output: Format, with_study: Path | None, site: Path | None) -> None:
    """Show the ledgers at PATH: what was spent, entry by entry and in all.

    PATH is a party's store.sqlite, or a folder of parties, or a results' folder.  Every entry's
    link to the one above is checked; a ledger that was changed is refused (exit code 1).
    """
    from secgen_dsl.runtime.database import read_ledger_file

    ledgers = [read_ledger_file(each) for each in store_files(path)]
    plan = None if with_study is None else plan_at(with_study)
    warnings = [warning for each in ledgers for warning in each.warnings()]
    limits = site is not None and _has_limits(site)
    refused = [] if site is None else list(_refusals(ledgers, site, plan))
    if output != "full":
        if refused and output != "json":
            raise SecgenError([*warnings, *refused])
        data: dict[str, object] = {"ledgers": [_json(each, plan) for each in ledgers]}
        if site is not None:
            data["policy_checked"] = limits
        if refused:
            print_json({"ok": False, "diagnostics": as_json([*warnings, *refused])} | data)
            sys.exit(1)
        succeed(output, warnings, data)
        return
    show(warnings)
    for each in ledgers:
        click.echo("\n".join(_lines(each, plan)))
    if refused:
        raise SecgenError(refused)
    if limits:
        click.echo(f"{site} allows {'this' if plan is None else 'this study too'}.")
    elif site is not None:
        click.echo(f"{site} has no [policy] with a limit: nothing was checked.")


def store_files(path: Path) -> list[Path]:
    """The stores at a path: one file, or all of a --state or results' folder.  Raises SG801."""
    if not path.is_dir():
        _require_a_database(path)
        return [path]
    for pattern in (_STORE, f"*/{_STORE}", f"parties/*/{_STORE}"):
        found = sorted(path.glob(pattern))
        if found:
            return found
    raise fail(
        "SG801",
        "there is no ledger in this folder",
        place=str(path),
        next_step="give a party's store.sqlite, or the results' folder or --state of a run",
    )


def _require_a_database(path: Path) -> None:
    """SG801: a file of another name and kind is no damaged ledger; it never was one."""
    if path.name == _STORE or not path.is_file():
        return
    try:
        with path.open("rb") as file:
            begins = file.read(len(_SQLITE))
    except OSError:
        return  # whoever opens it as a ledger says why not
    if begins != _SQLITE:
        raise fail(
            "SG801",
            "this file is not a ledger",
            place=str(path),
            next_step="give a party's store.sqlite, or the results' folder or --state of a run",
        )


def _has_limits(site: Path) -> bool:
    """Whether a site.toml states a limit.  Raises SecgenError SG418 if it is none."""
    from secgen_dsl.runtime.policy import Policy
    from secgen_dsl.runtime.site.description import Site

    if site.suffix.lower() != ".toml":
        raise fail(
            "SG418",
            "this file is no site.toml: it can hold no [policy]",
            place=str(site),
            next_step="give the site's description, a file that ends in .toml",
        )
    return Site(site, "").description.policy != Policy()


def plan_at(path: Path) -> "Plan":
    """The verified plan of a spec, a bundle, the folder of a run's results, or a plan.json.

    Raises:
        SecgenError: SG515; whatever is wrong with the spec, bundle or plan.
    """
    from secgen_dsl.backends.bundle import holds_results
    from secgen_dsl.cli.study import plan_of

    if holds_results(path):
        path = path / "plan.json"
    if path.suffix != ".json":
        return plan_of(path).plan
    from secgen_dsl.ir.base import read_node
    from secgen_dsl.ir.plan import Plan
    from secgen_dsl.verifier import verify

    try:
        plan = read_node(Plan, path.read_bytes())
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or "it is no plan"
        raise fail(
            "SG515",
            f"the plan cannot be read: {reason}",
            place=str(path),
            next_step="give a spec, a bundle's folder, or the plan.json of one",
        ) from error
    verify(plan)
    return plan


def _next(ledger: "Ledger", plan: "Plan") -> _Next:
    from secgen_dsl.ir.base import sha256_of
    from secgen_dsl.privacy.spend import spend_of

    digest = sha256_of(plan)
    debited = any(entry.plan_sha256 == digest for entry in ledger.entries)
    return _Next(digest, spend_of(plan), debited)


def _refusals(ledgers: "list[Ledger]", site: Path, plan: "Plan | None") -> "Iterator[Diagnostic]":
    """SG804, for each ledger; whatever else is wrong with the site's file is raised."""
    for each in ledgers:
        try:
            _check_policy(each, site, plan)
        except SecgenError as error:
            if any(one.code != "SG804" for one in error.diagnostics):
                raise
            yield from error.diagnostics


def _check_policy(ledger: "Ledger", site: Path, plan: "Plan | None") -> None:
    """Raises SecgenError: SG804, the plan is refused; or the ledger exceeds the policy already."""
    from secgen_dsl.runtime.ledger import Debit
    from secgen_dsl.runtime.site.description import Site

    described = Site(site, "")
    policy = described.description.policy
    if plan is not None:
        spend = _next(ledger, plan).spend
        Debit(spend, policy=policy, place=str(site)).check(ledger)
    elif ledger.entries:
        last = ledger.entries[-1].spend
        before = replace(ledger, entries=ledger.entries[:-1], hashes=ledger.hashes[:-1])
        Debit(last, policy=policy, place=str(site)).check(before)


def _json(ledger: "Ledger", plan: "Plan | None") -> dict[str, object]:
    data: dict[str, object] = {
        "path": str(ledger.path),
        "chain": "intact",
        "entries": [
            {"sha256": sha256} | entry.model_dump(mode="json")
            for entry, sha256 in zip(ledger.entries, ledger.hashes, strict=True)
        ],
        "total": _sums(ledger.spends()),
    }
    if plan is not None:
        following = _next(ledger, plan)
        data["with"] = {
            "plan_sha256": following.plan_sha256,
            "debited_before": following.debited,
            "spend": following.spend.model_dump(mode="json"),
            "total": _sums([*ledger.spends(), following.spend]),
        }
    return data


def _sums(spends: "list[Spend]") -> dict[str, object]:
    from secgen_dsl.ir.program import decimal_text
    from secgen_dsl.privacy.spend import (
        composed_epsilon,
        composed_mu,
        epsilon_estimate,
        epsilon_if_fixed,
    )

    return {
        "studies": len(spends),
        "mu": composed_mu(spends),
        "epsilons": [
            {
                "delta": decimal_text(delta),
                "epsilon": _finite(composed_epsilon(spends, delta)),
                "if_fixed_beforehand": epsilon_if_fixed(spends, delta),
                "gaussian_estimate": epsilon_estimate(spends, delta),
            }
            for delta in _DELTAS
        ],
    }


def _finite(number: float) -> float | None:
    """JSON has no infinity: null where there is no bound."""
    return number if isfinite(number) else None


def _lines(ledger: "Ledger", plan: "Plan | None") -> list[str]:
    from secgen_dsl.cli.tables import aligned
    from secgen_dsl.ir.program import decimal_text

    count = len(ledger.entries)
    entries = "1 entry" if count == 1 else f"{count} entries"
    lines = ["", f"ledger       {ledger.path}", f"chain        intact, {entries}"]
    if ledger.entries:
        lines.append(f"last entry   {ledger.hashes[-1]}")
        rows = [["date", "plan", "no.", "epsilon", "delta", "mu", "cohort"]]
        for entry in ledger.entries:
            spend = entry.spend
            rows.append(
                [
                    entry.date + (" (clock behind)" if entry.clock_behind else ""),
                    entry.plan_sha256[:12],
                    str(entry.number),
                    decimal_text(spend.epsilon),
                    decimal_text(spend.delta),
                    f"{float(spend.mu_squared) ** 0.5:.4f}",
                    printable(entry.cohort) or "–",
                ]
            )
        lines.append(aligned(rows))
    lines += _sum_lines("spent", ledger.spends())
    if plan is not None:
        following = _next(ledger, plan)
        if following.debited:
            lines.append(
                f"debited      the plan {following.plan_sha256[:12]} has an entry: a restart with "
                "the same folder adds nothing; another run of it would come to:"
            )
        lines += _sum_lines("with it", [*ledger.spends(), following.spend])
    return lines


def _sum_lines(name: str, spends: "list[Spend]") -> list[str]:
    from secgen_dsl.ir.program import decimal_text
    from secgen_dsl.privacy.spend import composed_epsilon, composed_mu, epsilon_if_fixed

    runs = "1 execution of a plan" if len(spends) == 1 else f"{len(spends)} executions of plans"
    lines = [f"{name:<13}mu {composed_mu(spends):.4f} in {runs}"]
    for delta in _DELTAS:
        line = f"{'':<13}epsilon {six_digits_up(composed_epsilon(spends, delta))} at delta "
        line += decimal_text(delta)
        fixed = epsilon_if_fixed(spends, delta)
        if fixed is not None and len(spends) > 1:
            line += f"  ({six_digits_up(fixed)} if all plans had been fixed before the first)"
        lines.append(line)
    return lines
