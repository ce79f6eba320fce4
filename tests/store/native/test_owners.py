"""Whose mailbox a name of shared mail is, and what is remembered of owners."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dovecot_urlauth.config.native_settings import native_settings
from dovecot_urlauth.config.shared_owners import Owner, SharedOwners
from dovecot_urlauth.dialect.versions import DOVECOT_2_3_19
from dovecot_urlauth.store.errors import MailboxMissing, MailboxRefused, StoreError, Unsupported
from dovecot_urlauth.store.native import owners as owners_module
from dovecot_urlauth.store.native.mailbox import NativeStore
from dovecot_urlauth.store.native.namespace import find
from dovecot_urlauth.store.native.owners import OwnersNamespaces, owner_in
from tests.store.user import KEY, make_maildir, user, write_key
from tests.store.waiting import LOOP, key_of, open_mailbox, wait

if TYPE_CHECKING:
    from pathlib import Path

    from dovecot_urlauth.config.mail_location import Location


def nowhere(owner: Owner) -> Location:
    raise AssertionError(owner)


def shared(*names: tuple[str, bytes], own: bytes = b"bob@b.test") -> SharedOwners:
    return SharedOwners(names, own, nowhere)


BY_USER = shared(("user", b"/"))
BY_NAME = shared(("username", b"/"))
BY_BOTH = shared(("domain", b"/"), ("username", b"/"))


@pytest.mark.parametrize(
    ("owners", "rest", "owner", "ending"),
    [
        (BY_USER, b"carol/Box", Owner(b"carol", b"carol", b""), b"carol/"),
        (BY_USER, b"carol@c@d/Box/x", Owner(b"carol@c@d", b"carol", b"c@d"), b"carol@c@d/"),
        (BY_USER, b"carol", Owner(b"carol", b"carol", b""), b"carol/"),
        (BY_NAME, b"carol/Box", Owner(b"carol@b.test", b"carol", b"b.test"), b"carol/"),
        (BY_BOTH, b"c.test/carol/Box", Owner(b"carol@c.test", b"carol", b"c.test"), b"c.test/carol/"),
        (BY_BOTH, b"c.test/carol", Owner(b"carol@c.test", b"carol", b"c.test"), b"c.test/carol/"),
        (shared(("username", b"/"), own=b"bob"), b"carol/x", Owner(b"carol", b"carol", b""), b"carol/"),
    ],
)
def test_whose_it_is(owners: SharedOwners, rest: bytes, owner: Owner, ending: bytes) -> None:
    assert owner_in(owners, rest) == (owner, ending)


@pytest.mark.parametrize(
    ("owners", "rest", "error"),
    [
        (BY_USER, b"/Box", MailboxMissing),
        (BY_BOTH, b"c.test", Unsupported),
        (shared(("user", b"--")), b"carol-Box", Unsupported),
        (BY_USER, b"../Box", Unsupported),
        (BY_USER, b"./Box", Unsupported),
        (BY_USER, b"..@c.test/Box", Unsupported),
        (BY_USER, b".@c.test/Box", Unsupported),
        (BY_USER, b"@c.test/Box", Unsupported),
        (BY_USER, b"carol@../Box", Unsupported),
        (BY_USER, b"carol@./Box", Unsupported),
        (BY_USER, b"carol@/Box", Unsupported),
        (BY_USER, b"carol@c@../Box", Unsupported),
        (BY_USER, b"..carol/Box", Unsupported),
        (BY_NAME, b"../Box", Unsupported),
        (BY_BOTH, b"../carol/Box", Unsupported),
        (BY_BOTH, b"c.test/../Box", Unsupported),
        (BY_BOTH, b"/carol/Box", Unsupported),
        (BY_USER, b"a&b/Box", Unsupported),
        (BY_USER, b"%h/Box", Unsupported),
        (BY_USER, b"~carol/Box", Unsupported),
        (BY_USER, b"a b/Box", Unsupported),
        (BY_USER, "cärol/Box".encode(), Unsupported),
        (BY_USER, b"Bob@B.test/Box", Unsupported),
        (shared(("user", b".")), b"a/b.Box", Unsupported),
    ],
)
def test_whose_it_cannot_be(owners: SharedOwners, rest: bytes, error: type[StoreError]) -> None:
    with pytest.raises(error):
        owner_in(owners, rest)


@given(st.sampled_from((BY_USER, BY_NAME, BY_BOTH)), st.binary(max_size=40))
def test_any_name(owners: SharedOwners, rest: bytes) -> None:
    """Whole and cut: the owner's name is a part of the mailbox's, or there is none."""
    for cut in range(len(rest) + 1):
        try:
            owner, ending = owner_in(owners, rest[:cut])
        except (MailboxMissing, Unsupported):
            continue
        assert owner.username in rest
        assert b"/" not in owner.name
        assert (rest[:cut] + b"/").startswith(ending)


class Userdb:
    """Knows where owners live, and counts who asks."""

    def __init__(self, homes: dict[bytes, Path | None]) -> None:
        self.homes = homes
        self.asked: list[bytes] = []

    async def find(self, name: bytes) -> bytes | None:
        self.asked.append(name)
        home = self.homes[name]
        return None if home is None else os.fsencode(home)


SETTINGS = {
    "namespace": "inbox s",
    "namespace/inbox/separator": "/",
    "namespace/s/type": "shared",
    "namespace/s/separator": "/",
    "namespace/s/prefix": "s/%%u/",
    "namespace/s/location": "maildir:%%h/Maildir",
}


@pytest.fixture
def carol(tmp_path: Path) -> Path:
    home = tmp_path / "carol"
    make_maildir(home / "Maildir", {1: b"inbox\n"})
    make_maildir(home / "Maildir" / ".Box", {1: b"box\n"})
    write_key(tmp_path)
    return home


def store_of(tmp_path: Path, userdb: Userdb, **changes: str) -> NativeStore:
    settings = user(tmp_path, {**SETTINGS, **{key.replace("__", "/"): value for key, value in changes.items()}})
    return NativeStore(native_settings(settings, DOVECOT_2_3_19), LOOP, userdb.find)


def outcome(store: NativeStore, name: bytes) -> bytes | type[StoreError] | None:
    try:
        opened = open_mailbox(store, name)
        key = wait(opened.key())
        opened.close()
        return key
    except StoreError as error:
        return type(error)


def test_mail_of_an_owner(tmp_path: Path, carol: Path) -> None:
    userdb = Userdb({b"carol": carol, b"dave": None})
    store = store_of(tmp_path, userdb)
    for name in (b"s/carol", b"s/carol/INBOX", b"s/carol/Box"):
        assert outcome(store, name) == KEY, name
    assert userdb.asked == [b"carol"]
    assert outcome(store, b"s/carol/inbox") is MailboxMissing
    assert outcome(store, b"s/carol/") is MailboxRefused
    assert outcome(store, b"s/carol/None") is MailboxMissing
    assert outcome(store, b"s/dave/Box") is MailboxMissing
    assert outcome(store, b"s") is Unsupported
    assert outcome(store, b"s/\xff/Box") is MailboxMissing
    assert outcome(store, b"INBOX") is MailboxMissing
    store.close()


def test_a_namespace_that_settings_name_comes_before_an_owners(tmp_path: Path, carol: Path) -> None:
    userdb = Userdb({})
    more = {
        "namespace": "inbox s carol",
        "namespace__carol__prefix": "s/carol/",
        "namespace__carol__separator": "/",
    }
    store = store_of(tmp_path, userdb, **more, namespace__carol__location=f"maildir:{carol}/Maildir")
    assert outcome(store, b"s/carol/Box") == KEY
    assert userdb.asked == []
    store.close()


def test_nobody_to_ask(tmp_path: Path, carol: Path) -> None:
    store = NativeStore(native_settings(user(tmp_path, SETTINGS), DOVECOT_2_3_19), LOOP)
    assert outcome(store, b"s/carol/Box") is Unsupported
    store.close()


def test_an_owner_whom_2_3_does_not_ask_for(tmp_path: Path, carol: Path) -> None:
    store = store_of(tmp_path, Userdb({b"carol": None}), namespace__s__location=f"maildir:{tmp_path}/%%u/Maildir")
    assert outcome(store, b"s/carol/Box") is Unsupported
    store.close()


def test_an_owner_whose_mail_only_dovecot_reads(tmp_path: Path, carol: Path) -> None:
    store = store_of(tmp_path, Userdb({b"carol": carol}), namespace__s__location="mbox:%%h/mail")
    assert outcome(store, b"s/carol/Box") is Unsupported
    store.close()


def test_an_owner_who_moves(tmp_path: Path, carol: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    userdb = Userdb({b"carol": carol})
    store = store_of(tmp_path, userdb)
    assert outcome(store, b"s/carol/Box") == KEY
    userdb.homes[b"carol"] = tmp_path / "elsewhere"
    assert outcome(store, b"s/carol/Box") == KEY
    monkeypatch.setattr(owners_module, "ASKED_AGAIN", 0.0)
    assert outcome(store, b"s/carol/Box") is MailboxMissing
    userdb.homes[b"carol"] = carol
    assert outcome(store, b"s/carol/Box") == KEY
    assert len(userdb.asked) == 3
    store.close()


def test_some_owners_are_remembered(tmp_path: Path, carol: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owners_module, "KEPT_OWNERS", 2)
    settings = native_settings(user(tmp_path, SETTINGS), DOVECOT_2_3_19)
    userdb = Userdb(dict.fromkeys((b"carol", b"dave", b"erin"), carol))
    known = OwnersNamespaces(settings.namespaces, LOOP, userdb.find)
    for name in (b"carol", b"dave", b"carol", b"erin"):
        wait(known.with_owner_of(b"s/" + name + b"/Box"))
    assert [each.prefix for each in known.all] == [b"", b"s/", b"s/dave/", b"s/erin/"]
    assert userdb.asked == [b"carol", b"dave", b"erin"]
    assert find(known.all, b"s/erin")[1] == b"INBOX"
    assert wait(known.with_owner_of(b"Box")) is known.all


def test_who_was_not_found_is_remembered_too(tmp_path: Path, carol: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that not each URL that somebody made up asks the userdb; and some are, so that memory has an end."""
    monkeypatch.setattr(owners_module, "KEPT_REFUSALS", 2)
    userdb = Userdb(dict.fromkeys((b"dave", b"erin", b"frank")))
    userdb.homes[b"carol"] = carol
    store = store_of(tmp_path, userdb)
    for name in (b"carol", b"dave", b"erin", b"dave", b"erin", b"carol"):
        assert outcome(store, b"s/" + name) == (KEY if name == b"carol" else MailboxMissing)
    assert userdb.asked == [b"carol", b"dave", b"erin"]
    userdb.homes[b"dave"] = carol
    assert outcome(store, b"s/dave/Box") is MailboxMissing
    assert outcome(store, b"s/frank/Box") is MailboxMissing
    assert outcome(store, b"s/dave/Box") == KEY
    assert outcome(store, b"s/carol/Box") == KEY
    assert userdb.asked == [b"carol", b"dave", b"erin", b"frank", b"dave"]
    monkeypatch.setattr(owners_module, "ASKED_AGAIN", 0.0)
    userdb.homes[b"erin"] = carol
    assert outcome(store, b"s/erin") == KEY
    store.close()


def test_why_nothing_was_found_is_remembered(tmp_path: Path, carol: Path) -> None:
    userdb = Userdb({b"carol": carol})
    store = store_of(tmp_path, userdb, namespace__s__location="mbox:%%h/mail")
    assert outcome(store, b"s/carol/Box") is outcome(store, b"s/carol") is Unsupported
    assert userdb.asked == [b"carol"]
    store.close()


def test_two_who_share_an_mdbox_storage(tmp_path: Path, carol: Path) -> None:
    userdb = Userdb({b"carol": carol})
    where = f"mdbox:{tmp_path}/box"
    store = store_of(tmp_path, userdb, mail_location=where, namespace__s__location=f"{where}:INDEX=%%h/index")
    assert outcome(store, b"s/carol/Box") is Unsupported
    store.close()


def test_rights_in_somebody_elses_mailbox(tmp_path: Path, carol: Path) -> None:
    store = store_of(tmp_path, Userdb({b"carol": carol}), mail_plugins="acl", plugin__acl="vfile")
    for text, expected in (
        (None, MailboxMissing), (b"owner lr", MailboxMissing), (b"anyone l", MailboxMissing), (b"anyone lr", KEY),
        (b"user=bob lr", KEY), (b"user=bob lr\n-anyone r", MailboxMissing), (b"", MailboxMissing),
    ):  # fmt: skip
        for folder, name in ((carol / "Maildir", b"s/carol"), (carol / "Maildir" / ".Box", b"s/carol/Box")):
            (folder / "dovecot-acl").unlink(missing_ok=True)
            if text is not None:
                (folder / "dovecot-acl").write_bytes(text)
            assert outcome(store, name) == expected, (name, text)
    store.close()


def test_defaults(tmp_path: Path, carol: Path) -> None:
    """A shared INBOX may speak for its namespace, a public directory does for what is in it."""
    (carol / "Maildir" / "dovecot-acl").write_bytes(b"user=bob lr")
    acl = {"mail_plugins": "acl", "plugin__acl": "vfile"}
    for value, expected in (("yes", KEY), ("no", MailboxMissing)):
        store = store_of(tmp_path, Userdb({b"carol": carol}), **acl, plugin__acl_defaults_from_inbox=value)
        assert outcome(store, b"s/carol/Box") == expected
        store.close()
    public = {"namespace__s__type": "public", "namespace__s__location": f"maildir:{carol}/Maildir"}
    for text, expected in ((b"anyone lr", KEY), (b"anyone l", MailboxMissing)):
        (carol / "Maildir" / "dovecot-acl").write_bytes(text)
        store = store_of(tmp_path, Userdb({}), **acl, **public, namespace__s__prefix="s/")
        assert outcome(store, b"s/Box") == expected
        assert outcome(store, b"s/INBOX") is Unsupported
        store.close()
    store = store_of(
        tmp_path, Userdb({}), **acl, **public, namespace__inbox__prefix="own/", namespace__s__prefix=""
    )
    assert outcome(store, b"Box") is Unsupported
    store.close()


def test_a_global_file_has_full_names(tmp_path: Path, carol: Path) -> None:
    path = tmp_path / "global"
    acl = {"mail_plugins": "acl", "plugin__acl": f"vfile:{path}"}
    for text, names in (
        (b"s/carol anyone lr", {b"s/carol", b"s/carol/Box"}),  # the namespace's own name, too
        (b"s/carol anyone lr\ns/carol/Box anyone l", {b"s/carol"}),
        (b"s/carol/Box anyone lr", {b"s/carol/Box"}),
        (b"s/carol/INBOX anyone lr", set()),
        (b"s/* anyone lr", {b"s/carol", b"s/carol/Box"}),
    ):
        path.write_bytes(text)
        store = store_of(tmp_path, Userdb({b"carol": carol}), **acl)
        found = {name for name in (b"s/carol", b"s/carol/Box") if outcome(store, name) == KEY}
        assert found == names, text
        store.close()
    path.unlink()
    path.mkdir()
    (path / ".DEFAULT").write_bytes(b"anyone lr")
    store = store_of(tmp_path, Userdb({b"carol": carol}), **acl)
    assert key_of(store, b"s/carol/Box") == KEY
    store.close()
