"""Texts and results were seen with ``imap -u`` of Dovecot 2.3.19.1, 2.4.1 and 2.4.5 for the same entries."""

from __future__ import annotations

import grp
import os
import pwd

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dovecot_urlauth.config.account import Account, AccountRefused, resolve_account
from dovecot_urlauth.config.settings import Settings
from dovecot_urlauth.dialect.dialect import Dialect
from dovecot_urlauth.dialect.versions import DOVECOT_2_3_19, DOVECOT_2_4_1, DOVECOT_2_4_2

FIELDS = {b"uid": b"5000", b"gid": b"5001", b"home": b"/srv/mail/alice"}
DIALECTS = [DOVECOT_2_3_19, DOVECOT_2_4_1, DOVECOT_2_4_2]
by_name = pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)


@pytest.fixture(autouse=True)
def as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a process that is not root may leave out, root may not."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)


def resolve(
    fields: dict[bytes, bytes],
    settings: dict[str, str] | None = None,
    dialect: Dialect = DOVECOT_2_3_19,
    extra_groups: tuple[int, ...] = (),
) -> Account:
    return resolve_account(b"alice", fields, Settings(settings or {}), dialect, extra_groups)


def refusal(fields: dict[bytes, bytes], settings: dict[str, str], dialect: Dialect = DOVECOT_2_3_19) -> str:
    with pytest.raises(AccountRefused) as refused:
        resolve(fields, settings, dialect)
    return refused.value.text


@by_name
def test_an_ordinary_user(dialect: Dialect) -> None:
    account = resolve(FIELDS, {"imap_urlauth_host": "*"}, dialect, extra_groups=(102, 5001))
    assert account == Account(
        name=b"alice",
        uid=5000,
        gid=5001,
        groups=(5001, 102),
        home=b"/srv/mail/alice",
        chroot=None,
        chdir=None,
        nice=None,
        settings=Settings({"imap_urlauth_host": "*"}),
        fields={"uid": "5000", "gid": "5001", "home": "/srv/mail/alice"},
    )


REFUSALS = {
    "uid of root": (
        {**FIELDS, b"uid": b"0"},
        {},
        "Invalid settings in userdb: userdb returned 0 as uid",
    ),
    "uid too low": (
        {**FIELDS, b"uid": b"100"},
        {},
        "Mail access for users with UID 100 not permitted "
        "(see first_valid_uid in config file, uid from userdb lookup).",
    ),
    "uid below the setting": (
        FIELDS,
        {"first_valid_uid": "5001"},
        "Mail access for users with UID 5000 not permitted "
        "(see first_valid_uid in config file, uid from userdb lookup).",
    ),
    "uid too high": (
        FIELDS,
        {"last_valid_uid": "4000"},
        "Mail access for users with UID 5000 not permitted "
        "(see first_valid_uid in config file, uid from userdb lookup).",
    ),
    "gid of root": (
        {**FIELDS, b"gid": b"0"},
        {},
        "Mail access for users with GID 0 not permitted "
        "(see first_valid_gid in config file, gid from userdb lookup).",
    ),
    "gid too high": (
        FIELDS,
        {"last_valid_gid": "4000"},
        "Mail access for users with GID 5001 not permitted "
        "(see first_valid_gid in config file, gid from userdb lookup).",
    ),
    "range for mail_uid": (
        {b"gid": b"5001"},
        {"mail_uid": "77"},
        "Mail access for users with UID 77 not permitted "
        "(see first_valid_uid in config file, uid from mail_uid setting).",
    ),
    "relative home": (
        {**FIELDS, b"home": b"mail/alice"},
        {},
        "Relative home directory paths not supported: mail/alice",
    ),
    "relative mail_home": (
        {b"uid": b"5000", b"gid": b"5001"},
        {"mail_home": "mail/%{user}"},
        "Relative home directory paths not supported: mail/alice",
    ),
    "no uid": (
        {b"gid": b"5001"},
        {},
        "Couldn't drop privileges: User is missing UID (see mail_uid setting)",
    ),
    "no gid": (
        {b"uid": b"5000"},
        {},
        "Couldn't drop privileges: User is missing GID (see mail_gid setting)",
    ),
    "root by mail_uid": (
        {b"gid": b"5001"},
        {"mail_uid": "0", "first_valid_uid": "0"},
        "Couldn't drop privileges: Mail access not allowed for root",
    ),
    "unknown mail_uid": (
        {b"gid": b"5001", b"mail_uid": b"nosuch"},
        {},
        "Unknown UNIX UID user: nosuch (from mail_uid setting)",
    ),
    "unknown mail_gid": (
        {b"uid": b"5000", b"mail_gid": b"nosuch"},
        {},
        "Unknown UNIX GID group: nosuch (from mail_gid setting)",
    ),
    "chroot": (
        {**FIELDS, b"chroot": b"/srv"},
        {},
        "Invalid settings in userdb: "
        "userdb returned invalid chroot directory: /srv (see valid_chroot_dirs setting)",
    ),
    "unknown group": (
        FIELDS,
        {"mail_access_groups": "nosuch"},
        "unknown group name in extra_groups: nosuch",
    ),
    "uid is no number": (
        {**FIELDS, b"uid": b"alice"},
        {},
        "Invalid settings in userdb: Invalid userdb input 'uid=alice': Not a valid number",
    ),
    "the id that setresuid takes for none": (
        {**FIELDS, b"uid": b"4294967295"},
        {},
        "Invalid settings in userdb: Invalid userdb input 'uid=4294967295': Not a valid number",
    ),
    "an id of more digits than an int may have": (
        {**FIELDS, b"gid": b"9" * 5000},
        {},
        "Invalid settings in userdb: Invalid userdb input 'gid=999",
    ),
    "a NUL in mail_uid": (
        {b"gid": b"5001", b"mail_uid": b"ro\0ot"},
        {},
        "Invalid settings in userdb: Invalid userdb input 'mail_uid': Value has a NUL",
    ),
    "a NUL in a path": (
        {**FIELDS, b"home": b"/srv\0/alice"},
        {},
        "Invalid settings in userdb: Invalid userdb input 'home': Value has a NUL",
    ),
    "a NUL in a name from the configuration": (
        {b"gid": b"5001"},
        {"mail_uid": "ro\0ot"},
        "Unknown UNIX UID user: ro\0ot (from mail_uid setting)",
    ),
    "a NUL in a group": (
        FIELDS,
        {"mail_access_groups": "ad\0m"},
        "unknown group name in extra_groups: ad",
    ),
    "unknown variable": (
        {b"uid": b"5000", b"gid": b"5001", b"home": b"/h"},
        {"mail_chroot": "/srv/%{nosuch}"},
        "Failed to expand mail_chroot '/srv/%{nosuch}'",
    ),
}


@by_name
@pytest.mark.parametrize("case", REFUSALS)
def test_refusals(case: str, dialect: Dialect) -> None:
    fields, settings, text = REFUSALS[case]
    assert refusal(fields, settings, dialect).startswith(text)


@by_name
def test_a_process_without_rights_stays_who_it_is(dialect: Dialect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 4321)
    monkeypatch.setattr(os, "getegid", lambda: 4322)
    account = resolve({b"home": b"/h"}, {}, dialect)
    assert (account.uid, account.gid) == (4321, 4322)


@by_name
def test_ids_by_name(dialect: Dialect) -> None:
    user, group = pwd.getpwall()[-1], grp.getgrall()[-1]
    settings = {"mail_uid": user.pw_name, "mail_gid": group.gr_name, "first_valid_uid": "1"}
    account = resolve({}, settings, dialect)
    assert (account.uid, account.gid) == (user.pw_uid, group.gr_gid)


@by_name
def test_unlimited_range(dialect: Dialect) -> None:
    assert resolve(FIELDS, {"last_valid_uid": "unlimited", "last_valid_gid": "0"}, dialect).uid == 5000


@pytest.mark.parametrize(
    ("home", "chroot", "expected"),
    [
        ("/srv/a/./home/x", None, (b"/home/x", b"/srv/a")),
        ("/srv/a/x", None, (b"/srv/a/x", None)),
        ("/h", "/srv/abc", (b"/h", b"/srv/abc")),
        ("/srv/a/x", "/srv/a/.", (b"/x", b"/srv/a")),
        ("/x", "/srv/a/.", (b"/x", b"/srv/a")),
        ("/x", "/srv/a/", (b"/x", b"/srv/a")),
        ("/srv/c/./x", "/srv/b", (b"/srv/c/./x", b"/srv/b")),
    ],
)
@by_name
def test_chroot(home: str, chroot: str | None, expected: tuple[bytes, bytes | None], dialect: Dialect) -> None:
    allowed = "/srv/a:/srv/b" if dialect is DOVECOT_2_3_19 else "\\ssrv\\sa \\ssrv\\sb"
    fields = {**FIELDS, b"home": home.encode()}
    if chroot:
        fields[b"chroot"] = chroot.encode()
    account = resolve(fields, {"valid_chroot_dirs": allowed}, dialect)
    assert (account.home, account.chroot) == expected


def test_chroot_that_is_not_allowed() -> None:
    allowed = {"valid_chroot_dirs": "/srv/a:/srv/b"}
    assert "invalid chroot directory: /srv/c " in refusal({**FIELDS, b"home": b"/srv/c/./x"}, allowed)
    assert "invalid chroot directory: /srv/c " in refusal({**FIELDS, b"chroot": b"/srv/c"}, allowed)


@by_name
def test_a_mark_in_home_means_nothing_without_valid_chroot_dirs(dialect: Dialect) -> None:
    account = resolve({**FIELDS, b"home": b"/srv/./x"}, {}, dialect)
    assert (account.home, account.chroot) == (b"/srv/./x", None)


def test_home_and_chroot_from_the_configuration() -> None:
    fields = {b"uid": b"5000", b"gid": b"5001"}
    account = resolve(fields, {"mail_home": "/srv/%d/%Ln", "mail_chroot": "/srv/."})
    assert (account.home, account.chroot) == (b"//alice", b"/srv")
    account = resolve(fields, {"mail_home": "/srv/%{user | upper}"}, DOVECOT_2_4_2)
    assert account.home == b"/srv/ALICE"
    assert resolve(FIELDS, {"mail_home": "/other"}).home == b"/srv/mail/alice"
    assert resolve(fields).home is None


@by_name
@pytest.mark.parametrize("home", ["/srv/%{nosuch}", "/srv/%{env:X}"])
def test_a_home_that_only_dovecot_can_find(home: str, dialect: Dialect) -> None:
    account = resolve({b"uid": b"5000", b"gid": b"5001"}, {"mail_home": home}, dialect)
    assert account.home is None
    assert account.not_understood.startswith(f"Failed to expand mail_home '{home}': variable %")


def test_a_home_from_a_field_of_the_userdb() -> None:
    fields = {b"uid": b"5000", b"gid": b"5001", b"disk": b"/d7"}
    for dialect in DIALECTS:
        assert resolve(fields, {"mail_home": "%{userdb:disk}/alice"}, dialect).home == b"/d7/alice"


def test_variables_in_the_host_of_urls() -> None:
    """2.4 expands every text; 2.3 does not expand this one."""
    fields = {**FIELDS, b"host": b"urls.example"}
    settings = {"imap_urlauth_host": "%{userdb:host | upper}"}
    assert resolve(fields, settings, DOVECOT_2_4_2).settings.get("imap_urlauth_host") == "URLS.EXAMPLE"
    assert resolve(fields, settings).settings.get("imap_urlauth_host") == "%{userdb:host | upper}"
    unknown = refusal(FIELDS, {"imap_urlauth_host": "%{nosuch}"}, DOVECOT_2_4_1)
    assert unknown.startswith("Failed to expand imap_urlauth_host '%{nosuch}'")


def test_variables_in_ids() -> None:
    settings = {"mail_uid": "%{userdb:number}", "mail_gid": "5001"}
    assert resolve({b"number": b"5007"}, settings, DOVECOT_2_4_2).uid == 5007
    assert resolve(FIELDS, {"mail_uid": "%{nosuch}"}, DOVECOT_2_4_2).uid == 5000
    assert "Unknown UNIX UID user: %{userdb:number}" in refusal({b"number": b"5007"}, settings)


@by_name
def test_groups(dialect: Dialect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getgrouplist", lambda user, gid: [gid, 0, 20, 6000] if user == "sys" else [])
    group = grp.getgrall()[1]
    settings = {"mail_access_groups": f"{group.gr_name} 7000", "last_valid_gid": "5500"}
    account = resolve({**FIELDS, b"system_groups_user": b"sys"}, settings, dialect, extra_groups=(8000,))
    assert account.groups == (5001, 20, group.gr_gid, 7000, 8000)


def test_groups_are_separated_by_commas_in_2_3() -> None:
    assert resolve(FIELDS, {"mail_access_groups": "70,71, 72"}).groups == (5001, 70, 71, 72)


@pytest.mark.parametrize(
    ("nice", "number"),
    [(b"5", 5), (b"-3", -3), (b"zz", None), (b"", None), (b"--1", None), (b"900", 19), (b"9" * 5000, None)],
)
def test_nice(nice: bytes, number: int | None) -> None:
    assert resolve({**FIELDS, b"nice": nice}).nice == number


def test_chdir() -> None:
    assert resolve({**FIELDS, b"chdir": b"/elsewhere"}).chdir == b"/elsewhere"


def overridden(fields: dict[bytes, bytes], settings: dict[str, str], dialect: Dialect) -> dict[str, str]:
    before = Settings(settings)
    after = resolve_account(b"alice", {**FIELDS, **fields}, before, dialect).settings
    return {key: after.get(key) for key in after if key not in before or after.get(key) != before.get(key)}


@by_name
def test_fields_that_are_no_settings(dialect: Dialect) -> None:
    names = b"auth_mech auth_token auth_user auth_token_session_pid local_name admin chdir nice".split()
    assert overridden(dict.fromkeys(names, b"x"), {}, dialect) == {}


def test_overrides_2_3() -> None:
    settings = {"mail_plugins": "acl", "plugin/quota_rule": "a", "namespace/inbox/prefix": "x"}
    fields = {
        b"mail": b"maildir:~/M",
        b"mail_plugins+": b" zlib",
        b"namespace/inbox/prefix": b"y",
        b"quota_rule+": b"b",
        b"imap_urlauth_host": b"other.example",
        b"m\xe4il": b"ignored",
    }
    changed = overridden(fields, settings, DOVECOT_2_3_19)
    assert changed["mail_location"] == "maildir:~/M"
    assert changed["mail_plugins"] == "acl zlib"
    assert changed["namespace/inbox/prefix"] == "y"
    assert changed["plugin/quota_rule"] == "ab"
    assert changed["imap_urlauth_host"] == "other.example"
    assert not any("\udce4" in key for key in changed)


@pytest.mark.parametrize("dialect", [DOVECOT_2_4_1, DOVECOT_2_4_2], ids=lambda dialect: dialect.name)
def test_overrides_2_4(dialect: Dialect) -> None:
    settings = {
        "mail_path": "~/M",
        "namespace": "inbox",
        "namespace/inbox/mail_path": "~/N",
        "mail_plugins": "acl quota",
        "mail_access_groups": "1",
    }
    fields = {
        b"mail_path": b"/over",
        b"namespace/inbox/namespace_prefix": b"ZZ/",
        b"mail_attribute/dict/file/dict_file_path": b"/attributes",
        b"mail_plugins/acl": b"no",
        b"mail_plugins/zlib": b"yes",
        b"mail_access_groups": b"2,3",
    }
    assert overridden(fields, settings, dialect) == {
        "mail_path": "/over",
        "namespace/inbox/prefix": "ZZ/",
        "mail_attribute/dict/file/path": "/attributes",
        "mail_plugins": "quota zlib",
        "mail_access_groups": "2 3",
    }


def test_explicit_overrides_are_newer_than_2_4_1() -> None:
    fields = {b"set/mail_path": b"/over", b"set/namespace/inbox/prefix": b"Z/"}
    assert overridden(fields, {}, DOVECOT_2_4_2) == {"mail_path": "/over", "namespace/inbox/prefix": "Z/"}
    assert "mail_path" not in overridden(fields, {}, DOVECOT_2_4_1)


def test_a_users_own_driver_brings_its_own_defaults() -> None:
    settings = {
        "mail_driver": "maildir",
        "maildir/mail_path": "%{home}/Maildir",
        "sdbox/mail_path": "%{home}/sdbox",
    }
    assert resolve(FIELDS, settings, DOVECOT_2_4_2).settings.get("mail_path") == "%{home}/Maildir"
    changed = overridden({b"mail_driver": b"sdbox"}, settings, DOVECOT_2_4_2)
    assert changed["mail_path"] == "%{home}/sdbox"


@given(
    st.dictionaries(
        st.sampled_from([b"uid", b"gid", b"home", b"chroot", b"nice", b"mail_uid", b"first_valid_uid", b"a/b"])
        | st.binary(max_size=8),
        st.sampled_from([b"", b"5000", b"0", b"/x/./y", b"-1"]) | st.binary(max_size=8),
    ),
    st.sampled_from(DIALECTS),
)
def test_garbage_is_refused_or_never_root(fields: dict[bytes, bytes], dialect: Dialect) -> None:
    try:
        account = resolve(fields, {"valid_chroot_dirs": "/x"}, dialect)
    except AccountRefused:
        return
    assert account.uid > 0
    assert account.groups[0] == account.gid
