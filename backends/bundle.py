"""The bundle: a folder with a plan and everything that people read and sign about it."""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from secgen_dsl.diagnostics.diagnostic import SecgenError, fail, printable
from secgen_dsl.ir.base import pretty_json, read_node, sha256_of
from secgen_dsl.ir.certificate import Certificate
from secgen_dsl.ir.plan import Plan
from secgen_dsl.ir.program import Study
from secgen_dsl.public import files as public_files
from secgen_dsl.public.files import PublicFile, public_file
from secgen_dsl.runtime.regular import read_regular
from secgen_dsl.runtime.trust import approvals

PROGRAM_FILE = "party_program.py"
_MANIFEST = "manifest.json"
_PUBLIC = "public/"
_OWN_FILES = frozenset(
    {
        "plan.json", "study.json", "certificate.json", "sources.json", "public.json",
        "spec.secgen", PROGRAM_FILE,
    }
)  # fmt: skip
_MAXIMUM_BYTES = 64_000_000
"""A larger file of a bundle's own is refused; public files keep their limit, all together."""


@dataclass(frozen=True)
class Bundle:
    """A bundle's contents.

    Attributes:
        sources: marginal id → ``spec:line``.
        program_text: the generated party program, to be read; never executed from here.
        spec: the text of the spec.
        files: every public file that the spec names, by its name there.
    """

    plan: Plan
    study: Study
    certificate: Certificate
    sources: dict[str, str]
    program_text: str
    spec: str
    files: dict[str, PublicFile]


def write_file(path: Path, data: bytes) -> None:
    """Write under a temporary name, then rename: no reader ever sees half a file.

    Raises:
        SecgenError: SG701 if the file cannot be written.
    """
    temporary = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(data)
        temporary.replace(path)
    except OSError as error:
        raise cannot_write(path, error) from error


def cannot_write(path: Path, error: OSError, options: str = "-o or --out") -> SecgenError:
    """SG701: a file or folder of the user's choice, by these options, cannot be written."""
    return fail(
        "SG701",
        f"cannot write: {(error.strerror or 'unknown reason').lower()}",
        place=str(path),
        next_step=f"choose another folder with {options}",
    )


def require_writable(folder: Path) -> None:
    """Try whether a folder could be made and written, and leave no trace.

    Raises:
        SecgenError: SG701 it could not.
    """
    place = folder.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    try:
        with tempfile.TemporaryDirectory(dir=place, prefix=".secgen."):
            pass
    except OSError as error:
        raise cannot_write(folder, error) from error


def require_bundle_folder(folder: Path) -> None:
    """Check that a bundle can be written: the folder is new, or holds an older bundle.

    Raises:
        SecgenError: SG702 the folder holds something else, SG701 it cannot be written.
    """
    if not folder.exists():
        _end_replacement(folder.resolve())
    if folder.exists() and (not folder.is_dir() or _foreign(folder)):
        raise fail(
            "SG702",
            "the folder holds other files than a bundle's" if folder.is_dir() else "this is a file",
            place=str(folder),
            next_step="give the name of a new folder with -o",
        )
    require_writable(folder)


def write_bundle(folder: Path, bundle: Bundle) -> None:
    """Write a bundle into a folder that does not exist or holds an older bundle.

    Approvals of the older bundle stay, for they hold for the same plan and study.

    Raises:
        SecgenError: SG702 the folder holds something else, or approvals of another plan or study;
            SG701 it cannot be written.
    """
    require_bundle_folder(folder)
    _require_no_other_approvals(folder, bundle)
    given, folder = folder, folder.resolve()  # "." has no name to put another folder beside
    _end_replacement(folder)
    files: dict[str, bytes] = {
        "plan.json": pretty_json(bundle.plan),
        "study.json": pretty_json(bundle.study),
        "certificate.json": pretty_json(bundle.certificate),
        "sources.json": _json(bundle.sources),
        PROGRAM_FILE: bundle.program_text.encode(),
        "spec.secgen": bundle.spec.encode(),
    }
    public: dict[str, str] = {}
    for name, file in bundle.files.items():
        public[name] = f"{_PUBLIC}{len(public)}-{file.path.name}"
        files[public[name]] = file.data
    files["public.json"] = _json(public)
    files[_MANIFEST] = _json(
        {
            "plan_sha256": sha256_of(bundle.plan),
            "study_sha256": sha256_of(bundle.study),
            "files": {name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
        }
    )
    temporary = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        for name, data in files.items():
            write_file(temporary / name, data)
        if (folder / approvals.FOLDER).is_dir():
            shutil.copytree(folder / approvals.FOLDER, temporary / approvals.FOLDER, symlinks=True)
        if folder.exists():
            folder.rename(_replaced(folder))
        temporary.rename(folder)
        _end_replacement(folder)
    except OSError as error:
        raise cannot_write(given, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def read_bundle(folder: Path) -> Bundle:
    """Read a bundle; every file must have the hash of the manifest.

    Raises:
        SecgenError: SG703 not a bundle, or one that was changed.
    """
    if holds_results(folder):
        raise fail(
            "SG703",
            "the folder holds the results of a run, not a bundle",
            place=str(folder),
            next_step="give the spec or the bundle; to compare with the plan of the results, "
            f"write: secgen plan SPEC --against {folder}",
        )
    try:
        manifest = json.loads(_read(folder, _MANIFEST, _MAXIMUM_BYTES))
        files: dict[str, bytes] = {}
        room = public_files.MAXIMUM_BYTES
        for name, digest in manifest["files"].items():
            if name.startswith(_PUBLIC):
                files[name] = _read(folder, name, room)
                room -= len(files[name])
            else:
                files[name] = _read(folder, name, _MAXIMUM_BYTES)
            if hashlib.sha256(files[name]).hexdigest() != digest:
                raise fail(
                    "SG703",
                    f'the file "{name}" of the bundle was changed',
                    place=str(folder),
                    next_step="ask for the bundle again, or compile the spec",
                )
        public: Mapping[str, str] = json.loads(files["public.json"])
        if files.keys() != _OWN_FILES | set(public.values()):
            raise ValueError("a file that no part of a bundle is")
        bundle = Bundle(
            plan=read_node(Plan, files["plan.json"]),
            study=read_node(Study, files["study.json"]),
            certificate=read_node(Certificate, files["certificate.json"]),
            sources={str(k): str(v) for k, v in json.loads(files["sources.json"]).items()},
            program_text=files[PROGRAM_FILE].decode(),
            spec=files["spec.secgen"].decode(),
            files={
                name: public_file(folder / stored, name, files[stored])
                for name, stored in public.items()
            },
        )
        # A number that JSON has no canonical form of has no hash: no plan of secgen holds one.
        own = sha256_of(bundle.plan), sha256_of(bundle.study)
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        RecursionError,
        ValidationError,
    ) as error:
        raise fail(
            "SG703",
            "the folder is not a complete bundle",
            place=str(folder),
            next_step="give a spec, or a folder that `secgen compile` wrote",
        ) from error
    stated = manifest.get("plan_sha256"), manifest.get("study_sha256")
    if stated != own:
        raise fail(
            "SG703",
            "the manifest belongs to another plan or study",
            place=str(folder),
            next_step="ask for the bundle again, or compile the spec",
        )
    if bundle.certificate.plan_sha256 != own[0]:
        raise fail(
            "SG703",
            "the certificate belongs to another plan",
            place=str(folder),
            next_step="compile the spec again",
        )
    return bundle


def holds_results(folder: Path) -> bool:
    """Whether a folder is what a run left: a plan and a receipt, and no bundle's manifest."""
    names = ("plan.json", "receipt.json")
    return all((folder / name).is_file() for name in names) and not (folder / _MANIFEST).exists()


def read_plan(file: Path) -> Plan:
    """A plan from a file such as the `plan.json` of a run's results; it is still to be verified.

    Raises:
        SecgenError: SG703 not a plan, or beside a receipt of another one.
    """
    folder = file.parent
    try:
        plan = read_node(Plan, _read(folder.resolve(), file.name, _MAXIMUM_BYTES))
        own, stated = sha256_of(plan), None
        if file.name == "plan.json" and holds_results(folder):
            receipt = json.loads(_read(folder.resolve(), "receipt.json", _MAXIMUM_BYTES))
            stated = receipt["plan_sha256"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError, ValidationError) as error:
        raise fail(
            "SG703",
            "the file is not a plan, or its receipt cannot be read",
            place=str(file),
            next_step="give a spec, a bundle, the folder of a run's results or its plan.json",
        ) from error
    if stated not in (None, own):
        raise fail(
            "SG703",
            "the plan is not the one of the receipt beside it",
            place=str(file),
            next_step="ask for the results again, or give the spec or the bundle",
        )
    return plan


def _read(folder: Path, name: str, most: int) -> bytes:
    """A regular file of a bundle.  Raises ValueError: not there, a link, a device, too large."""
    path = folder / name
    if path.resolve() != folder.resolve() / name:  # also `..`, an absolute name, a link
        raise ValueError(name)
    return read_regular(path, most)


def _json(data: object) -> bytes:
    return (json.dumps(data, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def _require_no_other_approvals(folder: Path, bundle: Bundle) -> None:
    """SG702: somebody signed what lies there; a plan is not put in its place silently."""
    found, _ = approvals.read_approvals(folder)
    ours = sha256_of(bundle.plan), sha256_of(bundle.study)
    others = [printable(a.party) for a in found.values() if (a.plan_sha256, a.study_sha256) != ours]
    if others:
        raise fail(
            "SG702",
            "the folder holds approvals of another plan or study, by " + ", ".join(sorted(others)),
            place=str(folder / approvals.FOLDER),
            next_step="give the name of a new folder with -o; all sites approve the new plan",
        )


def _replaced(folder: Path) -> Path:
    """Where an older bundle is while a new one takes its name."""
    return folder.with_name(f".{folder.name}.replaced")


def _end_replacement(folder: Path) -> None:
    """Remove the older bundle; or, where the new one never took its name, give it back.

    Args:
        folder: resolved.

    Raises:
        SecgenError: SG701.
    """
    replaced = _replaced(folder)
    try:
        if folder.exists():
            shutil.rmtree(replaced, ignore_errors=True)
        elif replaced.exists():
            replaced.rename(folder)
    except OSError as error:
        raise cannot_write(folder, error) from error


def _foreign(folder: Path) -> bool:
    return any(folder.iterdir()) and not (folder / _MANIFEST).is_file()
