"""The narrowest real surfaces at which a rule shows: a spec, a plan, a party, a command.

Each gives the codes that it was refused or warned with, and what was said; none, if all is well.
"""

import json
import shutil
import tempfile
from collections.abc import Callable, Iterable
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from secgen_dsl.cli.study import plan_source
from secgen_dsl.diagnostics.diagnostic import Diagnostic, SecgenError, Source
from secgen_dsl.ir.base import canonical_json, read_node
from secgen_dsl.ir.plan import Plan
from secgen_dsl.runtime.store import ContributionStore
from secgen_dsl.verifier import verify
from tests.cli.commands import secgen
from tests.mpyc.entries import InjectedNoise
from tests.mpyc.test_party import PLAN, Party, alone
from tests.study import FOLDER, STUDY, all_faults, complete


@dataclass(frozen=True)
class Found:
    """What was found.

    Attributes:
        said: all messages.
    """

    codes: frozenset[str]
    said: str


Surface = Callable[[], Found]


def found_of(diagnostics: Iterable[Diagnostic]) -> Found:
    listed = list(diagnostics)
    for each in listed:
        assert each.where(), each
        assert each.next_step, each
    codes = frozenset(each.code for each in listed)
    return Found(codes, "; ".join(each.message for each in listed))


def spec(text: str) -> Surface:
    """What `secgen check` says of a text, completed to the small study."""
    return lambda: found_of(all_faults(complete(text)))


def plan_of(text: str = STUDY) -> Plan:
    """The plan of the small study, or of a text that is completed to one."""
    return plan_source(Source("spec.secgen", complete(text)), FOLDER).plan


def plan(change: Callable[[Any], object], text: str = STUDY) -> Surface:
    """What a verifier says of a plan that was changed on the way."""

    def found() -> Found:
        data = json.loads(canonical_json(plan_of(text)))
        change(data)
        return refused(lambda: verify(read_node(Plan, json.dumps(data))))

    return found


def party(steps: Callable[[Party], object]) -> Surface:
    """What a party of a small plan says to a program that takes these steps."""

    def found() -> Found:
        with (
            tempfile.TemporaryDirectory() as folder,
            ContributionStore(Path(folder) / "store.sqlite") as store,
        ):
            one = alone(store, InjectedNoise(0))
            return refused(lambda: steps(one))

    return found


def command(*lines: str, files: dict[str, str] | None = None) -> Surface:
    """The errors of commands, in a folder that holds the small study, a bundle of it and files."""

    def found() -> Found:
        with tempfile.TemporaryDirectory() as folder, chdir(folder):
            shutil.copytree(FOLDER, folder, dirs_exist_ok=True)
            for name, text in (files or {}).items():
                Path(name).write_text(text, encoding="utf-8")
            codes: set[str] = set()
            said = ""
            for line in lines:
                program, *words = line.split()
                if program == "secgen":
                    ended = secgen(*words)
                    codes |= set(ended.codes())
                    said += ended.err if ended.codes() else ""
                    assert ("next: " in ended.err) or not ended.codes(), ended.err
                else:
                    assert program == "replace", line
                    name, old, new = words
                    text = Path(name).read_text(encoding="utf-8")
                    assert text.count(old) == 1, (name, old)
                    Path(name).write_text(text.replace(old, new), encoding="utf-8")
            return Found(frozenset(codes), said)

    return found


def refused(steps: Callable[[], object]) -> Found:
    """The error that something ends with."""
    try:
        steps()
    except SecgenError as error:
        return found_of(error.diagnostics)
    return Found(frozenset(), "")


def noise_of(name: str) -> Any:
    """σᵢ² of a release of the party's small plan."""
    return next(r for r in PLAN.releases() if r.query == name).noise.party_variance
