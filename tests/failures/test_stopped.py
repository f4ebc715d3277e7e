"""A party that is killed, paused, slow or cut off, in every phase of a run between sites.

Every survivor ends in time and names the site and the phase; nothing is written; started again
with the same state, all complete, with the contributions of the first run and one debit each.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.failures.conftest import PARTIES, Begin
from tests.failures.entries import STEPS
from tests.failures.networks import Namespaces, StoppableProxy, namespaces
from tests.failures.sites import LOOPBACK, Running, Sites, Study, free_port

CONNECT, MESSAGE = 10.0, 5.0
SLACK = 20.0
"""What ending may take on a machine with other work, beyond the timeouts."""

# What survivors may say they were doing.  A killed process takes what it sent last along with it,
# so that a survivor may be one step behind.
PHASES = {
    "before the hello": ("the hello",),
    "before it is ready": ("the hello", "getting ready"),
    "sharing": ("sharing in round 1",),
    "before opening": ("sharing in round 1", "opening round 1"),
    "opening": ("sharing in round 1", "opening round 1"),
    "before confirming": ("opening round 1", "confirming the opened values"),
    "confirming": ("opening round 1", "confirming the opened values"),
    "after": ("confirming the opened values",),
}
SITE_OF = dict(zip(STEPS, (PARTIES * 3)[: len(STEPS)], strict=True))
"""Which site stops: all take turns."""

Contributions = dict[str, list[tuple[Any, ...]]]


def one_run(study: Study, begin: Begin, step: str, do: str, cut: Callable[[str], None]) -> None:
    """A run in which a site stops at a step, and what the others make of it."""
    site = SITE_OF[step]
    early = step in ("before the hello", "before it is ready")
    study.write_consortium(CONNECT if early else 60.0)
    running = begin(study, {site: {"at": step, "do": "wait" if do == "cut" else do}})
    running.reached(site)
    if do == "cut":
        cut(site)
        running.go(site)
    survivors = [name for name in PARTIES if name != site]
    ended = running.end(*survivors, seconds=(CONNECT if early else 0) + MESSAGE + SLACK)
    failed = [one for one in ended.values() if one.code]
    for one in failed:
        assert one.code == 1, one.said
        assert set(one.codes) <= {"SG504", "SG526"}, one.said
        assert site in one.said.partition("error[")[2], one.said
        assert any(phase in one.said for phase in PHASES[step]), one.said
        assert not study.out(one.name).exists()
    if step == "after":
        assert not failed
    elif step == "confirming" and do == "kill":
        assert failed  # one has not got its confirmation; the other may have all it needs
    elif step != "confirming":
        assert len(failed) == len(survivors)
    stopped_site_ends(study, running, site, step, do)


def stopped_site_ends(study: Study, running: Running, site: str, step: str, do: str) -> None:
    """What becomes of the site itself."""
    if do == "kill":
        assert running.end(site)[site].code == -signal.SIGKILL
        assert not study.out(site).exists()
        return
    if do == "pause":
        for pid in running.reached(site):
            os.kill(pid, signal.SIGCONT)
    ended = running.end(site, seconds=CONNECT + MESSAGE + SLACK + 60)[site]
    if step in ("confirming", "after"):
        return  # it may have had all that it needs
    assert ended.code == 1, ended.said
    assert set(ended.codes) <= {"SG504", "SG526"}, ended.said
    assert not study.out(site).exists()


def contributions(study: Study) -> Contributions:
    return {name: study.stored(name) for name in PARTIES}


def require_kept(before: Contributions, after: Contributions) -> None:
    """What was stored and debited is there as it was."""
    for name, rows in before.items():
        assert rows == [row for row in after[name] if row in rows], name


def complete(study: Study, begin: Begin) -> None:
    """All start again, and everything is as if nothing had happened."""
    before = contributions(study)
    study.write_consortium(60.0)
    ended = begin(study).end(seconds=120)
    assert [one.code for one in ended.values()] == [0, 0, 0], [one.said for one in ended.values()]
    require_kept(before, contributions(study))
    assert {name: study.debits(name) for name in PARTIES} == {
        "north": 1, "south": 1, "university": 0,
    }  # fmt: skip
    assert len({study.result(name) for name in PARTIES}) == 1
    assert len({(study.out(name) / "synthetic.csv").read_bytes() for name in PARTIES}) == 1


def one_after_another(
    study: Study, begin: Begin, steps: Sequence[tuple[str, str]], cut: Callable[[str], None],
    mend: Callable[[str], None],
) -> None:  # fmt: skip
    """Stopped at every step, later and later, with the same state; then complete."""
    for step, do in steps:
        before = contributions(study)
        one_run(study, begin, step, do, cut)
        mend(SITE_OF[step])
        require_kept(before, contributions(study))
    complete(study, begin)


def no_cut(_: str) -> None:
    raise AssertionError


def nothing(_: str) -> None:
    pass


KILLED = ("before it is ready", "sharing", "opening", "confirming")
"""A round trip of the others' waiting each; all steps: ``make test-full``."""


def test_killed_at_some_steps(sites: Sites, tmp_path: Path, begin: Begin) -> None:
    study = Study(sites, tmp_path / "homes", message=MESSAGE)
    one_after_another(study, begin, [(step, "kill") for step in KILLED], no_cut, nothing)


@pytest.mark.slow
def test_killed_at_every_step(sites: Sites, tmp_path: Path, begin: Begin) -> None:
    study = Study(sites, tmp_path / "homes", message=MESSAGE)
    one_after_another(study, begin, [(step, "kill") for step in STEPS], no_cut, nothing)


def test_paused(sites: Sites, tmp_path: Path, begin: Begin) -> None:
    study = Study(sites, tmp_path / "homes", message=MESSAGE)
    one_after_another(study, begin, [("sharing", "pause")], no_cut, nothing)


@pytest.mark.slow
def test_paused_at_every_step(sites: Sites, tmp_path: Path, begin: Begin) -> None:
    study = Study(sites, tmp_path / "homes", message=MESSAGE)
    one_after_another(study, begin, [(step, "pause") for step in STEPS], no_cut, nothing)


@pytest.mark.slow
@pytest.mark.parametrize("do", ["kill", "pause"])
@pytest.mark.parametrize("step", STEPS)
def test_stopped_once(sites: Sites, tmp_path: Path, begin: Begin, step: str, do: str) -> None:
    """Each step with a state of its own, that no earlier run has touched."""
    study = Study(sites, tmp_path / "homes", message=MESSAGE)
    one_after_another(study, begin, [(step, do)], no_cut, nothing)


@pytest.fixture
def network() -> Iterator[Namespaces]:
    try:
        with namespaces(PARTIES) as made:
            yield made
    except OSError as error:
        pytest.skip(f"no network namespaces here: {error}")


def in_namespaces(sites: Sites, folder: Path, network: Namespaces) -> Study:
    return Study(
        sites, folder, message=MESSAGE, addresses=network.addresses,
        namespaces=network.namespaces,
    )  # fmt: skip


def test_cut_off(sites: Sites, tmp_path: Path, begin: Begin, network: Namespaces) -> None:
    """The cable of a site is pulled: both sides wait in vain, and both end."""
    study = in_namespaces(sites, tmp_path / "homes", network)
    steps = [("before opening", "cut")]
    one_after_another(study, begin, steps, network.cut, network.mend)


@pytest.mark.slow
def test_cut_off_at_every_step(
    sites: Sites, tmp_path: Path, begin: Begin, network: Namespaces
) -> None:
    study = in_namespaces(sites, tmp_path / "homes", network)
    steps = [(step, "cut") for step in STEPS]
    one_after_another(study, begin, steps, network.cut, network.mend)


@pytest.mark.slow
def test_cut_off_at_a_proxy(sites: Sites, tmp_path: Path, begin: Begin) -> None:
    """Where there are no namespaces: what lies before the first site passes nothing on."""
    proxy = StoppableProxy()
    others = {name: f"{LOOPBACK}:{free_port()}" for name in PARTIES[1:]}
    study = Study(
        sites, tmp_path / "homes", message=MESSAGE,
        addresses={"north": proxy.address, **others},
        listen={"north": f"{LOOPBACK}:{proxy.behind}"},
    )  # fmt: skip
    try:
        running = begin(study, {"north": {"at": "before opening", "do": "wait"}})
        running.reached("north")
        proxy.cut()
        running.go("north")
        for one in running.end(seconds=MESSAGE + SLACK).values():
            assert one.code == 1, one.said
            assert any(phase in one.said for phase in PHASES["before opening"]), one.said
            assert set(one.codes) <= {"SG504", "SG526"}, one.said
        proxy.mend()
        complete(study, begin)
    finally:
        proxy.close()


def test_slow_but_in_time(study: Study, begin: Begin) -> None:
    """A site that takes its time at every step holds the others up, and no more."""
    ended = begin(study, {"south": {"do": "slow"}}).end(seconds=120)
    assert [one.code for one in ended.values()] == [0, 0, 0], [one.said for one in ended.values()]
    assert len({study.result(name) for name in PARTIES}) == 1


def test_only_the_partys_process_is_killed(study: Study, begin: Begin) -> None:
    running = begin(study, {"south": {"at": "sharing", "do": "kill child"}})
    ended = running.end()
    assert ended["south"].codes == ["SG508"]
    assert "was ended by SIGKILL while sharing in round 1" in ended["south"].said
    for name in ("north", "university"):
        assert set(ended[name].codes) <= {"SG504", "SG526"}
        assert "south" in ended[name].said.partition("error[")[2]
    complete(study, begin)


def test_only_the_command_is_killed(sites: Sites, tmp_path: Path, begin: Begin) -> None:
    """Its party's process does not go on without it: it tells the others, and ends."""
    study = Study(sites, tmp_path / "homes", message=60.0)
    running = begin(study, {"south": {"at": "before opening", "do": "kill parent"}})
    _, child = running.reached("south")
    for one in running.end("north", "university", seconds=SLACK).values():
        assert one.codes == ["SG526"], one.said
        # By itself, or from another who was told first.
        assert "south stopped the run while" in one.said or "because south stopped it" in one.said
    until = time.monotonic() + SLACK
    with suppress(ProcessLookupError):
        while time.monotonic() < until:
            os.kill(child, 0)
            time.sleep(0.1)
        raise AssertionError("the party goes on")


@pytest.mark.parametrize("whom", ["command", "all", "process"])
def test_sigterm(sites: Sites, tmp_path: Path, begin: Begin, whom: str) -> None:
    """`systemctl stop` signals the command and its party's process: the others hear it at once."""
    study = Study(sites, tmp_path / "homes", message=60.0)
    running = begin(study, {"south": {"at": "before opening", "do": "wait"}})
    command, child = running.reached("south")
    if whom != "process":
        os.kill(command, signal.SIGTERM)
    if whom != "command":
        os.kill(child, signal.SIGTERM)
    ended = running.end(seconds=SLACK)
    assert ended["south"].code == 1
    assert ended["south"].codes == ["SG901"], ended["south"].said
    said = "was stopped from outside while" if whom == "process" else "stopped by SIGTERM"
    assert said in ended["south"].said
    for name in ("north", "university"):
        assert ended[name].code == 1
        assert ended[name].codes == ["SG526"], ended[name].said
        said = ended[name].said
        assert "south stopped the run while" in said or "because south stopped it" in said
    assert all(not study.out(name).exists() for name in PARTIES)
    if whom == "all":
        complete(study, begin)
