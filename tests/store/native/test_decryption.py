"""Encrypted mails: Dovecot's own, with every kind of key; cut at any byte, garbled, and with wrong keys."""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x448
from hypothesis import given
from hypothesis import strategies as st

from dovecot_urlauth.config.crypt_settings import CryptSettings, SetKey
from dovecot_urlauth.config.native_settings import native_settings
from dovecot_urlauth.dialect.versions import DOVECOT_2_3_19
from dovecot_urlauth.message.source import BytesSource
from dovecot_urlauth.message.steps import Pace
from dovecot_urlauth.store.errors import StoreFailure, Unsupported
from dovecot_urlauth.store.native.decode import Decoding
from dovecot_urlauth.store.native.decode.crypt import decrypted, keyring
from dovecot_urlauth.store.native.decode.crypt.header import BadHeader, parse
from dovecot_urlauth.store.native.decode.crypt.keyring import FOLDER_KEY, USER_KEY
from dovecot_urlauth.store.native.decode.crypt.private_key import (
    KeyProblem,
    PrivateKey,
    derived,
    load,
    load_setting,
)
from testing.scene import MESSAGE
from tests.store.native.compressing import COMPRESS
from tests.store.native.encrypting import MAGIC, P256, key_text, key_text_1, version_1, version_2
from tests.store.user import user
from tests.store.waiting import LOOP, wait

if TYPE_CHECKING:
    from collections.abc import Mapping

RECORDED = json.loads(Path(__file__).with_name("encrypted.json").read_text())
GUID, INBOX = b"a" * 32, b"b" * 32
OWNER, OTHER, FOLDER = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
RSA_OWNER = rsa.generate_private_key(65537, 2048)
MAIL = b"Subject: secret\n\n" + b"a line of it\n" * 50
STORED = {"1": version_1(MAIL, OWNER), "2": version_2(MAIL, OWNER)}


def pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, password: bytes = b"") -> str:
    protection: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if password:
        protection = serialization.BestAvailableEncryption(password)
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(*form, protection).decode()


class Dictionary:
    """Attributes in memory."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self.values = dict(values)
        self.asked: list[bytes] = []

    async def lookup(self, key: bytes) -> bytes | None:
        self.asked.append(key)
        value = self.values.get(key.decode())
        return None if value is None else value.encode()

    def close(self) -> None:
        return


class Reader:
    """Decoding with these keys."""

    def __init__(
        self,
        *global_keys: SetKey,
        attributes: Mapping[str, str] | None = None,
        user_keys: tuple[SetKey, ...] = (),
        password: str = "",
        plugins: str = "mail_crypt",
        guid: bytes = INBOX,
    ) -> None:
        settings = native_settings(user(Path("/home/bob"), {"mail_plugins": plugins}), DOVECOT_2_3_19)
        values = {name: getattr(settings, name) for name in type(settings).__match_args__}
        values["crypt"] = CryptSettings(global_keys, user_keys, password)
        self.dictionary = Dictionary(attributes or {})
        self._decoding = Decoding(type(settings)(**values), self.dictionary, lambda: guid)

    def read(self, stored: bytes, guid: bytes = GUID) -> bytes:
        pace = Pace(LOOP.turn, LOOP.now)
        source = wait(self._decoding.decoded(BytesSource(stored), pace, lambda: guid))
        return source.read(0, source.size)


def reader() -> Reader:
    return Reader(SetKey(pem(OWNER), ""))


def attribute(form: bytes, guid: bytes, key: ec.EllipticCurvePrivateKey) -> str:
    return (form % (guid, PrivateKey(key).id.encode())).decode()


@pytest.mark.parametrize("name", RECORDED)
def test_what_dovecot_wrote(name: str) -> None:
    made = RECORDED[name]
    keys = (SetKey(made["key"], ""),) if made["key"] else ()
    guid = made["guid"].encode()
    opened = Reader(*keys, attributes=made["attributes"], password="geheim", guid=guid)
    for _ in range(2):
        content = opened.read(base64.b64decode(made["mail"]), guid)
        assert content.replace(b"\r\n", b"\n") == MESSAGE.replace(b"\r\n", b"\n")


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 70_000])
@pytest.mark.parametrize("flags", [0x02, 0x12])
def test_sizes(size: int, flags: int) -> None:
    mail = (MAIL * 200)[:size]
    assert reader().read(version_2(mail, OWNER, flags=flags)) == mail
    assert reader().read(version_1(mail, OWNER)) == mail


@pytest.mark.parametrize("written", [version_1, version_2])
def test_any_offset_of_a_long_mail(written: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decrypted, "KEPT", 100)
    stored = version_1(MAIL, OWNER) if written is version_1 else version_2(MAIL, OWNER)
    decoding = reader()._decoding
    source = wait(decoding.decoded(BytesSource(stored), Pace(LOOP.turn, LOOP.now), lambda: GUID))
    assert source.size == len(MAIL)
    for offset in range(0, len(MAIL) + 40, 7):
        for length in (0, 1, 16, 50, 1000):
            assert source.read(offset, length) == MAIL[offset : offset + length]


def test_keys_of_every_kind() -> None:
    everybody = (RSA_OWNER, OTHER, OWNER)
    stored = version_2(MAIL, *everybody)
    for key in everybody:
        assert Reader(SetKey(pem(key), "")).read(stored) == MAIL
    in_base64 = base64.b64encode(pem(OWNER, b"pw").encode()).decode()
    for text, password in (
        (pem(OWNER, b"pw"), "pw"),
        (in_base64, "pw"),
        (key_text(OWNER), ""),
        (key_text_1(OWNER), ""),
        (key_text(OWNER, password="pw"), "pw"),
    ):
        assert Reader(SetKey(pem(OTHER), ""), SetKey(text, password)).read(version_2(MAIL, OWNER)) == MAIL


@pytest.mark.parametrize("form", [key_text, key_text_1])
def test_a_folder_s_key_and_a_user_s(form: object) -> None:
    """Folder: for the user's key; user: plain, with a password, or for a key that the userdb gives."""
    stored = version_2(MAIL, FOLDER)
    folder = key_text_1(FOLDER, OWNER) if form is key_text_1 else key_text(FOLDER, owner=OWNER)
    at = attribute(FOLDER_KEY, GUID, FOLDER)
    owner_id = PrivateKey(OWNER).old_id if form is key_text_1 else PrivateKey(OWNER).id
    user_at = (USER_KEY % (INBOX, owner_id.encode())).decode()
    for own, settings in (
        (key_text(OWNER), {}),
        (key_text(OWNER, password="pw"), {"password": "pw"}),
        (key_text(OWNER, owner=OTHER), {"user_keys": (SetKey("garbage", ""), SetKey(pem(OTHER), ""))}),
    ):
        opened = Reader(attributes={at: folder, user_at: own}, **settings)
        assert opened.read(stored) == opened.read(stored) == MAIL
        assert set(opened.dictionary.asked) == {at.encode(), user_at.encode()}
    # the userdb gives the user's key itself
    assert Reader(attributes={at: folder}, user_keys=(SetKey(pem(OWNER), ""),)).read(stored) == MAIL
    assert Reader(attributes={at: key_text(FOLDER)}).read(stored) == MAIL


def test_a_key_that_is_not_to_be_had() -> None:
    stored = version_2(MAIL, FOLDER)
    at, user_at = attribute(FOLDER_KEY, GUID, FOLDER), attribute(USER_KEY, INBOX, OWNER)
    for attributes in (
        {},
        {at: key_text(FOLDER, owner=OWNER)},
        {at: key_text_1(FOLDER, OWNER)},
        {at: key_text(FOLDER, owner=OWNER), user_at: key_text(OWNER, password="pw")},
        {at: key_text(FOLDER, owner=OWNER), user_at: key_text(OWNER, owner=OTHER)},
    ):
        with pytest.raises(StoreFailure, match=r"not to be had|needs a password"):
            Reader(SetKey(pem(OTHER), ""), attributes=attributes).read(stored)
    with pytest.raises(StoreFailure, match="no key opens it"):
        reader().read(version_2(MAIL))


def test_keys_that_we_do_not_understand() -> None:
    ed = ed25519.Ed25519PrivateKey.generate()
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    plain = key_text(OWNER, password="pw")
    for text in (
        "",
        "{}",
        "garbage",
        "2:1.2.3:0:00:00",
        f"2:{P256}:0:zz:00",
        f"2:{P256}:0:{'00' * 36}:00",
        f"2:{P256}:3:00:00",
        key_text(OWNER)[:-1],
        key_text(OTHER)[:-64] + PrivateKey(OWNER).id,
        plain.replace("aes-256-ctr", "aes-256-cbc"),
        plain.replace(":100:", ":100000000:"),
        plain.replace(":100:", ":x:"),
        plain.replace("sha256", "sha257"),
        "1\t999\t0\t00\t00",
        pem(OWNER)[:-40],
        ed.private_bytes(*form).decode(),
        base64.b64encode(b"\xff\xfe").decode(),
    ):
        with pytest.raises(Unsupported, match="mail_crypt: "):
            Reader(SetKey(text, "wrong")).read(STORED["2"])


def test_other_curves() -> None:
    forms = serialization.Encoding.Raw, serialization.PrivateFormat.Raw, serialization.NoEncryption()
    raw = x448.X448PrivateKey.generate()
    own_id = PrivateKey(raw).id
    key = load(f"2:1.3.101.111:0:{raw.private_bytes(*forms).hex()}:{own_id}", "", lambda _: None)
    other = x448.X448PrivateKey.generate()
    point = other.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    assert key.shared_secret(point) == other.exchange(raw.public_key())
    pkcs1 = (
        serialization.Encoding.DER,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    data = RSA_OWNER.private_bytes(*pkcs1).hex()
    loaded = load(f"2:1.2.840.113549.1.1.1:0:{data}:{PrivateKey(RSA_OWNER).id}", "", lambda _: None)
    assert loaded.id == PrivateKey(RSA_OWNER).id
    with pytest.raises(KeyProblem, match="no curve"):
        loaded.shared_secret(point)
    with pytest.raises(KeyProblem, match="no RSA key"):
        key.decrypt(b"")
    with pytest.raises(KeyProblem, match="does not fit"):
        loaded.decrypt(b"x" * 256)
    with pytest.raises(KeyProblem, match="not on the key's curve"):
        key.shared_secret(b"")
    with pytest.raises(KeyProblem, match="rounds"):
        derived("sha256", b"", b"", 0, 1)
    assert load_setting(pem(OWNER), "").old_id == PrivateKey(OWNER).old_id


def test_another_cipher_is_dovecot_s() -> None:
    for place, value in ((18 + 10, 0x2A), (18 + 21, 0x99)):  # AES-256-CBC, and no digest
        stored = bytearray(STORED["2"])
        stored[place] = value
        with pytest.raises(Unsupported, match="another cipher"):
            reader().read(bytes(stored))
    with pytest.raises(Unsupported, match="another cipher"):
        reader().read(version_2(MAIL, OWNER, flags=1))


def test_no_plaintext_of_what_was_tampered_with(monkeypatch: pytest.MonkeyPatch) -> None:
    for kept in (decrypted.KEPT, 100):
        monkeypatch.setattr(decrypted, "KEPT", kept)
        size = parse(STORED["2"]).size
        for place in (size, size + 100, len(STORED["2"]) - 17, len(STORED["2"]) - 1):
            stored = bytearray(STORED["2"])
            stored[place] ^= 1
            with pytest.raises(StoreFailure, match="tampered"):
                reader().read(bytes(stored))


def test_cut_at_any_byte() -> None:
    for end in range(len(MAGIC), len(STORED["2"])):
        with pytest.raises(StoreFailure):
            reader().read(STORED["2"][:end])
    size = parse(STORED["1"]).size
    for end in range(len(MAGIC), size):
        with pytest.raises(StoreFailure):
            reader().read(STORED["1"][:end])
    assert reader().read(STORED["1"][: size + 7]) == MAIL[:7]


@given(st.data(), st.sampled_from(sorted(STORED)))
def test_garbled(data: st.DataObject, version: str) -> None:
    stored = bytearray(STORED[version])
    size = parse(STORED[version]).size
    for _ in range(data.draw(st.integers(1, 3))):
        stored[data.draw(st.integers(len(MAGIC), size - 1))] = data.draw(st.integers(0, 255))
    try:
        content = reader().read(bytes(stored))
    except (StoreFailure, Unsupported):
        return
    assert content == MAIL


@given(st.binary(max_size=300), st.sampled_from([b"", b"\1", b"\2", b"\2\0\0\0\2\0\0\0\xff"]))
def test_garbage_behind_the_mark(garbage: bytes, start: bytes) -> None:
    try:
        header = parse(MAGIC + start + garbage)
    except BadHeader:
        return
    assert header.size <= 64 * 1024 + 20


def test_what_is_not_encrypted_is_left_alone() -> None:
    opened = Reader(SetKey("garbage", ""))
    assert opened.read(MAIL) == MAIL
    assert opened.read(MAGIC[:-1]) == MAGIC[:-1]


def test_compressed_before_it_was_encrypted() -> None:
    opened = Reader(SetKey(pem(OWNER), ""), plugins="mail_crypt zlib")
    for compress in COMPRESS.values():
        assert opened.read(version_2(compress(MAIL), OWNER)) == MAIL
        assert opened.read(compress(MAIL)) == MAIL


def test_an_absent_library(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(sys.modules):
        if name.startswith("cryptography") or ".decode.crypt." in name:
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(Unsupported, match="cryptography is missing"):
        reader_without_pem().read(STORED["2"])


def reader_without_pem() -> Reader:
    return Reader(SetKey("", ""))


def test_keys_are_not_remembered_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyring, "MOST_KNOWN", 1)
    other_at = attribute(FOLDER_KEY, GUID, OTHER)
    opened = Reader(attributes={attribute(FOLDER_KEY, GUID, FOLDER): key_text(FOLDER), other_at: key_text(OTHER)})
    for key in (FOLDER, OTHER, FOLDER):
        assert opened.read(version_2(MAIL, key)) == MAIL
    # who takes the attribute away takes the key away
    del opened.dictionary.values[other_at]
    with pytest.raises(StoreFailure):
        opened.read(version_2(MAIL, OTHER))
