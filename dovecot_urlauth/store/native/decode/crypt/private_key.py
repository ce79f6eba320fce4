"""Private keys in every form that Dovecot keeps them in: PEM, and its own two (dcrypt-openssl.c).

    1 \\t NID \\t 0 or 1 \\t point ... \\t id          v1; 1: encrypted for another key
    2 : OID : 0, 1 or 2 : ... : id                 v2; 2: encrypted with a password

A key's id is the SHA-256 of its public key in DER, the point compressed; the old id is that of the point in
hexadecimal digits.
"""

from __future__ import annotations

from base64 import b64decode
from hashlib import pbkdf2_hmac, sha256

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, x448, x25519
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeAlias

    from cryptography.hazmat.primitives.ciphers import CipherContext

    Material: TypeAlias = (
        ec.EllipticCurvePrivateKey | x25519.X25519PrivateKey | x448.X448PrivateKey | rsa.RSAPrivateKey
    )

CURVES: dict[str, Callable[[], ec.EllipticCurve]] = {
    "1.2.840.10045.3.1.7": ec.SECP256R1,
    "1.3.132.0.10": ec.SECP256K1,
    "1.3.132.0.33": ec.SECP224R1,
    "1.3.132.0.34": ec.SECP384R1,
    "1.3.132.0.35": ec.SECP521R1,
}
RAW_CURVES: dict[str, Any] = {"1.3.101.110": x25519.X25519PrivateKey, "1.3.101.111": x448.X448PrivateKey}
RSA_OID = "1.2.840.113549.1.1.1"
NIDS = {
    "415": "1.2.840.10045.3.1.7",
    "714": "1.3.132.0.10",
    "713": "1.3.132.0.33",
    "715": "1.3.132.0.34",
    "716": "1.3.132.0.35",
}
"""OpenSSL's numbers of curves, which v1 keys have."""
BY_NOBODY, BY_KEY, BY_PASSWORD = "0", "1", "2"
LENGTHS = {BY_NOBODY: 5, BY_KEY: 11, BY_PASSWORD: 9}
"""How many fields a v2 key has, by what it is encrypted with."""
MOST_ROUNDS = 1_000_000
KEY, BLOCK = 32, 16
"""Bytes of an AES-256 key, and of a block."""


class KeyProblem(Exception):
    """A key that cannot be used; ``text`` says why."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class KeyMissing(KeyProblem):
    """A key, or the password for it, is not to be had; Dovecot has it no more than we."""


class PrivateKey:
    """A private key with its ids."""

    def __init__(self, material: Material) -> None:
        self._material = material
        self.id, self.old_id = _ids(material)
        """Hexadecimal digits; RSA keys have no old id."""

    def shared_secret(self, peer: bytes) -> bytes:
        """ECDH with the encoded point ``peer``.  Raises KeyProblem."""
        key = self._material
        try:
            if isinstance(key, ec.EllipticCurvePrivateKey):
                point = ec.EllipticCurvePublicKey.from_encoded_point(key.curve, peer)
                return key.exchange(ec.ECDH(), point)
            if isinstance(key, x25519.X25519PrivateKey):
                return key.exchange(x25519.X25519PublicKey.from_public_bytes(peer))
            if isinstance(key, x448.X448PrivateKey):
                return key.exchange(x448.X448PublicKey.from_public_bytes(peer))
        except (ValueError, UnsupportedAlgorithm):
            raise KeyProblem("the other side's point is not on the key's curve") from None
        raise KeyProblem("an RSA key has no curve")

    def decrypt(self, data: bytes) -> bytes:
        """RSA with OAEP.  Raises KeyProblem."""
        if not isinstance(self._material, rsa.RSAPrivateKey):
            raise KeyProblem("the key is no RSA key")
        sha1 = hashes.SHA1()  # noqa: S303 - what OpenSSL's OAEP takes
        try:
            return self._material.decrypt(data, padding.OAEP(padding.MGF1(sha1), sha1, None))
        except ValueError:
            raise KeyProblem("the key does not fit") from None


def load(text: str, password: str, find: Callable[[str], PrivateKey | None]) -> PrivateKey:
    """The private key in ``text``; ``find`` gives the key with some id that it may be encrypted for.

    Raises KeyProblem.
    """
    try:
        if text.startswith("-----BEGIN "):
            return PrivateKey(_from_pem(text, password))
        fields = text.replace("\t", ":").split(":")
        if fields[0] == "2" and len(fields) == LENGTHS.get(fields[2] if len(fields) > 2 else ""):
            return _checked(_from_v2(fields, password, find), fields[-1])
        if fields[0] == "1" and len(fields) in (5, 7):
            return _checked(_from_v1(fields, find), fields[-1])
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeyProblem(f"the private key cannot be read: {error}") from None
    raise KeyProblem("the private key has a form that is not known")


def load_setting(text: str, password: str) -> PrivateKey:
    """A key as settings hold it: such a text, or it in base64.  Raises KeyProblem."""
    try:
        return load(text, password, _nobody)
    except KeyProblem as problem:
        try:
            decoded = b64decode(text).decode("ascii")
        except ValueError:
            raise problem from None
    return load(decoded, password, _nobody)


def encrypted_for(text: str) -> str | None:
    """The id of the key that a private key in one of Dovecot's own forms is encrypted for; None if for none."""
    fields = text.replace("\t", ":").split(":")
    is_for_key = len(fields) in (7, 11) and fields[2] == BY_KEY
    return fields[-2] if is_for_key else None


def derived(name: str, secret: bytes, salt: bytes, rounds: int, size: int) -> bytes:
    """PBKDF2.  Raises KeyProblem."""
    if not 0 < rounds <= MOST_ROUNDS:
        raise KeyProblem(f"{rounds} rounds are too many")
    try:
        return pbkdf2_hmac(name, secret, salt, rounds, size)
    except ValueError:
        raise KeyProblem(f"the digest {name} is not known") from None


def ctr(key: bytes, iv: bytes, data: bytes) -> bytes:
    """AES in counter mode, which is its own reverse."""
    return ctr_decryptor(key, iv).update(data)


def ctr_decryptor(key: bytes, iv: bytes) -> CipherContext:
    """The same in pieces."""
    return Cipher(algorithms.AES(key), modes.CTR(iv)).decryptor()


def warm_up() -> None:
    """Use the library on nothing: version 38 loads 65 modules of itself at the first use of a key or a cipher."""
    made_up = ec.derive_private_key(1, ec.SECP256R1())
    form = serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    secret = PrivateKey(made_up).shared_secret(made_up.public_key().public_bytes(*form))
    material = derived("sha256", secret, bytes(BLOCK), 1, KEY + BLOCK)
    for mode in (modes.CTR(material[KEY:]), modes.CBC(material[KEY:]), modes.GCM(material[KEY:], bytes(BLOCK))):
        Cipher(algorithms.AES(material[:KEY]), mode).decryptor().update(bytes(BLOCK))


def _nobody(_: str) -> None:
    return None


def _from_pem(text: str, password: str) -> Material:
    key: Any = serialization.load_pem_private_key(text.encode(), password.encode() or None)
    return key  # type: ignore[no-any-return]


def _from_v2(fields: list[str], password: str, find: Callable[[str], PrivateKey | None]) -> Material:
    oid, kind = fields[1:3]
    if kind == BY_NOBODY:
        return _material(oid, bytes.fromhex(fields[3]))
    cipher, salt, digest, rounds, data = fields[3:8]
    if cipher.lower() != "aes-256-ctr":
        raise KeyProblem(f"the private key is encrypted by {cipher}")
    if kind == BY_PASSWORD:
        if not password:
            raise KeyMissing("the private key needs a password")
        secret = password.encode()
    else:
        owner = find(fields[9])
        if owner is None:
            raise KeyMissing(f"the private key {fields[9]} is not to be had")
        secret = owner.shared_secret(bytes.fromhex(fields[8]))
    material = derived(digest, secret, bytes.fromhex(salt), int(rounds), KEY + BLOCK)
    return _material(oid, ctr(material[:KEY], material[KEY:], bytes.fromhex(data)))


def _from_v1(fields: list[str], find: Callable[[str], PrivateKey | None]) -> Material:
    oid, kind = NIDS.get(fields[1], ""), fields[2]
    point = bytes.fromhex(fields[3])
    if kind == BY_KEY:
        owner = find(fields[5])
        if owner is None:
            raise KeyMissing(f"the private key {fields[5]} is not to be had")
        key = sha256(owner.shared_secret(bytes.fromhex(fields[4]))).digest()
        point = ctr(key, bytes(BLOCK), point)
    return _material(oid, len(point).to_bytes(4, "big") + point)


def _material(oid: str, data: bytes) -> Material:
    if oid in CURVES:
        size = int.from_bytes(data[:4], "big")
        return ec.derive_private_key(int.from_bytes(data[4 : 4 + size], "big"), CURVES[oid]())
    if oid in RAW_CURVES:
        raw: Material = RAW_CURVES[oid].from_private_bytes(data)
        return raw
    if oid == RSA_OID:
        key = serialization.load_der_private_key(data, None)
        if isinstance(key, rsa.RSAPrivateKey):
            return key
    raise KeyProblem(f"the private key is of the kind {oid}")


def _checked(material: Material, key_id: str) -> PrivateKey:
    key = PrivateKey(material)
    if key_id not in (key.id, key.old_id):
        raise KeyProblem(f"the private key is not {key_id}: the password, or another key, is wrong")
    return key


def _ids(material: Material) -> tuple[str, str]:
    der = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    public = material.public_key()
    try:
        encoded = public.public_bytes(*der)
    except AttributeError:
        raise KeyProblem("the private key is of a kind that is not known") from None
    if isinstance(public, ec.EllipticCurvePublicKey):
        form = serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint
        point = public.public_bytes(*form)
        return _hex(_compressed(encoded, point)), _hex(point.hex().upper().encode())
    if isinstance(public, x25519.X25519PublicKey | x448.X448PublicKey):
        raw = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        return _hex(encoded), _hex(raw.hex(":").upper().encode())
    return _hex(encoded), ""


def _hex(data: bytes) -> str:
    return sha256(data).hexdigest()


def _compressed(encoded: bytes, point: bytes) -> bytes:
    """SubjectPublicKeyInfo with another form of its point: SEQUENCE of the algorithm and a BIT STRING."""
    start = 3 if encoded[1] & 0x80 else 2
    algorithm = encoded[start : start + 2 + encoded[start + 1]]
    bits = b"\x03" + bytes((len(point) + 1, 0)) + point
    return b"\x30" + bytes((len(algorithm) + len(bits),)) + algorithm + bits
