"""Section 14, changes; section 15, crosswalks; section 16, sign-off."""

import tomllib
from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files

from secgen_dsl.describe.catalogue import Part, code, given
from secgen_dsl.describe.document import Block, Items, Plain, Section, Text
from secgen_dsl.describe.writer import Writer, join

RULES = ("hipaa", "gdpr", "nist", "nih", "common_rule")
"""What the document is compared with, in order."""


def deviations(w: Writer) -> Section:
    """Section 14: what changed since the plan that was approved."""
    subject = w.subject
    found = subject.against
    if found is None:
        digest = code(subject.certificate.plan_sha256)
        return w.section("deviations", "14", w.paragraph("deviations.none_compared", hash=digest))
    blocks: list[Block] = []
    if found.same:
        blocks.append(w.paragraph("deviations.same"))
    else:
        blocks.append(w.paragraph("deviations.changed", new=code(found.after_sha256)))
        for section in found.sections:
            blocks.append(w.paragraph("deviations.section", title=given(section.title)))
            blocks.append(Items(items=tuple((given(one.words()),) for one in section.changes)))
    if found.prose:
        blocks.append(w.paragraph("deviations.prose"))
        blocks.append(Items(items=tuple((given(one.words()),) for one in found.prose)))
    return w.section("deviations", "14", *blocks)


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
    names = ("security", "statistician", "protection", "public_inputs", "chair")
    roles += [say(f"signoff.{name}") for name in names]
    columns = ("role", "name", "decision", "date", "signature")
    rows: list[list[Part]] = [[role, "", "", "", ""] for role in roles]
    blocks: list[Block] = [
        w.paragraph("signoff.intro", hash=code(subject.certificate.plan_sha256)),
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
