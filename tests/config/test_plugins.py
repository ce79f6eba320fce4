"""One table of plugins for the native store and for the engine."""

from __future__ import annotations

import pytest

from dovecot_urlauth.config.plugins import PLUGINS, Effect, needed_by_engine, not_native, rights, words


def test_words() -> None:
    assert words(" quota,acl  fts, ") == ["quota", "acl", "fts"]
    assert words("") == []


@pytest.mark.parametrize(
    "plugin",
    [
        "old_stats",
        "imap_old_stats",
        "imap_zlib",
        "imap_acl",
        "apparmor",
        "pop3_migration",
        "antispam",
        "charset_alias",
        "zlib",
        "mail_compress",
        "mail_crypt",
        "mail_crypt_acl",
        "mailbox_alias",
    ],
)
def test_plugins_that_do_not_need_the_engine(plugin: str) -> None:
    assert not_native(["quota", plugin]) is None


def test_plugins_that_do() -> None:
    assert not_native(["quota", "virtual", "acl"]) == "virtual"
    assert not_native(["imap_acl", "acl", "mail_filter"]) == "mail_filter"
    assert not_native(["brand_new"]) == "brand_new"


def test_what_the_engine_loads() -> None:
    assert needed_by_engine(["quota", "acl", "imap_acl", "apparmor", "zlib"]) == ["acl", "apparmor", "zlib"]
    assert needed_by_engine(["quota", "charset_alias"]) == []
    assert needed_by_engine(["quota", "brand_new", "acl"]) == ["quota", "brand_new", "acl"]


def test_rights() -> None:
    assert rights(["quota", "acl", "brand_new"]) == ["acl"]


def test_a_plugin_that_the_native_store_leaves_to_the_engine_is_loaded_there() -> None:
    for plugin, effect in PLUGINS.items():
        assert (not_native([plugin]) is None) or needed_by_engine([plugin]) == [plugin]
        assert (effect is Effect.NONE) == (needed_by_engine([plugin]) == [])
