"""Frames, hellos and checks: what is written is read, and nothing else passes."""

import struct
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from secgen_dsl.ir.plan import MERSENNE_61
from secgen_dsl.runtime.network.check import CHECK_BYTES, Check, read_check
from secgen_dsl.runtime.network.faults import _REASONS
from secgen_dsl.runtime.network.frames import (
    ABORT_BYTES,
    ABORT_CODES,
    CHUNK_VALUES,
    HEADER,
    HELLO_BODY,
    HELLO_BYTES,
    PROTOCOL_VERSION,
    SALT_BYTES,
    Abort,
    FrameError,
    Header,
    Kind,
    VersionError,
    check_header,
    chunks,
    elements_payload_bytes,
    kind_of,
    pack_elements,
    read_abort,
    read_elements,
    vector_bytes,
)
from secgen_dsl.runtime.network.hello import Hello, read_hello, session_name
from secgen_dsl.runtime.trust.identity import new_signer

SIGNER = new_signer()
BYTES_16 = st.binary(min_size=16, max_size=16)
BYTES_32 = st.binary(min_size=32, max_size=32)
SHORT = st.integers(0, 2**16 - 1)
HASH = BYTES_32.map(bytes.hex)
RELEASE = st.from_regex(r"[0-9]\.[0-9]{1,3}\.[0-9a-z.+]{0,20}", fullmatch=True)
HEADERS = st.builds(
    Header, st.sampled_from(Kind), SHORT, SHORT, st.integers(0, 2**32 - 1), BYTES_16,
    st.integers(0, 2**64 - 1),
)  # fmt: skip
HELLOS = st.builds(
    Hello, SHORT, SHORT, st.booleans(), SHORT, SHORT, HASH, HASH, HASH, HASH, BYTES_32, RELEASE
)
EXPECTED = Header(Kind.SHARE, 1, 1, 2, bytes(16), elements_payload_bytes(4))


@given(HEADERS, HEADERS)
def test_a_header_passes_for_itself_alone(one: Header, other: Header) -> None:
    check_header(one.pack(), one)
    assert kind_of(one.pack()) == one.kind
    if one != other:
        with pytest.raises(FrameError):
            check_header(one.pack(), other)


@given(st.integers(0, 8 * HEADER.size - 1))
def test_every_bit_of_a_header_counts(bit: int) -> None:
    data = bytearray(EXPECTED.pack())
    data[bit // 8] ^= 1 << bit % 8
    with pytest.raises(FrameError):
        check_header(bytes(data), EXPECTED)


@given(st.binary(max_size=2 * HEADER.size))
def test_random_bytes_are_no_header(data: bytes) -> None:
    with pytest.raises(FrameError):
        check_header(data, EXPECTED)


@given(st.integers(0, 255))
def test_another_version_is_named(version: int) -> None:
    data = EXPECTED.pack()
    data = data[:4] + bytes([version]) + data[5:]
    if version == PROTOCOL_VERSION:
        check_header(data, EXPECTED)
    else:
        with pytest.raises(VersionError, match=f"is {version} where this release has"):
            check_header(data, EXPECTED)


@given(st.lists(st.integers(0, MERSENNE_61 - 1), max_size=20), BYTES_32)
def test_elements_come_as_they_went(values: list[int], salt: bytes) -> None:
    payload = pack_elements(salt, np.array(values, dtype=np.uint64))
    assert len(payload) == elements_payload_bytes(len(values))
    assert read_elements(payload, len(values), MERSENNE_61).tolist() == values
    with pytest.raises(FrameError):
        read_elements(payload, len(values) + 1, MERSENNE_61)
    with pytest.raises(FrameError):
        read_elements(payload[:-1], len(values), MERSENNE_61)


@given(st.integers(MERSENNE_61, 2**64 - 1), st.integers(0, 3))
def test_what_is_no_element_is_refused(value: int, place: int) -> None:
    values = [0, 1, 2, MERSENNE_61 - 1]
    values[place] = value
    payload = bytes(SALT_BYTES) + struct.pack("<4Q", *values)
    with pytest.raises(FrameError, match="not an element of the field"):
        read_elements(payload, 4, MERSENNE_61)


@pytest.mark.parametrize(
    ("values", "frames"),
    [(0, 1), (1, 1), (CHUNK_VALUES, 1), (CHUNK_VALUES + 1, 2), (10**6, 16)],
)
def test_frames_of_a_vector_cover_it_once(values: int, frames: int) -> None:
    spans = list(chunks(values))
    assert len(spans) == frames
    assert [number for span in spans for number in range(*span)] == list(range(values))
    assert vector_bytes(values) == frames * (HEADER.size + SALT_BYTES) + 8 * values


@given(HELLOS)
def test_a_hello_comes_as_it_went(hello: Hello) -> None:
    payload = hello.pack(SIGNER)
    assert len(payload) == HELLO_BYTES
    assert read_hello(payload, SIGNER.public) == hello
    with pytest.raises(FrameError, match="signature"):
        read_hello(payload, new_signer().public)


def a_hello() -> Hello:
    return Hello(1, 0, False, 0, 0, "0" * 64, "1" * 64, "2" * 64, "3" * 64, b"n" * 32, "0.1.0")


def test_every_bit_of_a_hello_counts() -> None:
    whole = a_hello().pack(SIGNER)
    for bit in range(8 * len(whole)):
        data = bytearray(whole)
        data[bit // 8] ^= 1 << bit % 8
        with pytest.raises(FrameError):
            read_hello(bytes(data), SIGNER.public)


@given(st.one_of(st.binary(max_size=64), st.binary(min_size=HELLO_BYTES, max_size=HELLO_BYTES)))
def test_random_bytes_are_no_hello(data: bytes) -> None:
    with pytest.raises(FrameError):
        read_hello(data, SIGNER.public)


@pytest.mark.parametrize("release", [b"\x1b[2J", b"1\n2", b"\xff1.0", b"1\0" + b"2"])
def test_a_release_that_would_steer_a_terminal(release: bytes) -> None:
    body = bytearray(a_hello().pack(SIGNER)[: HELLO_BODY.size])
    body[-32:] = release.ljust(32, b"\0")
    with pytest.raises(FrameError, match="no version of secgen"):
        read_hello(bytes(body) + SIGNER.sign("hello", bytes(body)), SIGNER.public)
    check = bytearray(Check(True, "", *["0" * 64] * 3, 0, 0, 0).pack())
    check[1:33] = release.ljust(32, b"\0")
    with pytest.raises(FrameError, match="no version of secgen"):
        read_check(bytes(check))


@given(HASH, HASH, HASH, st.lists(BYTES_32, min_size=2, max_size=5, unique=True))
def test_every_nonce_and_hash_goes_into_the_name(
    plan: str, study: str, roster: str, nonces: list[bytes]
) -> None:
    hello = replace(a_hello(), plan_sha256=plan, study_sha256=study, roster_sha256=roster)
    name = session_name(hello, nonces)
    others = [
        session_name(replace(hello, **{key: "f0" * 32}), nonces)  # type: ignore[arg-type]
        for key in ("plan_sha256", "study_sha256", "roster_sha256")
    ]
    others += [session_name(hello, nonces[::-1])]
    others += [
        session_name(hello, [*nonces[:place], bytes(32), *nonces[place + 1 :]])
        for place in range(len(nonces))
        if nonces[place] != bytes(32)
    ]
    assert name not in others


@given(
    st.booleans(), RELEASE, HASH, HASH, HASH,
    st.integers(0, 2**63), st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1),
)  # fmt: skip
def test_a_check_comes_as_it_went(
    waits: bool, release: str, plan: str, study: str, roster: str, time: int, a: int, r: int
) -> None:
    check = Check(waits, release, plan, study, roster, time, a, r)
    assert len(check.pack()) == CHECK_BYTES
    assert read_check(check.pack()) == check
    with pytest.raises(FrameError):
        read_check(check.pack()[:-1])


@given(st.sampled_from(sorted(ABORT_CODES)), st.sampled_from(Kind), SHORT, st.integers(0, 2))
def test_an_abort_comes_as_it_went(code: str, kind: Kind, number: int, blamed: int) -> None:
    for named in ((blamed, None), (None, blamed), (None, None)):
        abort = Abort(code, kind, number, *named)
        assert len(abort.pack()) == ABORT_BYTES
        assert read_abort(abort.pack(), 3) == abort
    with pytest.raises(FrameError):
        read_abort(Abort(code, kind, number, 3).pack(), 3)


@given(st.one_of(st.binary(max_size=20), st.binary(min_size=ABORT_BYTES, max_size=ABORT_BYTES)))
def test_random_bytes_are_no_abort(data: bytes) -> None:
    with pytest.raises(FrameError):
        read_abort(data, 3)


@pytest.mark.parametrize("code", [b"SG000", b"SG411", b"SG516", b"\x1b[2J1", b"SG50\xb2"])
def test_reasons_that_nobody_tells(code: bytes) -> None:
    good = Abort("SG526", Kind.SHARE, 1, None).pack()
    with pytest.raises(FrameError, match="a reason"):
        read_abort(code + good[5:], 3)


def test_every_reason_is_told_in_words_or_is_a_sites_own() -> None:
    assert set(_REASONS) | {"SG506", "SG526"} == ABORT_CODES


def test_the_format_is_written_nowhere_else() -> None:
    """Whoever changes the wire format sees here that the version must change."""
    assert (HEADER.size, HELLO_BYTES, CHECK_BYTES, ABORT_BYTES) == (38, 267, 153, 12)
    assert PROTOCOL_VERSION == 3
