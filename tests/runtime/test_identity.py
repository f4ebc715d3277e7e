"""Keys, certificates and signatures; two certificates in a real handshake of TLS 1.3."""

import hashlib
import socket
import ssl
import stat
import threading
from pathlib import Path
from typing import get_args

import pytest
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from secgen_dsl.diagnostics.diagnostic import SecgenError
from secgen_dsl.runtime.network.frames import SIGNATURE_BYTES
from secgen_dsl.runtime.trust.identity import (
    Certificate,
    Domain,
    Signer,
    _framed,
    is_safe,
    new_certificate,
    new_signer,
    read_certificate,
    read_signer,
    verified,
    write_private,
)
from tests.runtime.parties import certificate_of, certificate_of_days, elliptic_certificate
from tests.wording import assert_helpful

SIGNER = new_signer()
DOMAINS: tuple[Domain, ...] = get_args(Domain)
domains = st.sampled_from(DOMAINS)


@given(domains, st.binary(max_size=200))
def test_a_signature_holds_for_its_key_and_data(domain: Domain, data: bytes) -> None:
    signature = SIGNER.sign(domain, data)
    assert len(signature) == SIGNATURE_BYTES
    assert verified(SIGNER.public, domain, data, signature)
    assert not verified(new_signer().public, domain, data, signature)


@given(domains, domains, st.binary(max_size=60))
def test_a_signature_never_passes_for_one_of_another_purpose(
    one: Domain, other: Domain, data: bytes
) -> None:
    signature = SIGNER.sign(one, data)
    assert verified(SIGNER.public, other, data, signature) == (one == other)


@given(domains, domains, st.binary(max_size=60), st.binary(max_size=60))
def test_no_two_purposes_sign_the_same_bytes(
    one: Domain, other: Domain, data: bytes, more: bytes
) -> None:
    same = (one, data) == (other, more)
    assert (_framed(one, data) == _framed(other, more)) == same


@given(st.binary(max_size=40), st.data())
def test_a_changed_byte_is_noticed(data: bytes, draw: st.DataObject) -> None:
    signature = SIGNER.sign("approval", data)
    at = draw.draw(st.integers(0, len(signature) - 1))
    flip = draw.draw(st.integers(1, 255))
    changed = signature[:at] + bytes([signature[at] ^ flip]) + signature[at + 1 :]
    assert not verified(SIGNER.public, "approval", data, changed)
    assert not verified(SIGNER.public, "approval", data + b"\0", signature)


@pytest.mark.parametrize("signature", [b"", b"\0" * 64, b"\0" * 63, b"\xff" * 65])
def test_what_is_no_signature(signature: bytes) -> None:
    assert not verified(SIGNER.public, "approval", b"", signature)


@pytest.mark.parametrize("public", ["", "ed25519:", "ed25519:" + "0" * 63, "rsa:" + "0" * 64])
def test_what_is_no_key(public: str) -> None:
    assert not verified(public, "approval", b"", b"\0" * 64)


P = 2**255 - 19
D = -121665 * pow(121666, -1, P) % P
Point = tuple[int, int]


def _sum(one: Point, other: Point) -> Point:
    """RFC 8032, 5.1.4, in affine coordinates."""
    product = D * one[0] * other[0] * one[1] * other[1] % P
    x = (one[0] * other[1] + other[0] * one[1]) * pow(1 + product, -1, P)
    y = (one[1] * other[1] + one[0] * other[0]) * pow(1 - product, -1, P)
    return x % P, y % P


def _x(y: int) -> int:
    """RFC 8032, 5.1.3, for a y of the curve."""
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    x = x if x * x % P == square else x * pow(2, (P - 1) // 4, P) % P
    assert x * x % P == square
    return x


def _written(y: int, sign: int) -> str:
    return "ed25519:" + (y + (sign << 255)).to_bytes(32, "little").hex()


def test_keys_of_small_order_and_unusual_writings_of_keys_are_none() -> None:
    eighth = 0x5FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
    first: Point = (_x(P - eighth), P - eighth)
    multiples = [first]
    while len(multiples) < 8:
        multiples.append(_sum(multiples[-1], first))
    assert multiples[-1] == (0, 1), "the neutral element: eight points"
    assert len(set(multiples)) == 8
    for _, y in multiples:
        for sign in (0, 1):
            assert not is_safe(_written(y, sign)), y
    for y in range(P, 2**255):
        assert not is_safe(_written(y, 0)), y
        assert not is_safe(_written(y, 1)), y
    assert is_safe(_written(4 * pow(5, -1, P) % P, 0)), "the base point"
    # What they are refused for: OpenSSL takes one signature for every message.
    neutral, forged = _written(1, 0), _written(1, 0)[8:]
    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(neutral[8:]))
    key.verify(bytes.fromhex(forged) + bytes(32), b"whatever")
    assert not verified(neutral, "approval", b"", bytes.fromhex(forged) + bytes(32))
    with pytest.raises(ValueError, match="small order"):
        read_certificate(certificate_of(key).pem)


def test_a_key_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "officer.key"
    write_private(path, SIGNER.pem())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    read = read_signer(path)
    assert read.public == SIGNER.public
    assert verified(SIGNER.public, "hello", b"x", read.sign("hello", b"x"))
    with pytest.raises(FileExistsError):
        write_private(path, b"other")
    assert read_signer(path).public == SIGNER.public


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610, 0o644, 0o777])
def test_a_key_that_others_may_read_is_refused(mode: int, tmp_path: Path) -> None:
    path = tmp_path / "officer.key"
    write_private(path, SIGNER.pem())
    path.chmod(mode)
    with pytest.raises(SecgenError, match="SG522 other accounts"):
        read_signer(path)


def _pem(key: Ed25519PrivateKey | Ed448PrivateKey, password: bytes | None = None) -> bytes:
    algorithm = NoEncryption() if password is None else BestAvailableEncryption(password)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, algorithm)


NO_KEYS = {
    "nothing": b"",
    "words": b"-----BEGIN PRIVATE KEY-----\nno\n-----END PRIVATE KEY-----\n",
    "a certificate": new_certificate(SIGNER, "x", None, 1).pem.encode(),
    "a key with a password": _pem(Ed25519PrivateKey.generate(), b"secret"),
    "a key of another kind": _pem(Ed448PrivateKey.generate()),
    "too much": SIGNER.pem() + b"\n" * 200_000,
    "half a key": SIGNER.pem()[:60],
}


@pytest.mark.parametrize("what", NO_KEYS)
def test_files_that_are_no_key(what: str, tmp_path: Path) -> None:
    path = tmp_path / "officer.key"
    write_private(path, NO_KEYS[what])
    with pytest.raises(SecgenError, match="SG522") as caught:
        read_signer(path)
    assert_helpful(caught.value.diagnostics[0])


@pytest.mark.parametrize("what", ["absent", "folder", "nul\0"])
def test_paths_that_are_no_file(what: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(SecgenError, match=r"SG522 .* cannot be read"):
        read_signer(tmp_path / what)


def test_a_certificate_says_who_it_is_of() -> None:
    made = new_certificate(SIGNER, "north", "north.example.org", 30)
    assert (made.name, made.hosts, made.public) == ("north", ("north.example.org",), SIGNER.public)
    assert 30 <= (made.not_after - made.not_before).days <= 31
    der = ssl.PEM_cert_to_DER_cert(made.pem)
    assert made.fingerprint == f"sha256:{hashlib.sha256(der).hexdigest()}"
    assert new_certificate(SIGNER, "x", "192.0.2.7", 1).hosts == ("192.0.2.7",)
    assert new_certificate(SIGNER, "x", "2001:db8::7", 1).hosts == ("2001:db8::7",)
    assert new_certificate(SIGNER, "x", None, 1).hosts == ()
    assert read_certificate(f"a remark\n{made.pem}") == made


@pytest.mark.parametrize(
    "pem",
    ["", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", SIGNER.pem().decode()],
    ids=["nothing", "no certificate", "a key"],
)
def test_texts_that_are_no_certificate(pem: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_certificate(pem)


def test_a_certificate_has_an_ed25519_key_and_is_alone() -> None:
    made = new_certificate(SIGNER, "north", None, 30).pem
    for pem in (elliptic_certificate().pem, made + made, made.replace("\n", "\r")[:300]):
        with pytest.raises(ValueError, match=r"."):
            read_certificate(pem)


@given(st.data())
def test_a_damaged_certificate_is_refused_or_another(data: st.DataObject) -> None:
    der = bytearray(ssl.PEM_cert_to_DER_cert(_SOUND.pem))
    at = data.draw(st.integers(0, len(der) - 1))
    der[at] ^= data.draw(st.integers(1, 255))
    try:
        read = read_certificate(ssl.DER_cert_to_PEM_cert(bytes(der)))
    except ValueError:
        return
    assert read.fingerprint != _SOUND.fingerprint


_SOUND = new_certificate(SIGNER, "north", "north.example.org", 30)


def _context(
    purpose: int, own: Certificate, signer: Signer, other: Certificate, folder: Path
) -> ssl.SSLContext:
    context = ssl.SSLContext(purpose)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_STRICT
    name = own.fingerprint[7:20]
    (folder / f"{name}.crt").write_text(own.pem)
    if not (folder / f"{name}.key").exists():
        write_private(folder / f"{name}.key", signer.pem())
    context.load_cert_chain(folder / f"{name}.crt", folder / f"{name}.key")
    context.load_verify_locations(cadata=other.pem)
    return context


def _handshake(server: ssl.SSLContext, client: ssl.SSLContext) -> tuple[bytes, bytes] | str:
    """The certificates that client and server saw; or why there was no connection."""
    seen: list[bytes] = []
    reasons: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)

        def serve() -> None:
            connection, _ = listener.accept()
            connection.settimeout(20)
            try:
                with server.wrap_socket(connection, server_side=True) as secured:
                    seen.append(secured.getpeercert(binary_form=True) or b"")
                    secured.sendall(b"hello")
            except OSError as error:
                reasons.append(str(error))
                connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            with (
                socket.create_connection(listener.getsockname(), 20) as raw,
                client.wrap_socket(raw) as secured,
            ):
                assert secured.version() == "TLSv1.3"
                seen.insert(0, secured.getpeercert(binary_form=True) or b"")
                # Only now does a client know that its own certificate was accepted.
                if secured.recv(5) != b"hello":
                    reasons.append("closed")
        except OSError as error:
            reasons.append(str(error))
        thread.join()
    return "; ".join(reasons) if reasons else (seen[0], seen[1])


def test_two_certificates_in_a_handshake_of_tls(tmp_path: Path) -> None:
    keys = new_signer(), new_signer()
    north = new_certificate(keys[0], "north", "127.0.0.1", 30)
    south = new_certificate(keys[1], "south", None, 30)
    server = _context(ssl.PROTOCOL_TLS_SERVER, north, keys[0], south, tmp_path)
    client = _context(ssl.PROTOCOL_TLS_CLIENT, south, keys[1], north, tmp_path)
    result = _handshake(server, client)
    assert isinstance(result, tuple), result
    assert [f"sha256:{hashlib.sha256(der).hexdigest()}" for der in result] == [
        north.fingerprint,
        south.fingerprint,
    ]


@pytest.mark.parametrize("days", [(-9, -1), (1, 9)], ids=["expired", "not yet valid"])
@pytest.mark.parametrize("who", ["server", "client"])
def test_a_certificate_out_of_its_days_is_refused(
    who: str, days: tuple[int, int], tmp_path: Path
) -> None:
    keys = new_signer(), new_signer()
    sound = new_certificate(keys[0], "north", None, 30)
    stale = certificate_of_days(keys[1], *days)
    end, other = ssl.PROTOCOL_TLS_SERVER, ssl.PROTOCOL_TLS_CLIENT
    if who == "client":
        end, other = other, end
    contexts = [
        _context(end, stale, keys[1], sound, tmp_path),
        _context(other, sound, keys[0], stale, tmp_path),
    ]
    for context in contexts:  # what is wrong is the date alone
        context.verify_flags &= ~ssl.VerifyFlags.VERIFY_X509_STRICT
    result = _handshake(*(contexts if who == "server" else reversed(contexts)))
    assert isinstance(result, str)
    assert "expired" in result or "not yet valid" in result


def test_a_stranger_is_refused(tmp_path: Path) -> None:
    """Its certificate names the same party: the name is nothing, the key is all."""
    keys = new_signer(), new_signer(), new_signer()
    north, south, stranger = (
        new_certificate(key, name, None, 30)
        for key, name in zip(keys, ("north", "south", "south"), strict=True)
    )
    server = _context(ssl.PROTOCOL_TLS_SERVER, north, keys[0], south, tmp_path)
    client = _context(ssl.PROTOCOL_TLS_CLIENT, stranger, keys[2], north, tmp_path)
    assert isinstance(_handshake(server, client), str)
