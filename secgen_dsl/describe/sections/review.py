"""Section 14, changes; section 15, crosswalks; section 16, sign-off."""

import tomllib
from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files

from secgen_dsl.describe.catalogue import Part, code, given
from secgen_dsl.describe.changes import Change
from secgen_dsl.describe.difference import Sides, difference
from secgen_dsl.describe.document import Block, Heading, Items, Paragraph, Plain, Section, Text
from secgen_dsl.describe.odds import odds_of
from secgen_dsl.describe.writer import Writer, join
from secgen_dsl.ir.base import sha256_of
from secgen_dsl.ir.program import decimal_text

RULES = ("hipaa", "gdpr", "nist", "nih", "common_rule")
"""What the document is compared with, in order."""


def deviations(w: Writer) -> Section:
    """Section 14: what changed since the plan that was approved."""
    subject = w.subject
    if subject.against is None:
        digest = code(subject.certificate.plan_sha256)
        return w.section("deviations", "14", w.paragraph("deviations.none_compared", hash=digest))
    found = difference(subject.against, w.say)
    blocks: list[Block] = []
    if found.same:
        blocks.append(w.paragraph("deviations.same"))
    else:
        blocks.append(w.paragraph("deviations.changed", new=code(found.after_sha256)))
        blocks.append(_odds(w, subject.against))
    for section in found.sections:
        title = (Plain(text=section.title[:1].upper() + section.title[1:]),)
        blocks.append(Heading(id=f"deviations-{section.key}", text=title))
        blocks.append(_changes(w, section.changes))
    if found.prose:
        blocks.append(w.paragraph("deviations.prose"))
        blocks.append(_changes(w, found.prose))
    if found.prose is None:
        blocks.append(w.paragraph("deviations.prose_unknown"))
    return w.section("deviations", "14", *blocks)


def _changes(w: Writer, changes: Sequence[Change]) -> Items:
    return Items(items=tuple(_line(w, one) for one in changes))


def _line(w: Writer, change: Change) -> Text:
    """A change with its values apart: words that run from right to left turn nothing round."""
    words = change.words(w.say)
    if change.before is None or change.after is None:
        return (given(words),)
    start, arrow = f"{change.what}: ", " → "
    rest = words.removeprefix(f"{start}{change.before}{arrow}{change.after}")
    values = (given(change.before), Plain(text=arrow), given(change.after))
    return (given(change.what), Plain(text=": "), *values, *((given(rest),) if rest else ()))


def _odds(w: Writer, sides: Sides) -> Paragraph:
    """What the change is worth to an attacker."""
    before, after = (odds_of(side.verified.composition) for side in (sides.old, sides.new))
    games = {side.plan.program.privacy.adjacency for side in (sides.old, sides.new)}
    if len(games) > 1:
        way = "unlike"
    elif after.right == before.right:
        way = "same" if after.flagged == before.flagged else "near"
    else:
        way = "rise" if after.right > before.right else "fall"
    epsilons = [
        w.say.decimal(decimal_text(side.plan.program.privacy.epsilon))
        for side in (sides.old, sides.new)
    ]
    changed = epsilons[0] != epsilons[1]
    new, old = "plan: rounds[].releases[].noise", "approved plan: rounds[].releases[].noise"
    return w.paragraph(
        f"deviations.odds_{way}",
        epsilon=w.say(
            "deviations.epsilon" if changed else "deviations.epsilon_same",
            before=epsilons[0],
            after=epsilons[1],
        ),
        before=w.value(w.say.percent(before.right / 1000), old, "accuracy"),
        after=w.value(w.say.percent(after.right / 1000), new, "accuracy"),
        flagged_before=w.integer(before.flagged, old, "flagged"),
        flagged=w.integer(after.flagged, new, "flagged"),
    )


def crosswalk(w: Writer, sections: Sequence[Section]) -> Section:
    """Section 15: where the document answers what rules ask.

    Args:
        sections: all others, whose numbers are shown.
    """
    say = w.say
    numbers = {section.id: section.number for section in sections}
    numbers["secgen-sources"] = w.say.words("crosswalk.sources")  # the renderings' last section
    blocks: list[Block] = [w.paragraph("crosswalk.intro")]
    for rule in RULES:
        rows = [
            [
                say(f"crosswalks.{rule}.{name}"),
                _answer(w, targets, numbers),
            ]
            for name, targets in _answers()[rule].items()
        ]
        table = w.table("crosswalk." + rule, ("requirement", "answer"), rows)
        blocks.append(table)
    return w.section("crosswalk", "15", *blocks)


def _answer(w: Writer, targets: Sequence[str], numbers: dict[str, str]) -> Text:
    """Links to the sections, and what is for the institution."""
    from secgen_dsl.describe.document import Link

    links: list[Text] = [
        (Link(text=numbers[target], target=target),) for target in targets if target in numbers
    ]
    found: Text = ()
    if links:
        found = w.say("crosswalk.sections", numbers=join(links, ", "))
    if "institution" in targets:
        institution = w.say("document.institution")
        found = (*found, Plain(text="; "), *institution) if found else institution
    return found


@lru_cache
def _answers() -> dict[str, dict[str, list[str]]]:
    """Rule → requirement → ids of sections, or ``institution``."""
    path = files("secgen_dsl.describe") / "crosswalks.toml"
    found: dict[str, dict[str, list[str]]] = tomllib.loads(path.read_text(encoding="utf-8"))
    return found


def signoff(w: Writer) -> Section:
    """Section 16: roles to sign, and the approvals that are there."""
    subject, say = w.subject, w.say
    roles: list[Text] = [say("signoff.investigator")]
    for silo in subject.plan.program.silos:
        roles.append(say("signoff.officer", site=given(silo.name)))
        roles.append(say("signoff.custodian", site=given(silo.name)))
    for helper in subject.plan.program.helpers:
        roles.append(say("signoff.helper", site=given(helper)))
    names = ("security", "statistician", "protection", "public_inputs", "chair")
    roles += [say(f"signoff.{name}") for name in names]
    columns = ("role", "name", "decision", "date", "signature")
    rows: list[list[Part]] = [[role, "", "", "", ""] for role in roles]
    blocks: list[Block] = [
        w.paragraph(
            "signoff.intro",
            hash=code(subject.certificate.plan_sha256),
            study=code(sha256_of(subject.study)),
        ),
        w.table("signoff.caption", columns, rows),
    ]
    if subject.approvals:
        signed: list[list[Part]] = []
        for one in subject.approvals:
            checked = say(f"signoff.{one.state}")
            signed.append([given(one.party), code(one.officer), one.date, checked])
        blocks.append(
            w.table("signoff.approvals_caption", ("site", "key", "date", "checked"), signed)
        )
    else:
        blocks.append(w.paragraph("signoff.approvals_none"))
    return w.section("signoff", "16", *blocks)
