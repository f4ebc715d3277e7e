"""``registry.json``: the record that the Privacy Deployments Registry (OpenDP) asks for.

Fields and their order are those of the registry's template (opendp/deployments-registry-data,
``tests/good_deployments/template.yaml``, 2026): tiers 1 to 3.  What neither plan nor study says is
an empty string, for the institution.  The registry is in English.
"""

import re
from collections.abc import Callable, Iterator

from secgen_dsl.describe.catalogue import Catalogue
from secgen_dsl.describe.subject import Subject
from secgen_dsl.ir.program import Audience, Program, decimal_text

Record = dict[str, object]
Words = Callable[..., str]


def registry_of(subject: Subject) -> Record:
    """The record of a plan, as JSON data."""
    say = Catalogue("en").words
    study, plan, program = subject.study, subject.plan, subject.plan.program
    pure = program.privacy.delta == 0
    rows = "" if program.samples is None else f"{program.samples.rows:,}"
    parameters: Record = {"epsilon": float(program.privacy.epsilon)}
    if not pure:
        parameters["delta"] = float(program.privacy.delta)
    names = {"silos": ", ".join(silo.name for silo in program.silos), "rows": rows}
    numbers = {
        "parties": str(len(plan.parties)),
        "threshold": str(plan.threshold),
        "epsilon": decimal_text(program.privacy.epsilon),
        "delta": decimal_text(program.privacy.delta),
        "contribution": _contribution(program, say),
        "mu": subject.certificate.mu,
        "plan": subject.certificate.plan_sha256,
        "version": subject.certificate.secgen_version,
    }
    certified = next(one for one in subject.certificate.accountings if one.role == "certifies")
    return {
        "url_slug": _slug(study.title, subject.certificate.plan_sha256),
        "deployment": {
            "basic": {
                "name": study.title,
                "data_curators": [
                    {"data_curator_name": title or silo.name, "data_curator_type": ""}
                    for silo, title in zip(program.silos, study.silo_titles, strict=True)
                ],
                "description": say(
                    "registry.rows" if program.samples is not None else "registry.totals", **names
                ),
                "intended_use": study.purpose,
                "data_product_type": "Synthetic data"
                if program.samples is not None
                else "Summary statistics",
                "data_product_region": "",
                "data_product_sector": "Healthcare",
                "publication_date": subject.execution.date if subject.execution else "",
            },
            "dp_variant": {
                "variant_name": "Pure DP" if pure else "Approximate DP",
                "data_domain": say("registry.domain", columns=_columns(program)),
                "unprotected_quantities": say("registry.unprotected", bound=_bound(program, say)),
            },
            "privacy_loss": {
                "privacy_unit": "Person",
                "privacy_unit_details": say(
                    "registry.replace"
                    if program.privacy.adjacency == "replace-one"
                    else "registry.add",
                    **numbers,
                ),
                "number_of_privacy_units": 1,
                "privacy_parameters": parameters,
                "privacy_parameters_details": say(
                    "registry.parameters",
                    certified=certified.epsilon,
                    accountant=certified.accountant,
                    **numbers,
                ),
            },
            "deployment_model": {
                "model_name": "Federated",
                "model_name_details": say("registry.model", **numbers),
                "trust_assumptions": say("registry.trust", **numbers),
                "actors": say("registry.actors", **names, **numbers),
                "release_type": "One release",
                "release_type_details": say("registry.release"),
                "data_source_type": "Static",
                "data_source_type_details": "",
                "access_type": "Non-interactive",
                "access_type_details": _access(program, say),
            },
            "implementation": {
                "preprocessing_and_hyperparameter_tuning": say("registry.preprocessing"),
                "mechanisms": say(
                    "registry.laplace"
                    if program.privacy.mechanism == "laplace"
                    else "registry.gaussian",
                    **numbers,
                ),
                "composition": say("registry.composition", accountants=_accountants(subject)),
                "post_processing": say(
                    "registry.model_of" if program.samples is not None else "registry.nothing"
                ),
                "justification": "",
                "utility": say("registry.utility"),
                "additional_information": say("registry.plan", **numbers),
            },
            "administrative": {
                "evidence_sources": {},
                "status": "Draft",
                "registry_authors": [study.contact],
                "tier": 3,
            },
        },
    }


def empty_fields(record: Record, path: str = "") -> Iterator[str]:
    """The fields that are empty, as paths."""
    for name, entry in record.items():
        place = f"{path}.{name}".strip(".")
        if isinstance(entry, dict):
            yield from empty_fields(entry, place)
        elif entry in ("", {}, [], [""]):
            yield place


def _slug(title: str, digest: str) -> str:
    words = re.sub("[^a-z0-9]+", "-", title.lower()).strip("-")
    return f"{words or 'study'}-{digest[:8]}"


def _columns(program: Program) -> str:
    columns = [f"{column.name} ({', '.join(column.values)})" for column in program.columns]
    panels = [f"{len(panel.genes):,} genes ({panel.unit})" for panel in program.panels]
    return "; ".join([*columns, *panels])


def _bound(program: Program, say: Words) -> str:
    bound = program.person.people_bound
    if bound is None:
        return say("registry.unbounded")
    exact = program.privacy.adjacency == "replace-one"
    return say("registry.exact" if exact else "registry.bound", people=f"{bound:,}")


def _access(program: Program, say: Words) -> str:
    """Who receives the rows, and who the totals."""

    def who(audience: Audience) -> str:
        return say(f"audience.{audience.kind}", name=audience.name)

    measurements = who(program.measurements)
    if program.samples is None:
        return say("registry.access_totals", measurements=measurements)
    rows = who(program.samples.audience)
    return say("registry.access_rows", samples=rows, measurements=measurements)


def _contribution(program: Program, say: Words) -> str:
    """How many samples of a person count, and which."""
    person = program.person
    one = person.samples == 1
    return "".join(
        [
            say("people.samples_one" if one else "people.samples_many", number=str(person.samples)),
            "" if person.per is None else say("people.per", column=person.per),
            say("people.keep_hash" if person.keep is None else "people.keep_date",
                column=person.keep or ""),
            " ",
            say("people.one_silo" if person.silos == 1 else "people.many_silos",
                number=str(person.silos)),
        ]
    )  # fmt: skip


def _accountants(subject: Subject) -> str:
    return "; ".join(
        f"{one.accountant} ({one.version}), {one.role}: {one.epsilon}"
        for one in subject.certificate.accountings
    )
