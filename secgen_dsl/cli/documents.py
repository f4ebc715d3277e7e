"""Writes the forms of a description, and checks one that was written before."""

import difflib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from secgen_dsl.backends.bundle import cannot_write, write_file
from secgen_dsl.cli.describing import Additions, subject_with
from secgen_dsl.cli.study import PlannedStudy
from secgen_dsl.describe.catalogue import LANGUAGES
from secgen_dsl.describe.document import Document
from secgen_dsl.describe.registry import empty_fields, registry_of
from secgen_dsl.describe.sections import document_of
from secgen_dsl.describe.subject import Subject
from secgen_dsl.diagnostics.diagnostic import Diagnostic, SecgenError, fail, printable

FORMS = ("html", "md", "pdf")
REGISTRY = "registry.json"
_DIFFERENCES = 5
"""Places that differ, of which so many are shown."""
_SHOWN, _BEFORE = 100, 40
"""Characters of a place, and of those that are the same before it."""


def write_documents(
    subject: Subject, language: str, out: Path | None
) -> tuple[str, list[str], tuple[Diagnostic, ...]]:
    """Make the description, and write what is asked for.

    Args:
        out: a file whose ending names the form; a folder for all forms and the registry's record;
            None: nothing is written.

    Returns:
        The description as Markdown where nothing is written (else nothing), the paths written, and
        warnings.

    Raises:
        SecgenError: SG709, an unknown ending; SG701, it cannot be written; SG711, no typesetter.
    """
    document, missing = document_of(subject, language)
    warnings = _warnings(missing)
    if out is None:
        return rendered(document, "md").decode(), [], warnings
    suffix = out.suffix.lower().lstrip(".")
    if suffix in FORMS:
        write_file(out, rendered(document, suffix))
        return "", [str(out)], warnings
    record = registry_of(subject)
    if suffix == "json":
        write_file(out, _json(record))
        return "", [str(out)], (*warnings, *_lacking(record))
    if suffix and not out.is_dir():
        raise fail(
            "SG709",
            f"a description is written as .html, .md or .pdf, its registry record as .json: not as "
            f".{suffix}",
            place=str(out),
            next_step="give one of these endings, or a folder for all of them",
        )
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(out, error) from error
    written = []
    for form in FORMS:
        path = out / f"description.{form}"
        write_file(path, rendered(document, form))
        written.append(str(path))
    write_file(out / REGISTRY, _json(record))
    written.append(str(out / REGISTRY))
    return "", written, (*warnings, *_lacking(record))


def rendered(document: Document, form: str) -> bytes:
    """A document in one of ``FORMS``.

    Raises:
        SecgenError: SG711, the typesetter is not installed.
    """
    if form == "html":
        from secgen_dsl.describe.render.html import render_html

        return render_html(document).encode()
    if form == "md":
        from secgen_dsl.describe.render.markdown import render_markdown

        return render_markdown(document).encode()
    try:
        from secgen_dsl.describe.render.pdf import render_pdf

        return render_pdf(document)
    except ImportError as error:
        raise fail(
            "SG711",
            "a PDF needs the typesetter typst, which is not installed",
            place="secgen describe",
            next_step='install it with `pip install "secgen[pdf]"`, or write .html or .md',
        ) from error


def check_document(path: Path, planned: PlannedStudy, spec: Path, additions: Additions) -> None:
    """Make a document again from its plan, and compare every byte.

    Raises:
        SecgenError: SG709, it is no description, or was made with other options; SG710, it does
            not hold.
    """
    from secgen_dsl.describe.render.words import record_in

    found = _read(path)
    if path.suffix.lower() == ".json":
        made = _json(registry_of(subject_with(planned, spec, additions, None)))
        if made != found:
            raise _fails(path, "made again, it is another", list(_differences(found, made)))
        return
    record = record_in(found)
    if record is None:
        raise fail(
            "SG709",
            "this is no description that secgen wrote, or its last line was changed",
            place=str(path),
            next_step="give a file that `secgen describe` wrote",
        )
    stated = record.get("plan_sha256", "")
    if stated != planned.verified.plan_sha256:
        raise _fails(
            path,
            f"it is of the plan {stated[:12]}…, and {spec} is the plan "
            f"{planned.verified.plan_sha256[:12]}…",
        )
    if record.get("with", "") != additions.names:
        wanted = record.get("with", "") or "no addition"
        raise fail(
            "SG709",
            f"the document was made with {wanted}, and now there is "
            f"{additions.names or 'no addition'}",
            place=str(path),
            next_step="give the options with which it was made, and no others",
        )
    language = record.get("language", "en")
    if language not in LANGUAGES:  # it names files: the texts of a language
        raise fail(
            "SG709",
            f'the document says that it is in the language "{printable(str(language))}"',
            place=str(path),
            next_step=f"secgen writes {', '.join(LANGUAGES)}: ask for the document again, as "
            "`secgen describe` wrote it",
        )
    subject = subject_with(planned, spec, additions, record.get("date"))
    document, _ = document_of(subject, language)
    form = path.suffix.lower().lstrip(".")
    made = rendered(document, form if form in FORMS else "md")
    if made == found:
        return
    program = document.record["program"]
    why = "made again from the plan, it is another"
    if record.get("program") != program:
        why = f"it was made by {record.get('program')}, and this is {program}; wording may differ"
    raise _fails(path, why, [] if form == "pdf" else list(_differences(found, made)))


def _fails(path: Path, why: str, differences: Sequence[tuple[int, str, str]] = ()) -> SecgenError:
    next_step = "make it again with `secgen describe`, and have the new one approved"
    found = [
        Diagnostic(
            "SG710", f"the document does not hold: {why}", place=str(path), next_step=next_step
        )
    ]
    for line, states, should in differences[:_DIFFERENCES]:
        message = f'it says "{states}", and the plan gives "{should}"'
        found.append(Diagnostic("SG710", message, place=f"{path}:{line}", next_step=next_step))
    return SecgenError(found)


def _differences(found: bytes, made: bytes) -> Iterator[tuple[int, str, str]]:
    """Where lines differ: number of the line in the document, what it says, what it should say."""
    before, after = (text.decode(errors="replace").splitlines() for text in (found, made))
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    for kind, start, end, start_made, end_made in matcher.get_opcodes():
        if kind != "equal":
            states, should = " ".join(before[start:end]), " ".join(after[start_made:end_made])
            pairs = enumerate(zip(states, should, strict=False))
            same = next((place for place, (one, other) in pairs if one != other), 0)
            same = max(same - _BEFORE, 0)
            yield start + 1, _short(states, same), _short(should, same)


def _short(text: str, start: int) -> str:
    """Some characters from a place on, with a sign where there are others."""
    shown = " ".join(text[start : start + _SHOWN].split())
    return f"{'…' if start else ''}{shown}{'…' if len(text) > start + _SHOWN else ''}"


def _read(path: Path) -> bytes:
    from secgen_dsl.runtime.regular import UnreadError, read_regular

    try:
        return read_regular(path)
    except UnreadError as error:
        raise fail(
            "SG709",
            f"the document cannot be read: {error}",
            place=str(path),
            next_step="give a file that `secgen describe` wrote",
        ) from error


def _warnings(missing: tuple[str, ...]) -> tuple[Diagnostic, ...]:
    """What only the spec could have said."""
    if not missing:
        return ()
    return (
        Diagnostic(
            "SG712",
            f"not stated: {', '.join(missing)}",
            place="the spec's prose",
            next_step='say it in the spec: cohort "…", not for "…" in `study { … }`, source "…" '
            "after the terms of a silo; what is written into the document by hand no longer "
            "passes --check",
            severity="warning",
        ),
    )


def failed_checks(subject: Subject, results: Path | None) -> tuple[Diagnostic, ...]:
    """A warning if checks of what the run left behind fail: the document says so, too."""
    if subject.execution is None or not subject.execution.failed:
        return ()
    return (
        Diagnostic(
            "SG532",
            f"{len(subject.execution.failed)} checks of what the run left behind fail: the "
            "document says so on its cover, and which in annex D",
            place=str(results),
            next_step="use no results until it is known why: `secgen audit` has the details",
            severity="warning",
        ),
    )


def _lacking(record: dict[str, object]) -> tuple[Diagnostic, ...]:
    lacking = tuple(empty_fields(record))
    if not lacking:
        return ()
    return (
        Diagnostic(
            "SG712",
            f"the registry's record lacks {', '.join(lacking)}",
            place=REGISTRY,
            next_step="complete these fields before the record is submitted",
            severity="warning",
        ),
    )


def _json(record: dict[str, object]) -> bytes:
    return (json.dumps(record, indent=1, ensure_ascii=False) + "\n").encode()
