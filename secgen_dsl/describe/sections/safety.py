"""Section 8, the threat model; 11, residual risks; 12, validation; 13, retention."""

from fractions import Fraction

from secgen_dsl.describe.document import Paragraph, Section, Text
from secgen_dsl.describe.writer import Writer
from secgen_dsl.ir.certificate import Observer
from secgen_dsl.privacy.rounding import three_digits_up

SMALL = Fraction(1, 100)
"""δ times the people is called far below one up to here."""


def threats(w: Writer) -> Section:
    """Section 8: who sees what, what limits them, what is assumed."""
    plan, say = w.subject.plan, w.say
    threshold = w.integer(plan.threshold, "plan: threshold")
    parties = w.integer(len(plan.parties), "plan: parties")
    coalition = _limit(w, "tolerated")
    seen = [
        ("site", coalition),
        ("coalition", coalition),
        ("more", _limit(w, "all-others")),
        ("recipients", _limit(w, "outsiders")),
        ("network", say("threats.network_guarantee")),
        ("relay", say("threats.network_guarantee")),
        ("auditor", say("threats.auditor_guarantee")),
        ("administrator", say("threats.administrator_guarantee")),
    ]
    rows = [
        [
            say(f"threats.{who}", threshold=threshold, parties=parties),
            say(f"threats.{who}_sees"),
            limit,
        ]
        for who, limit in seen
    ]
    owners = {
        "collusion": ("investigator", "sign"),
        "machines": ("site", "site"),
        "random": ("site", "tests"),
        "tls": ("field", "tests"),
        "person": ("custodian", "site"),
        "bound": ("investigator", "sign"),
        "public": ("investigator", "sign"),
        "other": ("custodian", "site"),
    }
    assumptions = [
        [
            say(f"threats.assume_{name}", threshold=threshold, parties=parties),
            say(f"threats.owner_{owner}"),
            say(f"threats.evidence_{evidence}"),
        ]
        for name, (owner, evidence) in owners.items()
    ]
    return w.section(
        "threats",
        "8",
        w.paragraph("threats.intro"),
        w.table("threats.caption", ("who", "sees", "guarantee"), rows),
        w.paragraph("threats.malicious", threshold=threshold, parties=parties),
        w.paragraph("threats.computational"),
        w.table("threats.assumptions_caption", ("assumption", "owner", "evidence"), assumptions),
    )


def _limit(w: Writer, observer: Observer) -> Text:
    """The certified ε against an observer, at the plan's δ, of one person added or removed."""
    for one in w.subject.certificate.guarantees:
        if one.against != observer or one.people != 1:
            continue
        if one.adjacency != w.subject.plan.program.privacy.adjacency:
            continue
        planned = w.subject.plan.program.privacy.delta
        point = next(each for each in one.epsilons if each.delta == planned)
        if point.certified is None:
            return w.say("threats.unknown_at")
        field = "certificate: guarantees[].epsilons[]"
        epsilon = w.decimal(three_digits_up(point.certified), field, "case")
        if point.delta == 0:
            return w.say("threats.pure_at", epsilon=epsilon)
        delta = w.rational(point.delta, "plan: program.privacy.delta")
        return w.say("threats.epsilon_at", epsilon=epsilon, delta=delta)
    return w.say("threats.unknown_at")


def risks(w: Writer) -> Section:
    """Section 11: what remains."""
    plan, say = w.subject.plan, w.say
    pure = plan.program.privacy.delta == 0
    names = [
        *("bounded", "failure_pure" if pure else "failure", "collusion", "poisoning", "misuse"),
        *("small_groups", "relatives", "endpoint", "reuse"),
        *("side_channels", "availability", "logs"),
    ]
    parts = {
        "delta": w.rational(plan.program.privacy.delta, "plan: program.privacy.delta"),
        "threshold": w.integer(plan.threshold, "plan: threshold"),
        "parties": w.integer(len(plan.parties), "plan: parties"),
    }
    rows: list[list[Text]] = []
    for name in names:
        if name.startswith("failure"):
            measure = () if pure else _failure(w)
        else:
            measure = say(f"risks.{name}_measure")
        rows.append([say(f"risks.{name}", **parts), measure, ()])
    return w.section("risks", "11", w.table("risks.caption", ("risk", "measure", "accepted"), rows))


def _failure(w: Writer) -> Text:
    """How δ compares with one in the number of people."""
    program = w.subject.plan.program
    people, delta = program.person.people_bound, program.privacy.delta
    if people is None:
        return w.say("risks.failure_unbounded")
    size = "small" if people * delta <= SMALL else "large"
    field = "plan: program.privacy.delta, program.person.people_bound"
    product = w.rational(people * delta, field, "people_times_delta")
    return w.say(
        "risks.failure_measure",
        people=w.integer(people, "plan: program.person.people_bound"),
        product=w.say(f"risks.failure_{size}", product=product),
    )


def validation(w: Writer) -> Section:
    """Section 12: what was checked, by which programs."""
    certificate = w.subject.certificate
    others = (one.version.rpartition(" ") for one in certificate.accountings)
    versions = {"secgen": certificate.secgen_version} | {name: v for name, _, v in others}
    pure = w.subject.plan.program.privacy.mechanism == "laplace"
    return w.section(
        "validation",
        "12",
        w.paragraph("validation.intro"),
        w.paragraph("validation.accountants_pure" if pure else "validation.accountants"),
        w.paragraph("validation.tests"),
        w.paragraph("validation.lock"),
        w.table(
            "validation.caption",
            ("software", "version"),
            [[name, version] for name, version in versions.items()],
        ),
    )


def retention(w: Writer) -> Section:
    """Section 13: what is kept, and incidents."""
    study, say = w.subject.study, w.say
    kept = ("noised", "pieces", "ledger", "transcript", "logs", "results")
    rows = [
        [say(f"retention.{name}"), say(f"retention.{name}_where"), say(f"retention.{name}_until")]
        for name in kept
    ]
    return w.section(
        "retention",
        "13",
        Paragraph(
            text=say("retention.stated", retention=w.sentence(study.retention, "study.retention"))
        ),
        w.table("retention.caption", ("what", "where", "until"), rows),
        w.paragraph("retention.incident", contact=w.prose(study.contact, "study.contact")),
    )
