"""`secgen approve`: a site's officer signs a bundle that the site's own verifier accepted."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from secgen_dsl.cli.report import Format, command, format_option, show, succeed
from secgen_dsl.diagnostics.diagnostic import SecgenError, fail, nearest, printable

if TYPE_CHECKING:
    from secgen_dsl.cli.study import PlannedStudy
    from secgen_dsl.ir.certificate import Certificate
    from secgen_dsl.runtime.trust.approvals import Approval


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--party", required=True, metavar="NAME", help="The party that approves.")
@click.option(
    "--key",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FILE",
    help="Its officer.key.",
)
@click.option(
    "--consortium",
    "consortium_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A consortium.toml: the key has to be the one that it has for the party.",
)
@click.option(
    "--site",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A site.toml whose [policy] the plan has to keep, even as the first study.",
)
@click.option("--yes", is_flag=True, help="Sign without asking, for scripts.")
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Default: into the bundle's folder `approvals`.",
)
@format_option
@command
def approve(
    bundle: Path,
    party: str,
    key: Path,
    consortium_file: Path | None,
    site: Path | None,
    yes: bool,
    out: Path | None,
    output: Format,
) -> None:
    """Check BUNDLE with this installation, show what it means, and sign it.

    Everything in the bundle is made again from its spec, the plan is verified, and the second
    accountant is asked; a bundle that does not pass is never signed.  The signature covers the
    hashes of plan and study, the party and the date.
    """
    from secgen_dsl.backends.bundle import read_bundle, write_file
    from secgen_dsl.cli.study import plan_of
    from secgen_dsl.ir.base import pretty_json, sha256_of
    from secgen_dsl.runtime.trust.approvals import approval_path, sign_approval
    from secgen_dsl.runtime.trust.consortium import read_consortium
    from secgen_dsl.runtime.trust.identity import read_signer
    from secgen_dsl.verifier.certify import certify

    if output != "full" and not yes:
        raise click.UsageError(f"--format {output} goes with --yes: nothing can be asked.")
    signer = read_signer(key)
    if consortium_file is not None:
        entry = read_consortium(consortium_file).entry(party)
        if entry.officer != signer.public:
            raise fail(
                "SG524",
                f'the key is not that of the officer of "{printable(party)}", who has '
                f"{entry.officer}; it is {signer.public}",
                place=str(key),
                next_step="give the officer.key of that party, or have consortium.toml corrected "
                "at all sites",
            )
    if not bundle.is_dir():
        read_bundle(bundle)  # says why it is none: a spec is not what the sites sign
    planned = plan_of(bundle)
    _require_party(planned, party)
    target = approval_path(bundle, party) if out is None else out
    plan_sha256, study_sha256 = planned.verified.plan_sha256, sha256_of(planned.study)
    earlier = _earlier(target, (plan_sha256, study_sha256, party, signer.public))
    if earlier is not None:
        _done(output, planned, earlier, target, f"approved already, on {earlier.date}")
        return
    certificate = certify(planned.plan, planned.verified, independent=True)
    policy = None if site is None else _policy(planned, party, site)
    if output == "full":
        show(planned.warnings)
        click.echo("\n".join(_lines(planned, certificate, party, study_sha256, policy)))
        click.echo(f"the whole text: secgen describe {bundle}")
    if not yes:
        _ask(party)
    approval = sign_approval(signer, plan_sha256, study_sha256, party)
    write_file(target, pretty_json(approval))
    _done(output, planned, approval, target, "approved")


def _require_party(planned: "PlannedStudy", party: str) -> None:
    parties = planned.plan.parties
    if party not in parties:
        raise fail(
            "SG541",
            f'nothing was signed: the plan has no party "{printable(party)}"',
            place="--party",
            next_step=nearest(party, parties) or f"its parties are {', '.join(parties)}",
        )


def _earlier(target: Path, wanted: tuple[str, str, str, str]) -> "Approval | None":
    """An approval of the same plan by the same officer, if it lies there; None if nothing does.

    Args:
        wanted: hashes of plan and study, party, officer's public key.

    Raises:
        SecgenError: SG706, something else does.
    """
    from secgen_dsl.runtime.trust.approvals import read_approval
    from secgen_dsl.runtime.trust.identity import verified

    if not os.path.lexists(target):
        return None
    try:
        found = read_approval(target.read_bytes() if target.is_file() else b"", str(target))
        same = (found.plan_sha256, found.study_sha256, found.party, found.officer) == wanted
        if same and verified(
            found.officer, "approval", found.signed, bytes.fromhex(found.signature)
        ):
            return found
    except (SecgenError, OSError):
        pass
    raise fail(
        "SG706",
        "the file exists already and is not this approval; nothing is overwritten",
        place=str(target),
        next_step="move it away, or give another name with -o",
    )


def _policy(planned: "PlannedStudy", party: str, site: Path) -> str:
    """What the site's policy says of the plan, in words.

    Raises:
        SecgenError: SG541 the party has no site, SG804 the policy refuses the plan in any case.
    """
    from secgen_dsl.runtime.ledger import Ledger
    from secgen_dsl.runtime.policy import Policy
    from secgen_dsl.runtime.site.debit import debit_of

    if party in planned.plan.program.helpers:
        raise fail(
            "SG541",
            f'nothing was signed: "{party}" is a helper, which has no people and no site.toml',
            place="--site",
            next_step="leave out --site",
        )
    debit = debit_of(planned.plan, site, party)
    if debit.policy == Policy():
        return f"{site} states no limit"
    debit.check(Ledger(site, (), ()))
    return f"{site} allows it as a first study; beside others: secgen ledger --with"


def _lines(
    planned: "PlannedStudy",
    certificate: "Certificate",
    party: str,
    study_sha256: str,
    policy: str | None,
) -> list[str]:
    """What is signed, in plain words."""
    from secgen_dsl.describe.difference import audience_words
    from secgen_dsl.describe.guarantees import certified_by
    from secgen_dsl.ir.program import decimal_text

    plan = planned.plan
    program = plan.program
    budget = (
        f"epsilon {decimal_text(program.privacy.epsilon)} at delta "
        f"{decimal_text(program.privacy.delta)}"
    )
    helper = party in program.helpers
    kind = "a helper: it has no data" if helper else "a silo: its people are counted, with noise"
    cost = "nothing: no people of its own are counted"
    if not helper:
        cost = f"{budget} of what may be told about each of its people; nothing refunds it"
    released = []
    if program.samples is not None:
        released.append(
            f"{program.samples.rows:,} synthetic rows to {audience_words(program.samples.audience)}"
        )
    released.append(f"noised totals to {audience_words(program.measurements)}")
    lines = [
        f"study        {printable(planned.study.title)}",
        f"purpose      {printable(planned.study.purpose) or 'not stated'}",
        f"party        {party}, {kind}",
        f"cost         {cost}",
        f"silos        {', '.join(silo.name for silo in program.silos)}",
        f"helpers      {', '.join(program.helpers) or 'none'}",
        f"budget       {budget}, against any {plan.threshold} of {len(plan.parties)} parties; "
        + certified_by(certificate),
        f"released     {printable('; '.join(released))}",
    ]
    if policy is not None:
        lines.append(f"policy       {policy}")
    return [
        *lines,
        f"plan         {planned.verified.plan_sha256}",
        f"study text   {study_sha256}",
    ]


def _ask(party: str) -> None:
    """Raises SecgenError SG541 if nobody can be asked, or the answer is no."""
    if not sys.stdin.isatty():
        raise fail(
            "SG541",
            "nothing was signed: there is no terminal to ask on",
            place="secgen approve",
            next_step="run it on a terminal; in a script, --yes says that somebody has read what "
            "is signed",
        )
    if not click.confirm(f"Sign this for {party}?", default=False, err=True):
        raise fail(
            "SG541",
            "nothing was signed: the answer was no",
            place="secgen approve",
            next_step="nothing; without this approval no party of the plan will run",
        )


def _done(
    output: Format, planned: "PlannedStudy", approval: "Approval", target: Path, what: str
) -> None:
    if output != "full":
        data: dict[str, object] = {"approval": approval.model_dump(mode="json")}
        succeed(output, planned.warnings, data | {"file": str(target)})
        return
    click.echo(
        f"{what}: {target}\nsend this file to all sites; it goes into approvals/ of the bundle"
    )
