"""Where the driver imapc finds mail, in both languages, and what only Dovecot itself understands of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from dovecot_urlauth.config.errors import UnsupportedSetting
from dovecot_urlauth.config.imapc_settings import ImapcSettings, imapc_settings, tls_settings
from dovecot_urlauth.config.settings import Settings, SettingsError
from dovecot_urlauth.dialect.versions import DOVECOT_2_3_19, DOVECOT_2_4_2
from tests.store.user import SETTINGS_2_4, user

HOME = Path("/home/bob")
OLD = {"mail_location": "imapc:~/imapc", "imapc_host": "b1", "imapc_password": "secret"}
NEW = {"mail_driver": "imapc", "imapc_host": "b1", "imapc_password": "secret"}


def old(changes: dict[str, str], tls: dict[str, str] | None = None) -> ImapcSettings | None:
    return imapc_settings(user(HOME, OLD | changes), tls_settings(Settings(tls or {})), DOVECOT_2_3_19)


def new(changes: dict[str, str], tls: dict[str, str] | None = None) -> ImapcSettings | None:
    return imapc_settings(
        user(HOME, NEW | changes, SETTINGS_2_4), tls_settings(Settings(tls or {})), DOVECOT_2_4_2
    )


def test_another_driver() -> None:
    assert old({"mail_location": "maildir:~/Maildir"}) is None
    assert new({"mail_driver": "maildir"}) is None
    assert new({"mail_driver": ""}) is None


def test_the_least() -> None:
    least = ImapcSettings("b1", None, "bob", "", "secret", "no", verifies=True)
    assert old({}) == new({}) == least


def test_all_of_it() -> None:
    others = {"imapc_port": "1143", "imapc_ssl": "starttls", "imapc_master_user": "master"}
    found = ImapcSettings("b1", 1143, "bob@b1", "master", "secret", "starttls", verifies=True)
    assert old(others | {"imapc_user": "%u@b1"}) == found
    assert new(others | {"imapc_user": "%{owner_user}@b1"}) == found


@pytest.mark.parametrize("name", ["imapc_ssl_verify", "ssl_client_require_valid_cert"])
def test_certificates_may_be_anything(name: str) -> None:
    for found in (old({}, {name: "no"}), old({name: "no"}), new({}, {name: "no"})):
        assert found is not None
        assert not found.verifies
    inside = new({}, {f"imapc/{name}": "no", name: "yes"})
    assert inside is not None
    assert not inside.verifies


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"imapc_list_prefix": "x"}, "imapc_list_prefix is set"),
        ({"namespace/inbox/imapc_list_prefix": "x"}, "imapc_list_prefix is set"),
        ({"namespace/inbox/prefix": "x/"}, "prefix is set"),
        ({"namespace/inbox/separator": "/"}, "separator is set"),
        ({"mail_plugins": "quota acl"}, "mail_plugins has acl"),
        ({"mail_plugins": "mailbox_alias"}, "mail_plugins has mailbox_alias"),
        ({"mail_plugins": "listescape"}, "mail_plugins has listescape"),
        ({"mail_plugins": "virtual"}, "mail_plugins has virtual"),
        ({"mail_plugins": "mail_crypt"}, "mail_plugins has mail_crypt"),
        ({"mail_plugins": "of_a_site"}, "mail_plugins has of_a_site"),
        ({"namespace/inbox/mail_plugins": "acl"}, "mail_plugins has acl"),
        ({"imapc_ssl": "maybe"}, "imapc_ssl is maybe"),
    ],
)
def test_what_is_left_to_dovecot(changes: dict[str, str], reason: str) -> None:
    with pytest.raises(UnsupportedSetting, match=reason):
        old(changes)
    with pytest.raises(UnsupportedSetting, match=reason):
        new(changes)


def test_plugins_that_no_reader_notices() -> None:
    harmless = {"mail_plugins": "quota notify,imap_quota apparmor", "namespace/inbox/separator": ""}
    assert old(harmless) == old({})
    assert new(harmless) == new({})


def test_namespaces() -> None:
    two = {"namespace": "inbox other"}
    with pytest.raises(UnsupportedSetting, match="not imapc's"):
        old(two | {"namespace/other/location": "maildir:~/x"})
    with pytest.raises(UnsupportedSetting, match="not imapc's"):
        new(two | {"namespace/other/mail_driver": "maildir"})
    assert old(two | {"namespace/other/location": "maildir:~/x", "namespace/other/disabled": "yes"})
    assert old(two | {"namespace/inbox/location": "", "namespace/other/location": "imapc:"})
    with pytest.raises(UnsupportedSetting):
        old({"imapc_password": "%{nobody:knows}"})
    with pytest.raises(SettingsError):
        old({"imapc_port": "imap"})
    assert imapc_settings(user(HOME, {**NEW, "mail_driver": "maildir"}, {}), Settings({}), DOVECOT_2_4_2) is None
    bare = {**NEW, "namespace": "inbox"}
    del bare["mail_driver"]
    assert imapc_settings(user(HOME, bare, {}), Settings({}), DOVECOT_2_4_2) is None
