"""Where attributes are, as each language says it."""

from __future__ import annotations

from pathlib import Path

import pytest

from dovecot_urlauth.config.attribute_dict import FileDictSettings, FsDictSettings, ProxyDictSettings
from dovecot_urlauth.config.errors import UnsupportedSetting
from dovecot_urlauth.config.native_settings import NativeSettings, native_settings
from dovecot_urlauth.dialect.versions import DOVECOT_2_3_13, DOVECOT_2_3_17, DOVECOT_2_3_19, DOVECOT_2_4_2
from tests.store.user import SETTINGS_2_4, user

HOME = Path("/home/bob")


def old(text: str, **others: str) -> NativeSettings:
    return native_settings(user(HOME, {"mail_attribute_dict": text, **others}), DOVECOT_2_3_19)


def new(block: str, /, **inside: str) -> NativeSettings:
    path = f"mail_attribute/dict/{block}"
    changes = {f"{path}/{key.replace('__', '/')}": value for key, value in inside.items()}
    return native_settings(user(HOME, {"mail_attribute/dict": block, **changes}, SETTINGS_2_4), DOVECOT_2_4_2)


@pytest.mark.parametrize(
    ("text", "socket", "name"),
    [
        ("proxy::attributes", b"/run/dovecot/dict", b"attributes"),
        ("proxy:dict-async:attributes", b"/run/dovecot/dict-async", b"attributes"),
        ("proxy:/tmp/x:a:b", b"/tmp/x", b"a:b"),
        ("proxy:idle_msecs=5:warn_slow_msecs=7::%n", b"/run/dovecot/dict", b"bob"),
    ],
)
def test_proxy_in_2_3(text: str, socket: bytes, name: bytes) -> None:
    found = old(text)
    assert found.attributes == ProxyDictSettings(socket, name, b"bob", 3)
    assert found.folders() == (b"/home/bob/Maildir",)


def test_proxy_in_2_4() -> None:
    assert new("proxy", name="a").attributes == ProxyDictSettings(b"/run/dovecot/dict", b"a", b"bob", 4)
    found = new("mine", driver="proxy", name="%{user}", socket_path="/tmp/%{user}")
    assert found.attributes == ProxyDictSettings(b"/tmp/bob", b"bob", b"bob", 4)


def test_the_socket_is_below_base_dir() -> None:
    found = old("proxy::a", base_dir="/var/run/mail").attributes
    assert isinstance(found, ProxyDictSettings)
    assert found.socket == b"/var/run/mail/dict"


def test_the_protocol_is_the_dialects() -> None:
    settings = user(HOME, {"mail_attribute_dict": "proxy::a"})
    found = [native_settings(settings, dialect).attributes for dialect in (DOVECOT_2_3_13, DOVECOT_2_3_17)]
    assert [each.major for each in found if isinstance(each, ProxyDictSettings)] == [2, 3]


@pytest.mark.parametrize(
    ("text", "prefix"),
    [
        ("fs:posix:prefix=%h/attrs/", b"/home/bob/attrs/"),
        ("fs:posix:lock=dotlock:mode=0600:prefix=/x:no-fsync:prefix=/y/z:", b"/y/z"),
    ],
)
def test_files_in_2_3(text: str, prefix: bytes) -> None:
    found = old(text)
    assert found.attributes == FsDictSettings(prefix, b"bob")
    assert prefix.rpartition(b"/")[0] in found.folders()


def test_files_in_2_4() -> None:
    expected = FsDictSettings(b"/home/bob/attrs/", b"bob")
    assert new("fs", fs="posix", fs__posix__prefix="%{home}/attrs/").attributes == expected
    assert (
        new("x", driver="fs", fs="y", fs__y__driver="posix", fs__y__prefix="%{home}/attrs/").attributes == expected
    )


def test_a_file() -> None:
    assert old("file:%h/a:lock=fcntl").attributes == FileDictSettings(b"/home/bob/a")
    assert new("x", driver="file", path="~/a").attributes == FileDictSettings(b"/home/bob/a")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no mail_attribute_dict"),
        ("redis:host=x", "mail attributes are in a dictionary redis:"),
        ("proxy:a", "mail_attribute_dict is proxy: without a name"),
        ("fs:crypt:posix:prefix=/x/", "mail attributes are in a dictionary fs:crypt:"),
        ("fs:posix:prefix=x/", "mail attributes are in files below x/"),
        ("fs:posix:", "mail attributes are in files below nothing"),
        ("fs:posix:never=heard:prefix=/x", "mail_attribute_dict has never=heard"),
    ],
)
def test_what_is_left_to_dovecot_in_2_3(text: str, reason: str) -> None:
    with pytest.raises(UnsupportedSetting, match=f"^{reason}$"):
        old(text)


@pytest.mark.parametrize(
    ("name", "inside", "reason"),
    [
        ("", {}, "no mail_attribute_dict"),
        ("sql", {}, "mail attributes are in a dictionary sql:"),
        ("fs", {"fs": "crypt posix"}, "mail attributes are in a dictionary fs that is not posix"),
        ("fs", {"fs": "posix"}, "mail attributes are in files below nothing"),
    ],
)
def test_what_is_left_to_dovecot_in_2_4(name: str, inside: dict[str, str], reason: str) -> None:
    with pytest.raises(UnsupportedSetting, match=f"^{reason}$"):
        new(name, **inside)


@pytest.mark.parametrize("name", [b"../bob", b".bob", b"a/b"])
def test_names_that_are_no_files(name: bytes) -> None:
    someone = user(HOME, {"mail_attribute_dict": "fs:posix:prefix=/x/"})
    someone.name = name
    with pytest.raises(UnsupportedSetting, match="no file's"):
        native_settings(someone, DOVECOT_2_3_19)
