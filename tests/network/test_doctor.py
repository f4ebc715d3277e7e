"""What a doctor keeps of a site that tells two things."""

from dataclasses import replace
from itertools import permutations
from types import SimpleNamespace
from typing import Any

import pytest

from secgen_dsl.runtime.network.check import NO_HASH, Check
from secgen_dsl.runtime.network.doctor import Consultation, Standing

PARTY = Check(
    waits_to_run=True,
    release="1",
    plan_sha256="a" * 64,
    study_sha256="b" * 64,
    roster_sha256="c" * 64,
    milliseconds=0,
    approved=3,
    reached=0,
)
DOCTOR = replace(PARTY, waits_to_run=False, reached=1)
WITHOUT_BUNDLE = replace(DOCTOR, plan_sha256=NO_HASH, study_sha256=NO_HASH, approved=0)


@pytest.mark.parametrize(
    ("own_plan", "told", "kept"),
    [
        ("a" * 64, (PARTY, DOCTOR), DOCTOR),
        ("a" * 64, (PARTY, WITHOUT_BUNDLE), PARTY),
        ("a" * 64, (WITHOUT_BUNDLE,), WITHOUT_BUNDLE),
        (NO_HASH, (PARTY, WITHOUT_BUNDLE), WITHOUT_BUNDLE),
    ],
)
def test_a_site_with_a_party_and_a_doctor(
    own_plan: str, told: tuple[Check, ...], kept: Check
) -> None:
    """In whatever order they are heard."""
    site: Any = SimpleNamespace(address="127.0.0.1:1")
    endpoint: Any = SimpleNamespace(entries=(site, site), index=0)
    standing = Standing("1", own_plan, NO_HASH, "c" * 64, 0)
    for order in permutations(told):
        consultation = Consultation(endpoint, standing, None)
        (contact,) = consultation.contacts.values()
        for check in order:
            consultation._learn(contact, check)
        assert contact.check == kept
