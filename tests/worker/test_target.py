"""From a name to a target user: what the userdb says, what is refused, and who shares a process with whom."""

from __future__ import annotations

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import pytest

from dovecot_urlauth.config.settings import Settings
from dovecot_urlauth.dialect.versions import DOVECOT_2_3_19
from dovecot_urlauth.service.privileges import PrivilegesKept
from dovecot_urlauth.store.engine.pool import PooledStore
from dovecot_urlauth.store.errors import StoreFailure
from dovecot_urlauth.wire.authmaster import UserReply
from dovecot_urlauth.wire.control import Access
from dovecot_urlauth.worker import target as target_module
from dovecot_urlauth.worker.backend import asking
from dovecot_urlauth.worker.backend.asking import BackendNotFound
from dovecot_urlauth.worker.target import NOBODY, OpenedTarget, TargetUser, find_target, open_target
from dovecot_urlauth.worker.userdb import LookupFailed
from tests.clock import SteppingLoop

FIELDS = {b"uid": b"5000", b"gid": b"5000", b"home": b"/home/alice"}
BOB = Access(b"bob", b"imap")


class Log:
    def __init__(self, debugging: bool = False) -> None:
        self.lines: list[str] = []
        self.pipe = SimpleNamespace(debugging=debugging)

    def debug(self, text: str) -> None:
        """Not looked at."""

    def error(self, text: str) -> None:
        self.lines.append(text)


def config(**settings: str) -> Any:
    return SimpleNamespace(
        dialect=DOVECOT_2_3_19,
        settings=Settings({"imap_urlauth_host": "h", **settings}),
        extra_groups=(),
        store_mode=settings.get("store", "auto"),
        engine=None,
        overrides=frozenset(),
        sandbox=target_module.sandbox.Mode.REQUIRE,
        backends=Settings({}) if settings.get("backends") else None,
    )


def find(
    answer: UserReply | Exception | None,
    access: Access = BOB,
    name: bytes = b"alice",
    log: Log | None = None,
    **settings: str,
) -> tuple[TargetUser, list[str]]:
    async def ask(asked: bytes, *, debug: bool) -> UserReply | None:
        if isinstance(answer, Exception):
            raise answer
        return answer

    loop = SteppingLoop()
    log = log or Log()
    userdb: Any = SimpleNamespace(ask=ask)
    found = loop.run(find_target(name, access, config(**settings), userdb, log))  # type: ignore[arg-type]
    loop.close()
    return found, log.lines


def alice(name: bytes = b"alice", **fields: bytes) -> UserReply:
    more = {key.encode(): value for key, value in fields.items()}
    return UserReply(1, name, {**FIELDS, **more})


@pytest.mark.parametrize(
    ("answer", "settings", "lines"),
    [
        (None, {}, []),
        (LookupFailed("timed out"), {}, ["Failed to lookup user alice: timed out"]),
        (alice(uid=b"0"), {}, ["Failed to lookup user alice: "]),
        (alice(), {"imap_urlauth_host": ""}, ["imap_urlauth_host setting is not configured for user alice"]),
    ],
    ids=["unknown", "auth fails", "root", "no host"],
)
def test_who_cannot_be_served_is_nobody_and_shares_nothing(
    answer: Any, settings: dict[str, str], lines: list[str]
) -> None:
    found, said = find(answer, BOB, b"alice", None, **settings)
    assert found == TargetUser(b"alice", b"alice", None, None)
    assert [line[: len(start)] for line, start in zip(said, lines)] == lines
    assert len(said) == len(lines)


def test_the_userdbs_spelling_and_the_clients() -> None:
    found, _ = find(alice(), name=b"ALICE")
    assert (found.name, found.asked_for) == (b"alice", b"ALICE")
    assert found.account is not None
    assert found.key is not None


def test_one_key_for_the_same_in_everything() -> None:
    assert find(alice())[0].key == find(alice())[0].key


@pytest.mark.parametrize(
    "other",
    [
        {"access": Access(b"carol", b"imap")},
        {"access": Access(b"bob", b"submission")},
        {"access": Access(None, b"imap")},
        {"access": Access(b"anonymous", b"imap")},
        {"name": b"ALICE"},
        {"answer": alice(uid=b"5001")},
        {"answer": alice(home=b"/home/other")},
        {"answer": alice(b"alicia")},
        {"log": Log(debugging=True)},
    ],
)
def test_anything_else_is_another_key(other: dict[str, Any]) -> None:
    """Code that took a process over would have the sockets of whoever shares it."""
    keys = {find(alice())[0].key, find(**{"answer": alice(), **other})[0].key}
    assert len(keys) == 2
    assert None not in keys


def test_a_user_whom_nobody_knows_here_has_a_key_if_the_mail_may_be_elsewhere() -> None:
    assert find(None)[0].key is None
    keys = [find(None, name=name, backends="ask")[0].key for name in (b"alice", b"alice", b"bob")]
    assert None not in keys
    assert keys[0] == keys[1] != keys[2]
    assert find(None, access=Access(b"carol", b"imap"), backends="ask")[0].key != keys[0]


def test_an_engine_for_all_is_shared_with_nobody() -> None:
    assert find(alice(), store="dovecot")[0].key is None


def test_anonymous_is_not_a_user_without_a_name() -> None:
    keys = {find(alice(), access=Access(user, b"imap"))[0].key for user in (None, b"")}
    assert len(keys) == 2


@pytest.mark.parametrize("change", [{"uid": 5001}, {"gid": 5001}, {"groups": (5000, 5100)}])
def test_what_the_system_makes_of_the_same_answer_is_another_key(change: dict[str, Any]) -> None:
    """Ids by name come from the system's own files, which may change while a process serves."""
    same = {"uid": 5000, "gid": 5000, "groups": (5000,)}
    accounts: list[Any] = [SimpleNamespace(**same), SimpleNamespace(**{**same, **change})]
    keys = {target_module._key_of(b"alice", BOB, alice(), account, False) for account in accounts}
    assert len(keys) == 2


def test_a_chroot_is_shared_with_nobody() -> None:
    """What a process has opened behind one cannot be looked up from outside."""
    found, _ = find(alice(chroot=b"/srv"), valid_chroot_dirs="/srv")
    assert found.account is not None
    assert (found.account.chroot, found.key) == (b"/srv", None)


@pytest.fixture
def dropped(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Who the process has become, without becoming it."""
    became: list[Any] = []
    monkeypatch.setattr(target_module, "drop_privileges", became.append)
    monkeypatch.setattr(target_module, "forbid_new_privileges", lambda: became.append("no_new_privs"))
    monkeypatch.setattr(target_module.os, "chdir", lambda path: became.append(path))
    monkeypatch.setattr(target_module.os, "getuid", lambda: 0)

    def enter(mode: object, log: object, readable: Iterable[bytes] = ()) -> None:
        became.append((mode, [*readable]))

    monkeypatch.setattr(target_module.sandbox, "enter", enter)
    return became


SHUT_IN = [NOBODY, "no_new_privs", b"/", (target_module.sandbox.Mode.REQUIRE, list[bytes]())]
"""What becomes of a process that needs neither files nor an engine."""


def opened(user: TargetUser, log: Log, **settings: str) -> OpenedTarget:
    loop = SteppingLoop()
    result = loop.run(open_target(loop, user, config(**settings), log, lambda: None))  # type: ignore[arg-type]
    loop.close()
    return result


def test_root_is_given_up_for_the_user(dropped: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    another = object()
    store = SimpleNamespace(share=lambda: another)
    monkeypatch.setattr(target_module, "open_store", lambda *others: store)
    found, _ = find(alice(), name=b"ALICE")
    target = opened(found, Log())
    assert (target.name, target.asked_for, target.host, target.port) == (b"alice", b"ALICE", "h", 143)
    assert target.store is store
    assert target.for_session().store is another
    assert (dropped[0].uid, dropped[0].gid, dropped[1]) == (5000, 5000, "no_new_privs")
    assert dropped[2:] == [b"/home/alice"]


def test_a_user_whom_nobody_has_authenticated_is_known_as_such(
    dropped: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = SimpleNamespace(share=object)
    monkeypatch.setattr(target_module, "open_store", lambda *others: store)
    for answer, is_anonymous in ((alice(), False), (alice(anonymous=b""), True)):
        target = opened(find(answer)[0], Log())
        assert target.is_anonymous is target.for_session().is_anonymous is is_anonymous


def test_a_chroot_is_entered(dropped: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(target_module, "open_store", lambda *others: None)
    opened(find(alice(chroot=b"/srv"), valid_chroot_dirs="/srv")[0], Log())
    assert dropped[0].chroot == b"/srv"


@pytest.mark.parametrize(("store", "folders"), [("native", [b"/var/mail", b"/home/alice"]), ("auto", None)])
def test_who_reads_natively_alone_is_shut_in(
    dropped: list[Any], monkeypatch: pytest.MonkeyPatch, store: str, folders: list[bytes] | None
) -> None:
    native: Any = SimpleNamespace(folders=lambda: (b"/var/mail",))
    monkeypatch.setattr(target_module, "open_store", lambda *others: None)
    monkeypatch.setattr(target_module, "native_settings", lambda *others: native)
    opened(find(alice())[0], Log(), store=store)
    assert dropped[1] == "no_new_privs"
    assert dropped[3:] == ([] if folders is None else [(target_module.sandbox.Mode.REQUIRE, folders)])


def test_a_missing_home_is_no_reason_to_refuse(dropped: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def chdir(path: bytes) -> None:
        if path != b"/":
            raise FileNotFoundError(path)
        dropped.append(path)

    monkeypatch.setattr(target_module.os, "chdir", chdir)
    monkeypatch.setattr(target_module, "open_store", lambda *others: None)
    opened(find(alice())[0], Log())
    assert dropped[-1] == b"/"


def test_it_is_given_up_for_nobody_too(dropped: list[Any]) -> None:
    target = opened(TargetUser(b"x", b"x", None, None), Log())
    assert (target.store, dropped) == (None, SHUT_IN)


def test_and_when_the_store_cannot_be_opened(dropped: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*others: Any) -> None:
        raise StoreFailure("store: native: alias_for")

    monkeypatch.setattr(target_module, "open_store", fail)
    log = Log()
    target = opened(find(alice())[0], log)
    assert (target.store, dropped) == (None, SHUT_IN)
    assert log.lines == ["Failed to lookup user alice: store: native: alias_for"]


def test_privileges_that_are_kept_are_the_end(dropped: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def keep(identity: object) -> None:
        raise PrivilegesKept("kept")

    monkeypatch.setattr(target_module, "drop_privileges", keep)
    with pytest.raises(PrivilegesKept):
        opened(TargetUser(b"x", b"x", None, None), Log())


class Found:
    """Mail on another backend, without one."""

    user = b"alice@b2"
    host = b"h:1143"

    def __init__(self) -> None:
        self.started = 0

    def start(self, log: Any, loop: Any) -> Any:
        self.started += 1
        return SimpleNamespace(close=lambda: None)


@pytest.mark.parametrize("is_known", [True, False])
def test_mail_on_another_backend(dropped: list[Any], monkeypatch: pytest.MonkeyPatch, is_known: bool) -> None:
    """Whoever the user is here, nobody here is needed, and no store of ours is opened."""
    found, asked, engines = Found(), list[Any](), list[bool]()

    async def find_backend(loop: Any, name: bytes, site: tuple[str, int], *others: Any) -> Found:
        asked.append((name, site))
        assert not dropped, "auth tells the fields to root alone"
        return found

    monkeypatch.setattr(asking, "find_backend", find_backend)
    user = (
        find(alice(), name=b"ALICE", imap_urlauth_port="1143")[0]
        if is_known
        else TargetUser(b"ALICE", b"ALICE", None, None)
    )
    log: Any = Log()
    loop = SteppingLoop()

    async def life() -> OpenedTarget:
        settings = config(backends="ask", imap_urlauth_port="1143")
        target = await open_target(loop, user, settings, log, lambda: engines.append(True))
        assert (asked, found.started, engines) == ([(b"ALICE", ("h", 1143))], 1, [])
        await loop.sleep(target_module.SHARED_SECONDS + 1)
        assert engines == [True], "the user may have been moved meanwhile"
        return target

    target = loop.run(life())
    loop.close()
    assert dropped == SHUT_IN
    assert (target.name, target.asked_for, target.host) == (b"alice" if is_known else b"ALICE", b"ALICE", "h")
    assert isinstance(target.store, PooledStore)
    assert (target.store.pool.user, target.store.pool.host) == (b"alice@b2", b"h:1143")


def test_mail_that_is_here_after_all(dropped: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    async def find_backend(*others: Any) -> None:
        return None

    monkeypatch.setattr(asking, "find_backend", find_backend)
    monkeypatch.setattr(target_module, "open_store", lambda *others: None)
    opened(find(alice())[0], Log(), backends="ask")
    assert dropped[0].uid == 5000


def test_mail_that_nobody_knows_where_to_look_for(dropped: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not looked for here instead."""

    async def find_backend(*others: Any) -> None:
        raise BackendNotFound("auth is ill")

    monkeypatch.setattr(asking, "find_backend", find_backend)
    monkeypatch.setattr(target_module, "open_store", lambda *others: dropped.append("opened"))
    log = Log()
    assert opened(find(alice())[0], log, backends="ask").store is None
    assert log.lines == ["Failed to find the backend of user alice: auth is ill"]
    assert dropped == SHUT_IN


def test_a_setting_that_was_given_to_the_worker_is_not_the_userdbs(monkeypatch: pytest.MonkeyPatch) -> None:
    """2.3's own services, too, pass over such a field (mail-storage-service.c)."""
    given: Any = config(mail_location="maildir:~/given")
    given.overrides = frozenset(("mail_location",))
    answer = UserReply(1, b"alice", {**FIELDS, b"mail_location": b"maildir:~/theirs", b"mail_debug": b"yes"})

    async def ask(asked: bytes, *, debug: bool) -> UserReply:
        return answer

    userdb: Any = SimpleNamespace(ask=ask)
    log: Any = Log()
    found = SteppingLoop().run(find_target(b"alice", BOB, given, userdb, log))
    assert found.account is not None
    assert found.account.settings.get("mail_location") == "maildir:~/given"
    assert found.account.settings.flag("mail_debug")
