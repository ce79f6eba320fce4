"""Namespaces below which everybody's mail is shared: how they are written, and where an owner's mail then is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dovecot_urlauth.config import language_2_3, language_2_4
from dovecot_urlauth.config.errors import UnsupportedSetting
from dovecot_urlauth.config.mail_location import Location
from dovecot_urlauth.config.native_settings import native_settings
from dovecot_urlauth.config.shared_owners import Owner
from dovecot_urlauth.dialect.versions import DOVECOT_2_3_19, DOVECOT_2_4_2
from tests.store.user import SETTINGS_2_3, SETTINGS_2_4, user

if TYPE_CHECKING:
    from dovecot_urlauth.config.native_settings import Namespace

HOME = Path("/home/bob")
CAROL = Owner(b"carol@c.test", b"carol", b"c.test", b"/home/carol")


def shared(base: dict[str, str], **changes: str) -> Namespace:
    """The second namespace, which is shared."""
    settings = {"namespace": "inbox s", "namespace/s/type": "shared", "namespace/s/separator": "/"}
    settings |= {key.replace("__", "/"): value for key, value in changes.items()}
    dialect = DOVECOT_2_3_19 if base is SETTINGS_2_3 else DOVECOT_2_4_2
    _, found = native_settings(user(HOME, settings, base), dialect).namespaces
    return found


def old(prefix: str = "shared/%%u/", location: str = "maildir:%%h/Maildir", **changes: str) -> Namespace:
    return shared(SETTINGS_2_3, namespace__s__prefix=prefix, namespace__s__location=location, **changes)


def new(prefix: str = "shared/$user/", path: str = "%{owner_home}/Maildir", **changes: str) -> Namespace:
    return shared(SETTINGS_2_4, namespace__s__prefix=prefix, namespace__s__mail_path=path, **changes)


def located(namespace: Namespace, owner: Owner = CAROL) -> Location:
    assert namespace.owners is not None, namespace.why_not
    return namespace.owners.locate(owner)


def test_both_languages_say_the_same() -> None:
    for namespace in (old(), new()):
        assert (namespace.prefix, namespace.separator, namespace.location) == (b"shared/", b"/", None)
        assert (namespace.kind, namespace.why_not) == ("shared", "")
        assert located(namespace) == Location(b"/home/carol/Maildir", inbox=b"/home/carol/Maildir")
        assert namespace.owners is not None
        assert (namespace.owners.names, namespace.owners.own_name) == ((("user", b"/"),), b"bob")


@pytest.mark.parametrize(
    ("old_prefix", "new_prefix", "names"),
    [
        ("s/%%n/", "s/$username/", (("username", b"/"),)),
        ("s/%%d/%%n/", "s/$domain/$username/", (("domain", b"/"), ("username", b"/"))),
        ("s/%%n@%%d/", "s/$username@$domain/", (("username", b"@"), ("domain", b"/"))),
        ("%u/%%u/", "%{user}/$user/", (("user", b"/"),)),
    ],
)
def test_prefixes(old_prefix: str, new_prefix: str, names: tuple[tuple[str, bytes], ...]) -> None:
    for namespace in (old(old_prefix), new(new_prefix)):
        assert namespace.owners is not None
        assert namespace.owners.names == names
        assert namespace.prefix == (b"bob/" if "bob" not in old_prefix and "u/%%" in old_prefix else b"s/")


def test_places() -> None:
    assert located(old(location="sdbox:/var/%%d/%%n/%u:INDEX=~/i/%%u")).root == b"/var/c.test/carol/bob"
    assert located(old(location="sdbox:/var/%%n:INDEX=~/i/%%u")).index == b"/home/bob/i/carol@c.test"
    path = "/var/%{owner_user | domain}/%{owner_user | username}/%{user}"
    assert located(new(path=path)).root == b"/var/c.test/carol/bob"
    for namespace in (old(), new()):
        with pytest.raises(UnsupportedSetting):
            located(namespace, Owner(b"carol", b"carol", b""))


@pytest.mark.parametrize(
    ("namespace", "reason"),
    [
        (old("shared/%%d/"), "shared namespace is for %d/"),
        (old("shared/%%x/"), "shared namespace is for %x/"),
        (old("shared/%%u/%%u/"), "shared namespace is for %u/%u/"),
        (old("shared/%%u."), "does not end with the separator"),
        (old("shared/%%u%%d/"), "does not end with the separator"),
        (new("shared/$nobody/"), "shared namespace is for $nobody/"),
        (new("shared/$user%{x}/"), "shared namespace is for"),
        (new(path="~/%{owner_user}"), "mail_path of a shared namespace is ~/%{owner_user}"),
        (old(namespace__s__alias_for=""), "namespace has alias_for"),
        (old(mail_shared_explicit_inbox="yes"), "INBOX in a shared namespace"),
        (old(mail_plugins="mail_crypt"), "mail_crypt in a shared namespace"),
        (old(namespace__s__type="strange"), "namespace type is strange"),
    ],
)
def test_what_is_left_to_dovecot(namespace: Namespace, reason: str) -> None:
    assert (namespace.owners, namespace.location) == (None, None)
    assert reason in namespace.why_not


def test_mail_that_no_directory_of_its_own_is_for() -> None:
    with pytest.raises(UnsupportedSetting, match="shared namespace of mbox"):
        located(old(location="mbox:%%h/mail"))
    with pytest.raises(UnsupportedSetting, match="escaped names"):
        located(old(location="maildir:%%h/Maildir:BROKENCHAR=^"))


def test_one_place_for_all() -> None:
    """Of type shared, and yet no owner has a say."""
    for namespace in (old("All/", "maildir:/srv/all"), new("All/", "/srv/all")):
        assert namespace.owners is None
        assert namespace.location is not None
        assert (namespace.location.root, namespace.kind) == (b"/srv/all", "shared")


def test_what_is_neither_the_users_nor_an_owners() -> None:
    settings = {"namespace/inbox/type": "public"}
    [inbox] = native_settings(user(HOME, settings), DOVECOT_2_3_19).namespaces
    assert (inbox.location, inbox.why_not) == (None, "namespace type is public")


def test_nobody_knows_where_owners_live() -> None:
    settings = {"namespace": "inbox s", "namespace/s/type": "shared", "namespace/s/prefix": "s/%%u/"}
    settings |= {"namespace/s/location": "maildir:%%h/Maildir", "namespace/s/separator": "/"}
    assert b"/" in native_settings(user(HOME, settings), DOVECOT_2_3_19).folders()
    assert b"/" not in native_settings(user(HOME), DOVECOT_2_3_19).folders()


@given(st.text(alphabet="%$undhx/@user", max_size=20))
def test_any_names(names: str) -> None:
    for language, sign in ((language_2_3, "%"), (language_2_4, "$")):
        try:
            found = language.shared_names(sign + names)
        except UnsupportedSetting:
            continue
        assert all(name in ("user", "username", "domain") for name, _ in found)
        for cut in range(len(names)):
            try:
                language.shared_names(sign + names[:cut])
            except UnsupportedSetting:
                continue
