"""What the settings say of access rights, and what is left to the plugin itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from dovecot_urlauth.config.acl_settings import AclSettings
from dovecot_urlauth.config.errors import UnsupportedSetting
from dovecot_urlauth.config.native_settings import NativeSettings, native_settings
from dovecot_urlauth.dialect.versions import DOVECOT_2_3_19, DOVECOT_2_4_2
from tests.store.user import SETTINGS_2_4, user

HOME = Path("/home/bob")
OLD = {"mail_plugins": "quota acl imap_acl"}
NEW = {"mail_plugins": "acl", "acl_driver": "vfile"}


def old(changes: dict[str, str]) -> NativeSettings:
    return native_settings(user(HOME, OLD | changes), DOVECOT_2_3_19)


def new(changes: dict[str, str]) -> NativeSettings:
    return native_settings(user(HOME, NEW | changes, SETTINGS_2_4), DOVECOT_2_4_2)


def test_no_rights_without_the_plugin_or_a_driver() -> None:
    assert old({}).acl is None
    assert old({"plugin/acl": ""}).acl is None
    assert old({"mail_plugins": "quota", "plugin/acl": "vfile"}).acl is None
    assert new({"acl_driver": ""}).acl is None
    assert new({"mail_plugins": ""}).acl is None


def test_rights_in_2_3() -> None:
    assert old({"plugin/acl": "vfile"}).acl == AclSettings(b"bob", frozenset(), takes_global_folder=True)
    changes = {
        "plugin/acl": "vfile:/etc/%n:cache_secs=9",
        "plugin/acl_groups": "a,b c,,%u",
        "plugin/acl_anyone": "allow",
    }
    found = old(changes)
    assert found.acl == AclSettings(
        b"bob", frozenset((b"a", b"b c", b"bob")), b"/etc/bob", takes_global_folder=True
    )
    assert b"/etc" in found.folders()


def test_rights_in_2_4() -> None:
    assert new({}).acl == AclSettings(b"bob", frozenset())
    found = new(
        {
            "acl_groups": "a b\\_c",
            "acl_global_path": "/etc/%{user}",
            "acl_globals_only": "yes",
            "acl_cache_ttl": "0",
            "acl_user": "",
            "acl_sharing_map/dict": "file",
            "dict_server/dict/acl/path": "/shares",
            "acl": "owner user\\ebob",
            "acl/owner/rights": "lr",
        }
    )
    assert found.acl == AclSettings(
        b"bob",
        frozenset((b"a", b"b c")),
        b"/etc/bob",
        has_local_files=False,
        configured=((b"owner", b"lr"), (b"user=bob", b"")),
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"plugin/acl": "ldap:x"}, "acl is ldap:x"),
        ({"plugin/acl": "vfile:/x:never=heard"}, "acl is vfile:/x:never=heard"),
        ({"plugin/acl": "vfile:x"}, "global ACLs are in x"),
        ({"plugin/acl": "vfile", "plugin/master_user": "m"}, "another user than the owner"),
        ({"plugin/acl": "vfile", "plugin/acl_user": "m"}, "another user than the owner"),
        (
            {"plugin/acl": "vfile", "plugin/acl_user": "%u", "plugin/master_user": "m"},
            "another user than the owner",
        ),
        ({"plugin/acl": "vfile", "plugin/acl_globals_only": "yes"}, "plugin/acl_globals_only is set"),
        ({"plugin/acl": "vfile", "plugin/acl_ignore_namespace": "*"}, "plugin/acl_ignore_namespace is set"),
    ],
)
def test_what_is_left_to_dovecot_in_2_3(changes: dict[str, str], reason: str) -> None:
    with pytest.raises(UnsupportedSetting) as unsupported:
        old(changes)
    assert reason in unsupported.value.reason


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"acl_driver": "imapc"}, "acl_driver is imapc"),
        ({"acl_user": "m"}, "another user than the owner"),
        ({"acl_ignore": "yes"}, "acl_ignore is set"),
        ({"acl_never_heard_of": ""}, "acl_never_heard_of is set"),
        ({"mailbox/Sent/acl_driver": "vfile"}, "mailbox/Sent/acl_driver is set"),
        ({"acl": "owner", "acl/owner/rights": "%{user}"}, "acl owner has variables"),
        ({"acl": "user\\e%{x}"}, "acl user=%{x} has variables"),
    ],
)
def test_what_is_left_to_dovecot_in_2_4(changes: dict[str, str], reason: str) -> None:
    with pytest.raises(UnsupportedSetting) as unsupported:
        new(changes)
    assert reason in unsupported.value.reason


def test_a_master_user_in_the_userdb() -> None:
    someone = user(HOME, NEW, SETTINGS_2_4)
    for name in ("m", "bobby", "BOB"):
        someone.fields["master_user"] = name
        with pytest.raises(UnsupportedSetting, match="another user"):
            native_settings(someone, DOVECOT_2_4_2)


def test_a_user_who_is_said_to_look_on_as_himself() -> None:
    own = AclSettings(b"bob", frozenset(), takes_global_folder=True)
    for changes in ({"plugin/acl_user": "%u"}, {"plugin/master_user": "bob", "plugin/acl_user": "bob"}):
        assert old({"plugin/acl": "vfile", **changes}).acl == own
    someone = user(HOME, NEW | {"acl_user": "%{user}"}, SETTINGS_2_4)
    someone.fields["master_user"] = "bob"
    assert native_settings(someone, DOVECOT_2_4_2).acl == AclSettings(b"bob", frozenset())


@pytest.mark.parametrize("driver", ["vfile", ""])
@pytest.mark.parametrize("name", ["acl_ignore", "acl_driver", "acl", "mailbox/x/acl"])
def test_rights_in_one_namespace_alone(driver: str, name: str) -> None:
    """That one is left to Dovecot, whether or not the others have rights."""
    changes = {
        "acl_driver": driver,
        "namespace": "inbox p",
        "namespace/p/prefix": "P.",
        f"namespace/p/{name}": "x",
    }
    for kind in (
        {},
        {"namespace/p/type": "public"},
        {"namespace/p/type": "shared", "namespace/p/prefix": "P.$user."},
    ):
        inbox, other = new(changes | kind).namespaces
        assert inbox.location is not None
        assert (other.location, other.owners, other.why_not) == (None, None, f"namespace/p/{name} is set")


def test_a_namespace_that_is_not_the_users() -> None:
    changes = {
        "plugin/acl": "vfile",
        "namespace": "inbox p",
        "namespace/p/type": "public",
        "namespace/p/prefix": "P.",
    }
    _, public = old(changes).namespaces
    assert (public.location is not None, public.kind) == (True, "public")
    changes["namespace/p/type"] = "private"
    assert [namespace.kind for namespace in old(changes).namespaces] == ["private", "private"]


def test_defaults_from_inbox() -> None:
    for value, expected in (("yes", True), ("no", False)):
        settings = old({"plugin/acl": "vfile", "plugin/acl_defaults_from_inbox": value}).acl
        assert settings is not None
        assert settings.takes_defaults_from_inbox is expected


def test_a_mailbox_that_is_no_directory() -> None:
    [inbox] = old({"plugin/acl": "vfile", "mail_location": "mbox:~/mail"}).namespaces
    assert (inbox.location, inbox.why_not) == (None, "acl with mbox")
