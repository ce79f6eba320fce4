"""Mails and private keys as mail_crypt writes them, made from the formats' descriptions."""

from __future__ import annotations

import hashlib
import os
import struct

from cryptography.hazmat.primitives import hashes, padding, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric import padding as rsa_padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from dovecot_urlauth.store.native.decode.crypt.private_key import PrivateKey

MAGIC = b"CRYPTED\x03\x07"
AES_256_GCM = bytes.fromhex("060960864801650304012e")
SHA256 = bytes.fromhex("0609608648016503040201")
P256 = "1.2.840.10045.3.1.7"
UNCOMPRESSED = serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint

Owner = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def sized(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def short(data: bytes) -> bytes:
    return struct.pack(">H", len(data)) + data


def ctr(key: bytes, iv: bytes, data: bytes) -> bytes:
    return Cipher(algorithms.AES(key), modes.CTR(iv)).encryptor().update(data)


def version_2(mail: bytes, *owners: Owner, flags: int = 2, rounds: int = 100) -> bytes:
    """Encrypted for each of the owners; flag 0x10 encrypts the content keys by AES-GCM, too."""
    content_key = os.urandom(32 + 12 + 16)
    slots = b"".join(_slot(owner, content_key, flags, rounds) for owner in owners)
    keys = bytes((len(owners),)) + slots
    rest = AES_256_GCM + SHA256 + struct.pack(">II", rounds, len(keys)) + keys
    head = MAGIC + b"\2" + struct.pack(">II", flags, len(MAGIC) + 9 + len(rest)) + rest
    return head + gcm(content_key, mail)


def gcm(material: bytes, data: bytes) -> bytes:
    encryptor = Cipher(algorithms.AES(material[:32]), modes.GCM(material[32:44])).encryptor()
    encryptor.authenticate_additional_data(material[44:])
    encrypted = encryptor.update(data) + encryptor.finalize()
    return encrypted + encryptor.tag


def _slot(owner: Owner, content_key: bytes, flags: int, rounds: int) -> bytes:
    digest = bytes.fromhex(PrivateKey(owner).id)
    check = hashlib.sha256(content_key).digest()
    if isinstance(owner, rsa.RSAPrivateKey):
        sha1 = hashes.SHA1()
        oaep = rsa_padding.OAEP(rsa_padding.MGF1(sha1), sha1, None)
        encrypted = owner.public_key().encrypt(content_key, oaep)
        return b"\1" + digest + sized(b"") + sized(encrypted) + sized(check)
    ephemeral = ec.generate_private_key(owner.curve)
    point = ephemeral.public_key().public_bytes(*UNCOMPRESSED)
    secret = ephemeral.exchange(ec.ECDH(), owner.public_key())
    if flags & 0x10:
        encrypted = gcm(hashlib.pbkdf2_hmac("sha256", secret, point, rounds, 60), content_key)
    else:
        material = hashlib.pbkdf2_hmac("sha256", secret, point, rounds, 48)
        padder = padding.PKCS7(128).padder()
        padded = padder.update(content_key) + padder.finalize()
        encrypted = Cipher(algorithms.AES(material[:32]), modes.CBC(material[32:])).encryptor().update(padded)
    return b"\2" + digest + sized(point) + sized(encrypted) + sized(check)


def version_1(mail: bytes, owner: ec.EllipticCurvePrivateKey) -> bytes:
    ephemeral = ec.generate_private_key(owner.curve)
    point = ephemeral.public_key().public_bytes(*UNCOMPRESSED)
    shared = hashlib.sha256(ephemeral.exchange(ec.ECDH(), owner.public_key())).digest()
    content_key = os.urandom(32)
    fields = short(point) + short(bytes.fromhex(PrivateKey(owner).old_id))
    fields += short(hashlib.sha256(content_key).digest()) + short(ctr(shared, bytes(16), content_key))
    return MAGIC + b"\1" + short(fields) + ctr(content_key, bytes(16), mail)


def number_of(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_numbers().private_value.to_bytes(32, "big")


def key_text(
    key: ec.EllipticCurvePrivateKey, *, password: str = "", owner: ec.EllipticCurvePrivateKey | None = None
) -> str:
    """A P-256 key in Dovecot's form, version 2."""
    data, own_id = sized(number_of(key)), PrivateKey(key).id
    if not password and owner is None:
        return f"2:{P256}:0:{data.hex()}:{own_id}"
    salt, secret, behind, kind = b"saltsalt", password.encode(), "", 2
    if owner is not None:
        ephemeral = ec.generate_private_key(owner.curve)
        point = ephemeral.public_key().public_bytes(*UNCOMPRESSED)
        secret = ephemeral.exchange(ec.ECDH(), owner.public_key())
        behind, kind = f":{point.hex()}:{PrivateKey(owner).id}", 1
    material = hashlib.pbkdf2_hmac("sha256", secret, salt, 100, 48)
    encrypted = ctr(material[:32], material[32:], data).hex()
    return f"2:{P256}:{kind}:aes-256-ctr:{salt.hex()}:sha256:100:{encrypted}{behind}:{own_id}"


def key_text_1(key: ec.EllipticCurvePrivateKey, owner: ec.EllipticCurvePrivateKey | None = None) -> str:
    """The same, version 1."""
    data, own_id = number_of(key), PrivateKey(key).old_id
    if owner is None:
        return f"1\t415\t0\t{data.hex()}\t{own_id}"
    ephemeral = ec.generate_private_key(owner.curve)
    point = ephemeral.public_key().public_bytes(*UNCOMPRESSED)
    shared = hashlib.sha256(ephemeral.exchange(ec.ECDH(), owner.public_key())).digest()
    encrypted = ctr(shared, bytes(16), data).hex()
    return f"1\t415\t1\t{encrypted}\t{point.hex()}\t{PrivateKey(owner).old_id}\t{own_id}"
