"""What Dovecot itself makes of vectors/dovecot-2.4.conf was seen with ``doveadm mailbox path``."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import pytest

from dovecot_urlauth.config.driver_defaults import with_driver_defaults
from dovecot_urlauth.config.flatten import flatten
from dovecot_urlauth.config.read import read_config_file
from dovecot_urlauth.config.settings import Settings, SettingsError
from dovecot_urlauth.config.wanted import BROKER, TARGET_USER, WORKER, Wanted
from dovecot_urlauth.dialect.dialect import ConfigSource
from dovecot_urlauth.wire import config_binary
from dovecot_urlauth.wire.config_binary import FilteredSettings, Record
from dovecot_urlauth.wire.config_filter import ConfigFileError, parse_filter

VECTORS = Path(__file__).parents[1] / "wire" / "vectors"
FORMATS = [
    pytest.param("2.4.1", ConfigSource.BINARY_BIG_ENDIAN),
    pytest.param(
        "2.4.5",
        ConfigSource.BINARY_NATIVE,
        marks=pytest.mark.skipif(sys.byteorder == "big", reason="made on a little-endian machine"),
    ),
]

IN_INBOX = 'settings_filter_name="namespace/inbox"'


def read(version: str, source: ConfigSource, wanted: Wanted, folder: Path) -> Settings:
    path = folder / "dovecot.conf.binary"
    path.write_bytes(gzip.decompress((VECTORS / f"dovecot-{version}.binary.gz").read_bytes()))
    with path.open("rb") as file:
        return read_config_file(file.fileno(), source, wanted)


@pytest.mark.parametrize(("version", "source"), FORMATS)
def test_target_user(version: str, source: ConfigSource, tmp_path: Path) -> None:
    settings = read(version, source, TARGET_USER, tmp_path)
    expected = {
        "base_dir": "/run/dovecot",
        "mail_debug": "",
        "mail_driver": "maildir",
        "mail_path": "~/svc",
        "mail_volatile_path": "~/vol",
        "mail_plugins": "acl quota",
        "namespace": "inbox",
        "namespace/inbox/inbox": "yes",
        "namespace/inbox/separator": "/",
        "namespace/inbox/mail_path": "~/grouped",
        "namespace/inbox/mail_index_path": "~/explicit",
        "namespace/inbox/mail_control_path": "~/gc",
        "namespace/inbox/mail_cache_path": "~/cc",
        "mail_attribute/dict": "proxy",
        "mail_attribute/dict/proxy/name": "attr",
        "mail_attribute/dict/proxy/socket_path": "dict",
    }
    assert {key: settings.get(key) for key in expected} == expected


@pytest.mark.parametrize(("version", "source"), FORMATS)
def test_another_protocol(version: str, source: ConfigSource, tmp_path: Path) -> None:
    assert not read(version, source, WORKER, tmp_path).flag("mail_debug")
    assert not read(version, source, BROKER, tmp_path).flag("mail_debug")


def settings_of(*filtered: tuple[str, tuple[str, ...], list[tuple[str, ...]]], error: str = "") -> dict[str, str]:
    """Flat settings of one block: (filter, groups, [(key, value) or (key, operation, word, value)])."""
    settings = tuple(
        FilteredSettings(
            parse_filter(text),
            error,
            groups,
            tuple(Record(*each) if len(each) == 4 else Record(each[0], "", "", each[1]) for each in records),
        )
        for text, groups, records in filtered
    )
    return flatten({"mail_user": settings}, "imap", "imap-urlauth-worker")


def test_the_last_filter_that_matches_counts() -> None:
    assert settings_of(
        ("", (), [("a", "1"), ("b", "1"), ("c", "1")]),
        ('protocol="imap"', (), [("b", "2"), ("c", "2")]),
        ('protocol="pop3"', (), [("a", "3")]),
        ('settings_filter_name="service/imap-urlauth-worker"', (), [("c", "4")]),
        ('settings_filter_name="service/imap"', (), [("a", "5")]),
        ('remote_ip="10.0.0.0/8"', (), [("a", "6")]),
    ) == {"a": "1", "b": "2", "c": "4"}


def test_a_list_adds_up_until_a_filter_closes_it() -> None:
    words: list[tuple[str, ...]] = [("mail_plugins", "+", "old", "yes"), ("other", "+", "kept", "yes")]
    assert settings_of(
        ("", (), words),
        ("", (), [("mail_plugins", "+", "acl", "yes"), ("mail_plugins", "$", "quota", "yes")]),
        ('protocol="imap"', (), [("mail_plugins", "+", "acl", "no"), ("mail_plugins", "+", "zlib", "yes")]),
    ) == {"mail_plugins": "zlib quota", "other": "kept"}


def test_an_empty_list_hides_the_default() -> None:
    assert settings_of(
        ("", (), [("mail_access_groups", "$", "dovecot", "yes")]),
        ("", (), [("mail_access_groups", ".", "", "")]),
    ) == {"mail_access_groups": ""}


def test_names_of_blocks_add_up() -> None:
    assert settings_of(
        ("", (), [("namespace", "inbox shared")]),
        ('protocol="imap"', (), [("namespace", "shared more")]),
    ) == {"namespace": "shared more inbox"}


def test_a_group_counts_behind_the_filter_that_includes_it() -> None:
    assert settings_of(
        (f'{IN_INBOX} AND protocol="imap"', (), [("a", "earlier"), ("d", "earlier")]),
        (IN_INBOX, ("g/x",), [("b", "own")]),
        ('settings_filter_name="@g/x"', (), [("a", "group"), ("b", "group")]),
        ('settings_filter_name="mailbox/Sent" AND settings_filter_name="@g/x"', (), [("auto", "create")]),
        ('settings_filter_name="@g/y"', (), [("c", "not included")]),
    ) == {
        "namespace/inbox/a": "group",
        "namespace/inbox/b": "own",
        "namespace/inbox/d": "earlier",
        "namespace/inbox/mailbox/Sent/auto": "create",
    }


def test_the_name_of_a_dictionary_is_not_a_setting() -> None:
    inside = 'settings_filter_name="dict/proxy" AND settings_filter_name="mail_attribute"'
    assert settings_of((inside, (), [("dict_name", "proxy"), ("dict_proxy_name", "attr")])) == {
        "mail_attribute/dict/proxy/name": "attr"
    }


def test_an_invalid_setting_is_an_error_where_it_applies() -> None:
    with pytest.raises(ConfigFileError, match="does not exist"):
        settings_of(('protocol="imap"', (), []), error="file does not exist")
    assert settings_of(('protocol="pop3"', (), []), error="file does not exist") == {}


def test_a_file_of_something_else(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"dovecot_config_version = 2.4.1\n")
    with path.open("rb") as file, pytest.raises(SettingsError, match=r"^Failed to parse config from fd"):
        read_config_file(file.fileno(), ConfigSource.BINARY_NATIVE, BROKER)


DEFAULTS = {
    "maildir/mail_path": "%{home}/Maildir",
    "maildir/mailbox_list_layout": "maildir++",
    "maildir/layout_maildir++/mail_inbox_path": ".",
    "maildir/layout_fs/mail_inbox_path": ".",
    "sdbox/mail_path": "%{home}/sdbox",
    "sdbox/mailbox_directory_name": "dbox-Mails",
    "layout_index/mailbox_list_storage_escape_char": "^",
}


@pytest.mark.parametrize(
    ("explicit", "added"),
    [
        ({}, {}),
        (
            {"mail_driver": "maildir"},
            {"mail_path": "%{home}/Maildir", "mailbox_list_layout": "maildir++", "mail_inbox_path": "."},
        ),
        (
            {"mail_driver": "maildir", "mail_path": "~/M", "mailbox_list_layout": "fs"},
            {"mail_inbox_path": "."},
        ),
        (
            {"mail_driver": "sdbox", "mailbox_list_layout": "index"},
            {
                "mail_path": "%{home}/sdbox",
                "mailbox_directory_name": "dbox-Mails",
                "mailbox_list_storage_escape_char": "^",
            },
        ),
        (
            {"mail_driver": "sdbox", "namespace": "inbox a", "namespace/a/mail_driver": "maildir"},
            {
                "mail_path": "%{home}/sdbox",
                "mailbox_directory_name": "dbox-Mails",
                "namespace/a/mail_path": "%{home}/Maildir",
                "namespace/a/mailbox_directory_name": "",
                "namespace/a/mailbox_list_layout": "maildir++",
                "namespace/a/mail_inbox_path": ".",
            },
        ),
        (
            {"mail_driver": "maildir", "namespace": "a", "namespace/a/mail_driver": "sdbox"},
            {
                "mail_path": "%{home}/Maildir",
                "mailbox_list_layout": "maildir++",
                "mail_inbox_path": ".",
                "namespace/a/mail_path": "%{home}/sdbox",
                "namespace/a/mailbox_directory_name": "dbox-Mails",
                "namespace/a/mailbox_list_layout": "fs",
                "namespace/a/mail_inbox_path": "",
            },
        ),
        (
            {
                "mail_driver": "sdbox",
                "mail_path": "~/M",
                "namespace": "a",
                "namespace/a/mail_driver": "maildir",
                "namespace/a/mail_inbox_path": "in",
            },
            {
                "mailbox_directory_name": "dbox-Mails",
                "namespace/a/mailbox_directory_name": "",
                "namespace/a/mailbox_list_layout": "maildir++",
            },
        ),
    ],
)
def test_driver_defaults(explicit: dict[str, str], added: dict[str, str]) -> None:
    before = Settings({**DEFAULTS, **explicit})
    after = with_driver_defaults(before)
    assert {key: after.get(key) for key in after if key not in before} == added
    assert all(after.get(key) == before.get(key) for key in before)


def test_a_setting_that_was_found_to_be_invalid_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """2.4 writes what is wrong into the file, and a layout that is known is not asked of doveconf."""
    invalid = FilteredSettings(parse_filter(""), "mail_uid: Invalid number", (), ())
    monkeypatch.setattr(config_binary, "read_config", lambda *others: {"mail_user": (invalid,)})
    (tmp_path / "file").touch()
    with (tmp_path / "file").open("rb") as file, pytest.raises(SettingsError) as raised:
        read_config_file(file.fileno(), ConfigSource.BINARY_NATIVE, TARGET_USER)
    assert type(raised.value) is SettingsError
    assert raised.value.text.endswith(": mail_uid: Invalid number")
