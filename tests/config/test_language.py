"""What only one of the two languages says, and what both say in their own way."""

from __future__ import annotations

from pathlib import Path

import pytest

from dovecot_urlauth.config import known, language_2_3, language_2_4
from dovecot_urlauth.config.attribute_dict import FileDictSettings
from dovecot_urlauth.config.errors import UnsupportedSetting
from dovecot_urlauth.config.language import language_of
from dovecot_urlauth.config.native_settings import native_settings
from dovecot_urlauth.config.plugins import ADDED, rights_settings, with_rights
from dovecot_urlauth.config.settings import LISTS, Settings, SettingsError
from dovecot_urlauth.config.wanted import TARGET_USER
from dovecot_urlauth.dialect.dialect import Dialect
from dovecot_urlauth.dialect.versions import DOVECOT_2_3_13, DOVECOT_2_3_19, DOVECOT_2_4_1, DOVECOT_2_4_2, _changed
from dovecot_urlauth.message.rules import RULES_2_3_13, RULES_2_3_19_DEBIAN, RULES_2_4_1, RULES_2_4_5
from dovecot_urlauth.url.rules import RULES_2_3, RULES_2_4
from tests.store.user import user


def test_which_one() -> None:
    assert language_of(DOVECOT_2_3_13) is language_of(DOVECOT_2_3_19) is language_2_3
    assert language_of(DOVECOT_2_4_1) is language_of(DOVECOT_2_4_2) is language_2_4


def test_variables_that_every_process_gets() -> None:
    old = language_2_3.imported_variables
    assert old(Settings({})) == (
        "TZ", "CORE_OUTOFMEM", "CORE_ERROR", "LISTEN_PID", "LISTEN_FDS", "NOTIFY_SOCKET"
    )  # fmt: skip
    assert old(Settings({"import_environment": "TZ SSL_CERT_DIR=/x LANG"})) == ("TZ", "SSL_CERT_DIR", "LANG")
    assert language_2_4.imported_variables(Settings({"import_environment": "TZ LANG"})) == ("TZ", "LANG")


def test_each_dialect_has_its_rules() -> None:
    dialects = (DOVECOT_2_3_13, DOVECOT_2_3_19, DOVECOT_2_4_1, DOVECOT_2_4_2)
    messages = [dialect.load_message_rules() for dialect in dialects]
    assert messages == [RULES_2_3_13, RULES_2_3_19_DEBIAN, RULES_2_4_1, RULES_2_4_5]
    assert [dialect.load_url_rules() for dialect in dialects] == [RULES_2_3, RULES_2_3, RULES_2_4, RULES_2_4]
    with pytest.raises(TypeError, match="nosuch"):
        _changed(DOVECOT_2_4_2, nosuch=1)


def test_rights_of_another_protocol() -> None:
    mine = Settings({"mail_plugins": "quota", "acl_user": "me"})
    theirs = Settings(
        {
            "mail_plugins": "acl fts",
            "acl_user": "x",
            "acl_driver": "vfile",
            "plugin/acl": "vfile",
            "acl": "owner",
            "acl/owner/rights": "l",
            "mail_path": "y",
        }
    )
    together = with_rights(mine, theirs)
    added = {
        "mail_plugins": "quota acl",
        "acl_driver": "vfile",
        "plugin/acl": "vfile",
        "acl": "owner",
        "acl/owner/rights": "l",
        ADDED: "yes",
    }
    assert together == mine.merged(added)
    assert with_rights(together, theirs) is together
    assert with_rights(mine, Settings({"mail_plugins": "fts"})) is mine
    assert sorted(rights_settings(together)) == ["acl", "acl/owner/rights", "acl_driver", "acl_user"]
    assert sorted(rights_settings(theirs)) == ["acl_driver", "acl_user"]  # which the engine reads for itself
    own = with_rights(Settings({"acl": "anyone", "acl/anyone/rights": "lr"}), theirs)
    assert own.get("acl") == "owner"


def test_the_services_whose_rights_hold() -> None:
    assert (TARGET_USER.protocol, TARGET_USER.rights_from) == ("imap-urlauth-worker", "imap")
    assert TARGET_USER.for_service("imap").service == "imap"
    assert {"mail_plugins", "acl_groups", "protocols"} <= LISTS


@pytest.mark.parametrize("dialect", [DOVECOT_2_3_19, DOVECOT_2_4_2], ids=lambda dialect: dialect.name)
def test_a_plain_maildir(dialect: Dialect) -> None:
    settings = language_of(dialect).maildir_at("/nowhere")
    found = native_settings(user(Path("/h"), {"namespace": ""}, settings), dialect)
    assert found.attributes == FileDictSettings(b"/nowhere")
    assert found.namespaces[0].location is not None
    assert found.namespaces[0].location.root == b"/nowhere"


def test_folders_that_are_read() -> None:
    settings = native_settings(
        user(Path("/home/bob"), {"mail_location": "maildir:~/M:INDEX=/i:CONTROL=/c"}), DOVECOT_2_3_19
    )
    assert settings.folders() == (b"/home/bob/M", b"/i", b"/c", b"/home/bob")


def test_what_a_user_may_not_have() -> None:
    for changes, reason in (
        ({"mail_location": ""}, "mail_location is not set"),
        ({"mail_plugins": "quota virtual"}, "mail_plugins has virtual"),
        ({"namespace/inbox/inbox": "no"}, "there is not one namespace with inbox=yes"),
        ({"mail_attribute_dict": ""}, "no mail_attribute_dict"),
    ):
        if "mail_location" in changes:
            (inbox,) = native_settings(user(Path("/h"), changes), DOVECOT_2_3_19).namespaces
            assert inbox.why_not == reason
            continue
        with pytest.raises(UnsupportedSetting, match=reason):
            native_settings(user(Path("/h"), changes), DOVECOT_2_3_19)
    bob = user(Path("/h"), {"namespace/inbox/inbox": "yes"})
    bob.chroot = b"/srv"
    with pytest.raises(UnsupportedSetting, match="user has a chroot"):
        native_settings(bob, DOVECOT_2_3_19)


def test_settings_are_values() -> None:
    assert hash(Settings({"a": "b"})) == hash(Settings({"a": "b"}))
    assert repr(Settings({"a": "b"})) == "Settings({'a': 'b'})"


def test_a_number_that_is_none_is_left_to_dovecot(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(settings: Settings) -> None:
        raise SettingsError("Invalid setting")

    monkeypatch.setattr(known, "check_outside", refuse)
    with pytest.raises(UnsupportedSetting, match="Invalid setting"):
        native_settings(user(Path("/h")), DOVECOT_2_3_19)
