"""Sites with homes, keys and certificates of their own, whose parties are real processes."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from secgen_dsl.backends.mpyc.supervision import folder_of
from secgen_dsl.runtime.trust.consortium import Timeouts, consortium_text, read_consortium

ROOT = Path(__file__).resolve().parent.parent.parent
LOOPBACK = "127.0.0.1"
_CODE = re.compile(r"^(?:\S.*: )?error\[(SG\d{3})", re.MULTILINE)

Secgen = Callable[..., None]
"""Runs a command of secgen in a folder that may be given as ``cwd``; raises if it fails."""


def secgen_process(*arguments: str | Path, cwd: Path = ROOT) -> None:
    """`secgen` as a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "secgen_dsl.cli.main", *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)


@dataclass(frozen=True)
class Sites:
    """An approved bundle and the sites' keys.

    Attributes:
        parties: in the plan's order.
        data: silo → its table.
        folder: holds ``bundle``, ``consortium.toml`` and each site's keys.
    """

    folder: Path
    parties: tuple[str, ...]
    data: Mapping[str, Path]

    @property
    def bundle(self) -> Path:
        return self.folder / "bundle"

    @property
    def consortium(self) -> Path:
        return self.folder / "consortium.toml"

    def keys(self, name: str) -> Path:
        """The folder that `secgen keygen` made at a site."""
        return self.folder / "keys" / name


def make_sites(
    spec: Path, data: Mapping[str, Path], parties: Sequence[str], folder: Path, secgen: Secgen
) -> Sites:
    """Every site makes its keys; the bundle is compiled, and every officer approves it."""
    sites = Sites(folder, tuple(parties), dict(data))
    secgen("compile", spec, "-o", sites.bundle)
    for number, name in enumerate(parties):
        address = f"{LOOPBACK}:{20_000 + number}"  # each run states its own
        secgen("keygen", "--party", name, "--address", address, "-o", sites.keys(name))
    secgen(
        "consortium", *(sites.keys(name) / "party.toml" for name in parties), "-o", sites.consortium
    )
    approve(sites, sites.bundle, secgen)
    return sites


def approve(sites: Sites, bundle: Path, secgen: Secgen) -> None:
    """Every site's officer approves a bundle."""
    for name in sites.parties:
        key = sites.keys(name) / "officer.key"
        secgen(
            "approve", bundle, "--party", name, "--key", key, "--consortium", sites.consortium,
            "--yes",
        )  # fmt: skip


@dataclass(frozen=True)
class Ended:
    """How a party's command ended.

    Attributes:
        code: exit code; negative: the signal that ended it.
        said: standard output and standard error.
        seconds: from the start of the command.
    """

    name: str
    code: int
    said: str
    seconds: float

    @property
    def codes(self) -> list[str]:
        """Codes of the errors that were printed."""
        return _CODE.findall(self.said)


@dataclass
class Running:
    """Commands that were started together."""

    processes: dict[str, "subprocess.Popen[bytes]"]
    logs: dict[str, Path]
    folders: dict[str, Path]
    started: float
    stopped: set[str] = field(default_factory=set)

    def reached(self, name: str, seconds: float = 60) -> tuple[int, int]:
        """Wait until a party reaches its fault; the ids of its two processes."""
        path = self.folders[name] / "reached"
        until = time.monotonic() + seconds
        while not (path.exists() and path.read_text()):
            if time.monotonic() > until or self.processes[name].poll() is not None:
                raise RuntimeError(f"{name} never came there: {self.logs[name].read_text()}")
            time.sleep(0.02)
        parent, child = map(int, path.read_text().split())
        return parent, child

    def go(self, name: str) -> None:
        """Let a party go on that waits."""
        (self.folders[name] / "go").touch()

    def end(self, *names: str, seconds: float = 60) -> dict[str, Ended]:
        """Wait for some parties' commands, or all."""
        found = {}
        until = time.monotonic() + seconds
        for name in names or self.processes:
            code = self.processes[name].wait(max(0.1, until - time.monotonic()))
            said = self.logs[name].read_text(encoding="utf-8", errors="replace")
            found[name] = Ended(name, code, said, time.monotonic() - self.started)
        return found

    def stop(self) -> None:
        """End whatever is left."""
        for name, process in self.processes.items():
            pids = [process.pid]
            path = self.folders[name] / "reached"
            if path.exists():
                pids += map(int, path.read_text().split())
            for pid in pids if process.poll() is None or path.exists() else []:
                with contextlib.suppress(ProcessLookupError):
                    if _is_ours(pid):
                        os.kill(pid, signal.SIGKILL)
            process.wait()


def _is_ours(pid: int) -> bool:
    """Whether a process is one of our parties: its number may be another's by now."""
    try:
        return b"tests.failures.entries" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


class Study:
    """A study at its sites: their homes keep their state from one run to the next.

    Args:
        sites: keys and bundle.
        folder: holds each site's home; made here.
        connect: seconds until all have to be there.
        message: seconds that a wait may last.
        chunk: elements in a frame; 0: as installed.
        addresses: party → host:port where the others reach it; on loopback if not given.
        listen: party → where it listens, if that is elsewhere.
        namespaces: party → network namespace that it runs in.
    """

    def __init__(
        self,
        sites: Sites,
        folder: Path,
        *,
        connect: float = 40.0,
        message: float = 5.0,
        chunk: int = 64,
        addresses: Mapping[str, str] | None = None,
        listen: Mapping[str, str] | None = None,
        namespaces: Mapping[str, str] | None = None,
    ) -> None:
        self.sites = sites
        self.folder = folder
        self.message = message
        self._chunk = chunk
        self._addresses = addresses
        self._listen = dict(listen or {})
        self._namespaces = dict(namespaces or {})
        self._runs = 0
        for name in sites.parties:
            self.home(name).mkdir(parents=True)
        self.write_consortium(connect)

    @property
    def consortium(self) -> Path:
        return self.folder / "consortium.toml"

    def write_consortium(self, connect: float) -> None:
        """Everybody's consortium.toml, with ports that are free now."""
        known = read_consortium(self.sites.consortium)
        addresses = self._addresses or {
            name: f"{LOOPBACK}:{free_port()}" for name in self.sites.parties
        }
        entries = [
            entry.model_copy(
                update={
                    "address": addresses[entry.name],
                    "listen": self._listen.get(entry.name, ""),
                }
            )
            for entry in known.of_plan(self.sites.parties)
        ]
        timeouts = Timeouts(connect=connect, message=self.message, preparation=0.0)
        text = consortium_text(entries, timeouts, None, self.consortium)
        self.consortium.write_text(text, encoding="utf-8")

    def home(self, name: str) -> Path:
        """A site's own folder."""
        return self.folder / name

    def state(self, name: str) -> Path:
        """The private folder of a site's party."""
        return folder_of(self.home(name) / "state", name)

    def out(self, name: str) -> Path:
        """Where the results of a site's latest run are, if it wrote any."""
        return self.home(name) / f"out-{self._runs}"

    def run(
        self,
        faults: Mapping[str, Mapping[str, str]] | None = None,
        *,
        without: Sequence[str] = (),
        options: Mapping[str, Sequence[str]] | None = None,
        bundles: Mapping[str, Path] | None = None,
        installed: bool = False,
    ) -> Running:
        """Start the parties' commands, each writing to a new folder.

        Args:
            faults: party → what ``tests.failures.entries`` makes go wrong there.
            without: parties that are not started.
            options: party → options after the usual ones, which they replace.
            bundles: party → its bundle, if that is not the one of all.
            installed: parties without a fault are plain `secgen party`.
        """
        self._runs += 1
        names = [name for name in self.sites.parties if name not in without]
        running = Running({}, {}, {}, time.monotonic())
        for name in names:
            folder = self.home(name) / f"run-{self._runs}"
            folder.mkdir()
            fault: dict[str, object] = dict((faults or {}).get(name, {}))
            if installed and not fault:
                command = ["secgen_dsl.cli.main", "party"]
            else:
                fault |= {"folder": str(folder), "chunk": self._chunk}
                command = ["tests.failures.entries", "party", json.dumps(fault)]
            running.folders[name] = folder
            running.logs[name] = folder / "said.txt"
            inside = self._namespaces.get(name)
            with running.logs[name].open("wb") as log:
                running.processes[name] = subprocess.Popen(
                    [
                        *(("ip", "netns", "exec", inside) if inside else ()),
                        sys.executable, "-m", *command,
                        str((bundles or {}).get(name, self.sites.bundle)),
                        *self.arguments(name), *map(str, (options or {}).get(name, ())),
                    ],
                    cwd=ROOT,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )  # fmt: skip
        return running

    def arguments(self, name: str) -> list[str]:
        """The usual arguments of a site's command, after the bundle."""
        data = self.sites.data.get(name)
        return [
            *("--party", name),
            *("--consortium", str(self.consortium)),
            *("--keys", str(self.sites.keys(name))),
            *(("--site", str(data)) if data is not None else ()),
            *("--state", str(self.home(name) / "state")),
            *("-o", str(self.out(name))),
        ]

    def stored(self, name: str) -> list[tuple[Any, ...]]:
        """All that a site's store holds of contributions and of its ledger."""
        path = self.state(name) / "store.sqlite"
        if not path.exists():
            return []
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as store:
            return [
                *store.execute("SELECT * FROM contribution"),
                *store.execute("SELECT * FROM ledger"),
            ]

    def debits(self, name: str) -> int:
        """How many entries a site's ledger has."""
        path = self.state(name) / "store.sqlite"
        if not path.exists():
            return 0
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as store:
            return int(store.execute("SELECT count(*) FROM ledger").fetchone()[0])

    def result(self, name: str) -> bytes:
        """The opened values that a site has written."""
        return (self.out(name) / "measurements.json").read_bytes()

    def copy_state(self, name: str, to: Path) -> None:
        """A backup of a site's state folder."""
        shutil.copytree(self.home(name) / "state", to)

    def lose_state(self, name: str) -> None:
        """A site's state folder is gone."""
        shutil.rmtree(self.home(name) / "state", ignore_errors=True)

    def put_back(self, name: str, backup: Path) -> None:
        """A site's state folder as it was in a backup."""
        self.lose_state(name)
        shutil.copytree(backup, self.home(name) / "state")


def free_port() -> int:
    """A port on loopback that nobody listens on."""
    with socket.create_server((LOOPBACK, 0)) as listener:
        return int(listener.getsockname()[1])
