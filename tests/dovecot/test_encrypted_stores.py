"""Mail that mail_crypt encrypted, with each kind of key: served natively, and as the stock worker serves it."""

from __future__ import annotations

import subprocess
from base64 import b64encode
from typing import TYPE_CHECKING

import pytest

from testing.instance import DovecotInstance
from testing.oracle import WorkerSession
from testing.scene import MESSAGE, SECTIONS, Scene
from testing.versions import TUNED, Version
from tests.dovecot.test_encoded_stores import LARGE, both_workers, files, natively, same

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.dovecot.conftest import Installations

pytestmark = pytest.mark.in_turns

MAGIC = b"CRYPTED\x03\x07"
PASSWORD = "geheim"
KEYS = ("global", "global with a password", "folder", "folder with a password", "rsa")


def openssl(*words: str, given: bytes = b"") -> bytes:
    return subprocess.run(["openssl", *words], input=given, capture_output=True, check=True).stdout


def key_pair(kind: str) -> tuple[bytes, bytes]:
    if kind == "rsa":
        private = openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048")
    else:
        private = openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:secp384r1")
    public = openssl("pkey", "-pubout", given=private)
    if kind == "global with a password":
        private = openssl("pkey", "-aes256", "-passout", f"pass:{PASSWORD}", given=private)
    return private, public


def encrypting(version: Version, kind: str, *, version_1: bool = False, compressed: bool = False) -> str:
    """Settings; a global key is once in a setting itself and else in a file, as the manual has it."""
    old = version.language == "2.3"
    plugins = ["mail_crypt", *(["zlib" if old else "mail_compress"] if compressed else [])]
    if old:
        lines = [f"mail_crypt_save_version = {1 if version_1 else 2}"] + (["zlib_save = gz"] if compressed else [])
        if kind.startswith("folder"):
            lines += ["mail_crypt_curve = secp521r1"]
            if "password" in kind:
                lines += [f"mail_crypt_private_password = {PASSWORD}"]
        else:
            private, public = key_pair(kind)
            lines += [f"mail_crypt_global_public_key = {b64encode(public).decode()}"]
            lines += [f"mail_crypt_global_private_key = {b64encode(private).decode()}"]
            lines += [f"mail_crypt_global_private_key_password = {PASSWORD}"] * ("password" in kind)
        return (
            f"mail_plugins = {' '.join(plugins)}\nplugin {{\n" + "".join(f"  {line}\n" for line in lines) + "}\n"
        )
    text = "mail_plugins {\n" + "".join(f"  {plugin} = yes\n" for plugin in plugins) + "}\n"
    text += "mail_compress_write_method = zstd\n" if compressed else ""
    if kind.startswith("folder"):
        text += "crypt_user_key_curve = X25519\n"
        return text + (f"crypt_user_key_password = {PASSWORD}\n" if "password" in kind else "")
    private, public = key_pair(kind)
    text += (
        f"crypt_global_public_key_file = inline:{b64encode(public).decode()}\ncrypt_global_private_key main {{\n"
    )
    text += f"  crypt_private_key_file = inline:{b64encode(private).decode()}\n"
    return text + (f"  crypt_private_key_password = {PASSWORD}\n" if "password" in kind else "") + "}\n"


@pytest.mark.parametrize("kind", KEYS)
def test_encrypted(
    starter: Callable[..., DovecotInstance], installations: Installations, version: Version, kind: str
) -> None:
    extra = encrypting(version, kind) + natively(version, installations)
    dovecot = starter(DovecotInstance(version, TUNED, installations[version], extra))
    with Scene(dovecot) as scene:
        stored = scene.store()
        [file] = files(dovecot)
        assert file.read_bytes().startswith(MAGIC)
        scene.create("Other")
        other = scene.store(mailbox="Other")
        sections = ("", "1", "3.HEADER", "HEADER.FIELDS (SUBJECT)")
        assert same(dovecot, scene, {stored: MESSAGE, other: MESSAGE}, sections) > 30


class GivenPasswords(DovecotInstance):
    """A userdb that gives alice the password of her key."""

    def _write_users(self) -> None:
        super()._write_users()
        setting = "mail_crypt_private_password" if self.version.language == "2.3" else "crypt_user_key_password"
        users = self.folder / "users"
        lines = [
            f"{line}userdb_{setting}={PASSWORD}" if line.startswith("alice:") else line
            for line in users.read_text().splitlines()
        ]
        users.write_text("".join(f"{line}\n" for line in lines))


def test_what_the_userdb_gives(
    starter: Callable[..., DovecotInstance], installations: Installations, version: Version
) -> None:
    extra = encrypting(version, "folder") + natively(version, installations)
    dovecot = starter(GivenPasswords(version, TUNED, installations[version], extra))
    with Scene(dovecot) as scene:
        stored = scene.store()
        attributes = (dovecot.home("alice") / "dovecot-attributes").read_text()
        assert ":2:aes-256-ctr:" in attributes  # the user's key is encrypted with the password
        assert same(dovecot, scene, {stored: MESSAGE}, ("", "1", "3.HEADER")) > 10


def test_version_1(
    starter: Callable[..., DovecotInstance], installations: Installations, version: Version
) -> None:
    """2.3 can still write it; its ciphertext has no tag."""
    if version.language != "2.3":
        pytest.skip("2.4 writes version 2 only")
    extra = encrypting(version, "global", version_1=True) + natively(version, installations)
    dovecot = starter(DovecotInstance(version, TUNED, installations[version], extra))
    with Scene(dovecot) as scene:
        stored = scene.store()
        [file] = files(dovecot)
        assert file.read_bytes().startswith(MAGIC + b"\1")
        assert same(dovecot, scene, {stored: MESSAGE}, tuple(SECTIONS)) > 60


def test_compressed_and_encrypted_and_large(
    starter: Callable[..., DovecotInstance], installations: Installations, version: Version
) -> None:
    extra = encrypting(version, "folder", compressed=True) + natively(version, installations)
    dovecot = starter(DovecotInstance(version, TUNED, installations[version], extra))
    with Scene(dovecot) as scene:
        small, large = scene.store(), scene.store(LARGE)
        assert same(dovecot, scene, {small: MESSAGE}, tuple(SECTIONS)) > 60
        with both_workers(dovecot) as (ours, stock):
            for section, partial in (("", ""), ("2", "15000000.9"), ("3", "")):
                url = scene.sign(large, section=section, partial=partial)
                assert ours.fetch(url).content == stock.fetch(url).content != b""


def test_a_wrong_tag(
    starter: Callable[..., DovecotInstance], installations: Installations, version: Version
) -> None:
    """Not one byte of it leaves, however long the mail is."""
    extra = encrypting(version, "global") + natively(version, installations)
    dovecot = starter(DovecotInstance(version, TUNED, installations[version], extra), "mail_crypt: ")
    with Scene(dovecot) as scene, WorkerSession(dovecot) as session:
        scene.create("Other")
        good, bad = (
            scene.sign(scene.store(mailbox="Other")),
            scene.sign(scene.store(MESSAGE + b"line\r\n" * 300_000)),
        )
        [file] = files(dovecot)
        content = bytearray(file.read_bytes())
        session.access(b"bob")
        assert session.select(b"alice") == b"OK\n"
        for place in (-1, -100, 1000):
            content[place] ^= 1
            file.write_bytes(content)
            mark = dovecot.log.mark()
            answer = session.fetch(bad)
            assert (answer.ok, answer.content) == (False, b"")
            dovecot.log.wait_for("tampered", mark)
            assert session.fetch(good).content == MESSAGE
            assert len([line for line in dovecot.log.since(mark) if "tampered" in line]) == 1


def test_a_key_that_we_do_not_have(
    starter: Callable[..., DovecotInstance], installations: Installations, version: Version
) -> None:
    """The stock worker announces such a mail, and then falls silent."""
    extra = encrypting(version, "folder") + natively(version, installations)
    missing = "mail_crypt: the private key [0-9a-f]{64} is not to be had"
    dovecot = starter(DovecotInstance(version, TUNED, installations[version], extra), missing)
    with Scene(dovecot) as scene:
        url = scene.sign(scene.store())
        attributes = dovecot.home("alice") / "dovecot-attributes"
        lines = attributes.read_text().splitlines()
        kept = [pair for pair in zip(lines[::2], lines[1::2], strict=True) if "privkeys" not in pair[0]]
        attributes.write_text("".join(f"{key}\n{value}\n" for key, value in kept))
        with WorkerSession(dovecot) as session:
            session.access(b"bob")
            assert session.select(b"alice") == b"OK\n"
            assert not session.fetch(url).ok
            dovecot.log.wait_for(missing)
