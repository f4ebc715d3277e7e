"""`make field-test`: three hospitals with homes, keys and certificates, and what goes wrong.

The BRCA study over mutual TLS on this machine (the colorectal one where the cohort is not there).
Parties are killed, changed, stopped and started again; then the evidence is audited.  Prints a
table of what was tried and what happened, and ends with 1 if anything was not as expected.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Mapping
from pathlib import Path

import click

from benchmarks.brca_study import lay_out, shared_data
from secgen_dsl.backends.bundle import pretty_json
from secgen_dsl.cli.main import group
from secgen_dsl.cli.study import plan_of
from secgen_dsl.ir.base import sha256_of
from secgen_dsl.runtime.trust.approvals import approval_path, sign_approval
from secgen_dsl.runtime.trust.consortium import Timeouts, consortium_text, read_consortium
from secgen_dsl.runtime.trust.identity import read_signer
from tests.failures.sites import ROOT, Ended, Sites, Study, make_sites, secgen_process

OUT = ROOT / "build" / "field-test"
_WIDTHS = (34, 38, 38)
_HEAD = ("tried", "expected", "seen")


class Table:
    """What was tried, what was expected, and what was seen; printed as it happens."""

    def __init__(self) -> None:
        self.failed = 0
        self._row(_HEAD, "", "")
        print("─" * (sum(_WIDTHS) + 6 + 12), flush=True)

    def tried(
        self, what: str, expected: str, seen: str, began: float, *, ok: bool | None = None
    ) -> None:
        """A row; ``ok`` None: it was not tried."""
        self.failed += ok is False
        verdict = {True: "ok", False: "DIFFERS", None: "–"}[ok]
        self._row((what, expected, seen), f"{time.monotonic() - began:.1f} s", verdict)

    def _row(self, cells: tuple[str, ...], seconds: str, verdict: str) -> None:
        wrapped = [
            textwrap.wrap(cell, width) or [""] for cell, width in zip(cells, _WIDTHS, strict=True)
        ]
        for line in range(max(map(len, wrapped))):
            parts = [
                (cell[line] if line < len(cell) else "").ljust(width)
                for cell, width in zip(wrapped, _WIDTHS, strict=True)
            ]
            tail = f"{seconds:>7}  {verdict}" if line == 0 else ""
            print("  ".join([*parts, tail]).rstrip(), flush=True)


def lay_out_study(folder: Path) -> tuple[str, Path, dict[str, Path]]:
    """Which study, its spec, and each silo's table."""
    shared = shared_data()
    if shared is not None:
        spec = lay_out(shared, folder)
        names = ("northeast", "west", "south")
        return "BRCA", spec, {name: folder / "data" / f"{name}.csv" for name in names}
    names = ("europe", "northeast", "south")
    data = {name: ROOT / "specs" / "data" / f"{name}.csv.gz" for name in names}
    return "colorectal", ROOT / "specs" / "colorectal.secgen", data


def seen(ended: Mapping[str, Ended]) -> str:
    """Party → the codes that it printed, or its exit code."""
    return "; ".join(
        f"{name}: {', '.join(one.codes) or ('complete' if one.code == 0 else f'ends {one.code}')}"
        for name, one in ended.items()
    )


class Exercise:
    """Everything that is tried, one after another; the sites keep their state.

    Args:
        study: the sites, which have not run yet.
        table: takes what is seen.
    """

    def __init__(self, study: Study, table: Table) -> None:
        self._study = study
        self._table = table
        self._parties = study.sites.parties
        self._first: bytes = b""
        self._complete: dict[str, Path] = {}

    def killed_and_restarted(self) -> None:
        """One is killed between sharing and opening; all start again and complete."""
        study, victim = self._study, self._parties[2]
        began = time.monotonic()
        running = study.run({victim: {"at": "before opening", "do": "kill"}})
        ended = running.end()
        others = [one for name, one in ended.items() if name != victim]
        self._table.tried(
            f"{victim} is killed after its shares have left",
            "the others name it and the phase, and end; no results",
            seen(ended),
            began,
            ok=all(
                one.code == 1
                and set(one.codes) <= {"SG504", "SG526"}
                and victim in one.said.partition("error[")[2]
                and "in round 1" in one.said.replace("opening round", "in round")
                for one in others
            )
            and not self._written(),
        )
        stored = self._stored()
        began = time.monotonic()
        ended = study.run(installed=True).end(seconds=300)
        complete = all(one.code == 0 for one in ended.values())
        self._table.tried(
            "all start again, as installed",
            "all complete; contributions as stored; one debit at each",
            f"{seen(ended)}; debits {self._debits()}",
            began,
            ok=complete and self._stored() == stored and self._debits() == "1, 1, 1",
        )
        if not complete:
            for one in ended.values():
                print(one.said)
            raise SystemExit("the study does not run")
        self._complete = {name: study.out(name) for name in self._parties}
        self._first = study.result(self._parties[0])
        began = time.monotonic()
        same = [
            len({(study.out(name) / file).read_bytes() for name in self._parties})
            for file in ("measurements.json", "synthetic.csv")
        ]
        self._table.tried(
            "results of the three sites are compared",
            "the same opened values and rows at all",
            "the same" if same == [1, 1] else f"{same} different ones",
            began,
            ok=same == [1, 1],
        )

    def refused(
        self,
        what: str,
        expected: str,
        causes: set[str],
        echoes: set[str],
        faults: Mapping[str, Mapping[str, str]] | None = None,
        bundles: Mapping[str, Path] | None = None,
        options: Mapping[str, list[str]] | None = None,
        sigterm: str = "",
    ) -> None:
        """A run that has to fail at every site, and change nothing.

        Args:
            causes: codes of which some site has to print one; the one that is stopped, if one is.
            echoes: what the others may print.
            sigterm: whose processes are stopped when it has come to its fault.
        """
        study, began, stored = self._study, time.monotonic(), self._stored()
        running = study.run(faults, bundles=bundles, options=options)
        if sigterm:
            for pid in running.reached(sigterm):
                os.kill(pid, signal.SIGTERM)
        ended = running.end()
        found = [set(ended[sigterm].codes)] if sigterm else [set(x.codes) for x in ended.values()]
        printed = set().union(*(one.codes for one in ended.values()))
        fine = (
            any(one & causes for one in found)
            and printed <= causes | echoes
            and all(one.codes for one in ended.values())
            and all(one.code == 1 for one in ended.values())
            and not self._written()
            and self._stored() == stored
        )
        self._table.tried(what, expected, seen(ended), began, ok=fine)
        if not fine:
            print("\n".join(one.said for one in ended.values()))

    def finished_alone(self) -> None:
        """A site whose results were lost makes them again from its state."""
        study, name, began = self._study, self._parties[0], time.monotonic()
        ended = study.run(
            without=self._parties[1:], options={name: ["--finished"]}, installed=True
        ).end(seconds=120)
        same = ended[name].code == 0 and study.result(name) == self._first
        self._table.tried(
            f"{name} alone, with --finished",
            "the same results, without the others",
            "the same values" if same else seen(ended),
            began,
            ok=same,
        )

    def once_more(self) -> None:
        """After all of it, the study still runs, to the same values, at no cost."""
        study, began, stored = self._study, time.monotonic(), self._stored()
        ended = study.run().end(seconds=300)
        same = all(one.code == 0 for one in ended.values()) and {
            study.result(name) for name in self._parties
        } == {self._first}
        self._table.tried(
            "all start once more",
            "the same values; no further debit",
            f"{'the same values' if same else seen(ended)}; debits {self._debits()}",
            began,
            ok=same and self._stored() == stored,
        )

    def audited(self) -> None:
        """`secgen audit` over everybody's evidence, as it is and with a byte changed."""
        began = time.monotonic()
        if not _has("audit"):
            self._table.tried(
                "the evidence is audited", "nothing fails",
                "this release has no `secgen audit`", began,
            )  # fmt: skip
            return
        folders = list(self._complete.values())
        done = self._audit(folders)
        self._table.tried(
            "secgen audit over the evidence of all three",
            "nothing fails",
            _last_line(done),
            began,
            ok=done.returncode == 0,
        )
        if done.returncode:
            print(done.stdout + done.stderr)
        for file in ("transcript.jsonl", "measurements.json", "party-receipt.json"):
            began = time.monotonic()
            changed = OUT / "changed" / folders[1].parent.name
            shutil.rmtree(changed, ignore_errors=True)
            shutil.copytree(folders[1], changed)
            data = bytearray((changed / file).read_bytes())
            place = next(i for i in range(len(data) // 2, len(data)) if data[i : i + 1].isdigit())
            data[place] = ord("7") if data[place] != ord("7") else ord("3")
            (changed / file).write_bytes(data)
            done = self._audit([folders[0], changed, folders[2]])
            self._table.tried(
                f"a byte of {self._parties[1]}'s {file} is changed, then audited",
                "the audit fails",
                f"exit code {done.returncode}: {_last_line(done)}",
                began,
                ok=done.returncode == 1,
            )

    def _audit(self, folders: list[Path]) -> "subprocess.CompletedProcess[str]":
        return _secgen("audit", *folders, "--consortium", self._study.consortium)

    def _stored(self) -> dict[str, object]:
        return {name: self._study.stored(name) for name in self._parties}

    def _debits(self) -> str:
        return ", ".join(str(self._study.debits(name)) for name in self._parties)

    def _written(self) -> bool:
        return any(self._study.out(name).exists() for name in self._parties)


def checked_by_doctors(study: Study, table: Table) -> None:
    """`secgen doctor` at all sites at once, when this release has it."""
    began = time.monotonic()
    if not _has("doctor"):
        table.tried(
            "secgen doctor at all sites", "they find each other, and nothing to mend",
            "this release has no `secgen doctor`", began,
        )  # fmt: skip
        return
    running = {
        name: subprocess.Popen(
            [
                *(sys.executable, "-m", "secgen_dsl.cli.main", "doctor", "--party", name),
                *("--consortium", str(study.consortium), "--keys", str(study.sites.keys(name))),
                *("--bundle", str(study.sites.bundle), "--wait", "20"),
            ],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for name in study.sites.parties
    }
    said = {name: process.communicate()[0] for name, process in running.items()}
    codes = {name: process.returncode for name, process in running.items()}
    fine = set(codes.values()) == {0}
    table.tried(
        "secgen doctor at all sites at once",
        "they find each other, and nothing to mend",
        "nothing to mend" if fine else f"exit codes {codes}",
        began,
        ok=fine,
    )
    if not fine:
        print("\n".join(said.values()))


def with_other_budget(spec: Path, sites: Sites) -> Path:
    """A bundle of the same study with another epsilon, approved by all."""
    text = spec.read_text(encoding="utf-8")
    changed = spec.with_name("other.secgen")
    changed.write_text(text.replace("epsilon 4", "epsilon 2"), encoding="utf-8")
    bundle = sites.folder / "other"
    secgen_process("compile", changed, "-o", bundle)
    planned = plan_of(bundle)
    for name in sites.parties:
        signer = read_signer(sites.keys(name) / "officer.key")
        approval = sign_approval(signer, sha256_of(planned.plan), sha256_of(planned.study), name)
        path = approval_path(bundle, name)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(pretty_json(approval))
    return bundle


def with_other_machine(study: Study, name: str) -> list[str]:
    """Options of a site that made itself new keys, and told nobody."""
    keys = study.folder / "new-keys"
    known = read_consortium(study.consortium)
    address = known.entry(name).address
    secgen_process("keygen", "--party", name, "--address", address, "-o", keys)
    certificate = (keys / "machine.crt").read_text(encoding="ascii")
    shown = json.loads(_secgen("consortium", keys / "party.toml", "--json").stdout)["parties"][0]
    entries = [
        entry
        if entry.name != name
        else entry.model_copy(
            update={"fingerprint": shown["fingerprint"], "certificate": certificate}
        )
        for entry in known.party
    ]
    path = study.folder / "new-keys.toml"
    timeouts = Timeouts(connect=15.0, message=10.0, preparation=0.0)
    path.write_text(consortium_text(entries, timeouts, None, path), encoding="utf-8")
    return ["--consortium", str(path), "--keys", str(keys)]


def _secgen(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "secgen_dsl.cli.main", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def _last_line(done: "subprocess.CompletedProcess[str]") -> str:
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    return lines[-1].strip() if lines else ""


def _has(command: str) -> bool:
    return command in group.list_commands(click.Context(group))


def main() -> None:
    began = time.monotonic()
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    title, spec, data = lay_out_study(OUT / "study")
    if title != "BRCA":
        print("The BRCA cohort is not on this machine (SECGEN_SHARED_DATA): the colorectal study.")
    table = Table()
    start = time.monotonic()
    sites = make_sites(spec, data, list(data), OUT / "sites", secgen_process)
    study = Study(sites, OUT / "homes", connect=60.0, message=10.0, chunk=0)
    table.tried(
        f"{title} study: keys, consortium.toml, bundle, approvals",
        "three sites, all have approved",
        ", ".join(sites.parties),
        start,
        ok=len(list((sites.bundle / "approvals").iterdir())) == len(sites.parties),
    )
    checked_by_doctors(study, table)
    exercise = Exercise(study, table)
    exercise.killed_and_restarted()
    _, second, third = sites.parties
    exercise.refused(
        f"{second} changes its share of the sum",
        "SG505 or its echo at every site; no results, no debit",
        {"SG505"},
        {"SG526"},
        {second: {"do": "tamper"}},
    )
    exercise.refused(
        f"{third} is stopped by SIGTERM before the opening",
        "SG901 there; the others are told (SG526)",
        {"SG901"},
        {"SG526"},
        {third: {"at": "before opening", "do": "wait"}},
        sigterm=third,
    )
    study.write_consortium(15.0)
    exercise.refused(
        f"{third} runs another plan (epsilon 2), approved by all",
        "SG502 with both values, its echo (SG526), or, at who comes later, both are absent (SG504)",
        {"SG502"},
        {"SG526", "SG504"},
        bundles={third: with_other_budget(spec, sites)},
    )
    exercise.refused(
        f"{second} shows a certificate that nobody knows",
        "nobody talks to it (SG525), or it counts as absent (SG504)",
        {"SG525", "SG504"},
        {"SG526", "SG527"},
        options={second: with_other_machine(study, second)},
    )
    study.write_consortium(60.0)
    exercise.finished_alone()
    exercise.once_more()
    exercise.audited()
    took = time.monotonic() - began
    print(f"\n{took:.0f} s in all; homes, logs and evidence are under {OUT.relative_to(ROOT)}")
    if table.failed:
        sys.exit(f"{table.failed} differ from what is expected")


if __name__ == "__main__":
    main()
