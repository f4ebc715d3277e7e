"""Where to go on after a syntax error: one typo must not make ten.

The statement that holds the error is blanked out (with the block that it opens, if any) and the
text is parsed again.  Offsets stay as they are, so that later errors point at the right place.
"""

import re

_LANDMARK = re.compile(r'"(?:\\["\\]|[^"\\\n])*"|#[^\n]*|[{}\n;]')


def _landmarks(text: str) -> list[tuple[int, str]]:
    """Offsets of the braces and statement ends that are not inside quotes or comments."""
    found = []
    for match in _LANDMARK.finditer(text):
        if match.group() in "{}\n;":
            found.append((match.start(), match.group()))
    return found


def blank_statement(text: str, offset: int) -> str:
    """``text`` with the statement around ``offset`` replaced by spaces, newlines kept.

    Always blanks at least one character that is not white space, if one is left at or before
    ``offset`` on its line or after it.
    """
    landmarks = _landmarks(text)
    offset = min(offset, len(text))
    start = 0
    for position, _ in landmarks:
        if position >= offset:
            break
        start = position + 1
    if not text[start:offset].strip() and (offset >= len(text) or text[offset] in "\n;"):
        # The statement ended too early: the unfinished one stands before this end.
        start = max((p + 1 for p, _ in landmarks if p < start - 1), default=0)
    end = len(text)
    depth = 0
    for position, mark in landmarks:
        if position < start:
            continue
        if mark == "{":
            depth += 1
        elif mark == "}":
            if depth == 0:
                end = position
                break
            depth -= 1
        elif depth == 0 and position >= offset:
            end = position
            break
    if not text[start:end].strip():
        start, end = offset, offset + 1
    blanked = re.sub(r"[^\n]", " ", text[start:end])
    return text[:start] + blanked + text[end:]
