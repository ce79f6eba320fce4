"""From a header and a private key to the plaintext.

An authenticated mail is decrypted once in steps, only to see whether its tag is right; not before is there a
source of it.  AES-GCM counts like AES-CTR, so that any place can be decrypted on its own afterwards.  Version 1
has no tag.
"""

from __future__ import annotations

from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from dovecot_urlauth.message.source import CHUNK, BytesSource
from dovecot_urlauth.store.errors import StoreFailure, Unsupported
from dovecot_urlauth.store.native.decode.crypt.header import AEAD, EC, RSA, SAME_CIPHER
from dovecot_urlauth.store.native.decode.crypt.private_key import (
    BLOCK,
    KEY,
    KeyProblem,
    ctr,
    ctr_decryptor,
    derived,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers import CipherContext

    from dovecot_urlauth.message.source import Source
    from dovecot_urlauth.message.steps import Steps
    from dovecot_urlauth.store.native.decode.crypt.header import Header, KeySlot
    from dovecot_urlauth.store.native.decode.crypt.private_key import PrivateKey

AES_256_GCM = bytes.fromhex("060960864801650304012e")
DIGESTS = {
    bytes.fromhex("06052b0e03021a"): "sha1",
    bytes.fromhex("0609608648016503040201"): "sha256",
    bytes.fromhex("0609608648016503040202"): "sha384",
    bytes.fromhex("0609608648016503040203"): "sha512",
    bytes.fromhex("0609608648016503040204"): "sha224",
}
NONCE, TAG = 12, 16
FIRST_COUNTER = b"\0\0\0\x02"
"""GCM keeps the first block for the tag (NIST SP 800-38D, 7.1)."""
KEPT = 256 * 1024
"""Bytes of a mail that are kept from the check for reading."""


class DecryptedSource:
    """The plaintext behind ``start``, decrypted where it is read."""

    def __init__(self, stored: Source, start: int, size: int, key: bytes, counter: bytes) -> None:
        """``counter`` is the first block's."""
        self.size = size
        self._stored = stored
        self._start = start
        self._key = key
        self._counter = int.from_bytes(counter, "big")
        self._decryptor: CipherContext | None = None
        self._at = 0
        """Where ``_decryptor`` goes on; to make one takes as long as to decrypt a chunk."""

    def read(self, offset: int, length: int) -> bytes:
        """At most ``length`` bytes from ``offset``; fewer only at the end.  Raises StoreFailure."""
        end = min(offset + length, self.size)
        if offset >= end:
            return b""
        skipped = 0
        decryptor, self._decryptor = self._decryptor, None
        if decryptor is None or offset != self._at:
            block, skipped = divmod(offset, BLOCK)
            counter = (self._counter + block) % (1 << 8 * BLOCK)
            decryptor = ctr_decryptor(self._key, counter.to_bytes(BLOCK, "big"))
        stored = self._stored.read(self._start + offset - skipped, end - offset + skipped)
        data = decryptor.update(stored)[skipped:]
        self._decryptor, self._at = decryptor, offset + len(data)
        return data


def decrypted(stored: Source, header: Header, slot: KeySlot, key: PrivateKey) -> Steps[Source]:
    """The plaintext, in steps, once it is authenticated.  Raises StoreFailure, Unsupported."""
    try:
        if header.version == 1:
            return _decrypted_1(stored, header, slot, key)
        content_key = _content_key(header, slot, key)
    except KeyProblem as problem:
        raise StoreFailure(f"mail_crypt: {problem.text}") from None
    except (ValueError, InvalidTag):
        raise StoreFailure("mail_crypt: Corrupted header") from None
    return (yield from _authenticated(stored, header.size, content_key))


def check_supported(header: Header) -> None:
    """Raises Unsupported for what only Dovecot can decrypt."""
    if header.version == 2 and not (
        header.cipher == AES_256_GCM and header.digest in DIGESTS and header.flags & AEAD
    ):
        raise Unsupported("mail is encrypted by another cipher than AES-256-GCM")


def _decrypted_1(stored: Source, header: Header, slot: KeySlot, key: PrivateKey) -> Source:
    shared = sha256(key.shared_secret(slot.ephemeral)).digest()
    content_key = ctr(shared, bytes(BLOCK), slot.encrypted)
    if sha256(content_key).digest() != header.content_key_digest or len(content_key) != KEY:
        raise StoreFailure("mail_crypt: Corrupted header")
    return DecryptedSource(stored, header.size, max(stored.size - header.size, 0), content_key, bytes(BLOCK))


def _content_key(header: Header, slot: KeySlot, key: PrivateKey) -> bytes:
    """Key, nonce and additional data of the mail.  Raises KeyProblem, ValueError, InvalidTag."""
    if slot.kind == RSA:
        found = key.decrypt(slot.encrypted)
    elif slot.kind == EC:
        secret, digest = key.shared_secret(slot.ephemeral), DIGESTS[header.digest]
        if header.flags & SAME_CIPHER:
            material = derived(digest, secret, slot.ephemeral, header.rounds, KEY + NONCE + TAG)
            found = _by_gcm(material, slot.encrypted)
        else:
            material = derived(digest, secret, slot.ephemeral, header.rounds, KEY + BLOCK)
            found = _by_cbc(material, slot.encrypted)
    else:
        raise KeyProblem(f"a content key of the kind {slot.kind}")
    if len(found) != KEY + NONCE + TAG:
        raise KeyProblem("the content key has another size")
    return found


def _by_cbc(material: bytes, data: bytes) -> bytes:
    decryptor = Cipher(algorithms.AES(material[:KEY]), modes.CBC(material[KEY:])).decryptor()
    unpadder = PKCS7(8 * BLOCK).unpadder()
    return unpadder.update(decryptor.update(data) + decryptor.finalize()) + unpadder.finalize()


def _by_gcm(material: bytes, data: bytes) -> bytes:
    mode = modes.GCM(material[KEY : KEY + NONCE], data[-TAG:])
    decryptor = Cipher(algorithms.AES(material[:KEY]), mode).decryptor()
    decryptor.authenticate_additional_data(material[KEY + NONCE :])
    return decryptor.update(data[:-TAG]) + decryptor.finalize()


def _authenticated(stored: Source, start: int, content_key: bytes) -> Steps[Source]:
    key, nonce, additional = content_key[:KEY], content_key[KEY : KEY + NONCE], content_key[KEY + NONCE :]
    end = stored.size - TAG
    if end < start:
        raise StoreFailure("mail_crypt: Unexpected end of data")
    decryptor = Cipher(algorithms.AES(key), modes.GCM(nonce, stored.read(end, TAG))).decryptor()
    decryptor.authenticate_additional_data(additional)
    pieces: list[bytes] = []
    nowhere = bytearray(CHUNK + BLOCK)
    for offset in range(start, end, CHUNK):
        piece = stored.read(offset, min(CHUNK, end - offset))
        if end - start <= KEPT:
            pieces.append(decryptor.update(piece))
        else:
            decryptor.update_into(piece, nowhere)
        yield
    try:
        decryptor.finalize()
    except InvalidTag:
        raise StoreFailure("mail_crypt: Message has been tampered with, or the key is wrong") from None
    if end - start <= KEPT:
        return BytesSource(b"".join(pieces))
    return DecryptedSource(stored, start, end - start, key, nonce + FIRST_COUNTER)
