"""Attribute dictionaries of every kind that we read ourselves: the stock worker and ours give the same."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from testing.instance import DovecotInstance
from testing.oracle import STOCK_WORKER, WORKER, WorkerLost, WorkerSession, sign
from testing.processes import wait_for
from testing.scene import MESSAGE, Scene
from testing.versions import TUNED, Version
from tests.dovecot.differential.dictionaries import SQLITE, make_sqlite

if TYPE_CHECKING:
    from collections.abc import Callable

    from testing.scene import Stored
    from tests.dovecot.conftest import Installations

    Starter = Callable[..., DovecotInstance]

pytestmark = pytest.mark.in_turns

SERVICE = "service dict {\n  unix_listener dict {\n    mode = 0666\n  }\n}\n"
ASYNC = SERVICE.replace("dict {", "dict-async {")
CLOSED = SERVICE.replace("0666", "0600")
OLD_FILE = "dict {\n  attributes = file:BASE/tmp/attributes\n}\n"
NEW_FILE = (
    "dict_server {\n  dict attributes {\n    driver = file\n    dict_file_path = BASE/tmp/attributes\n  }\n}\n"
)


@dataclass(frozen=True)
class Kind:
    """Where the keys are, in each language; ``BASE`` stands for the instance's folder."""

    old: str
    """mail_attribute_dict."""
    new: str
    """What stands in ``mail_attribute { }``."""
    old_more: str = ""
    new_more: str = ""


KINDS = {
    "proxy": Kind(
        "proxy::attributes",
        "dict proxy {\n    dict_proxy_name = attributes\n  }",
        OLD_FILE + SERVICE,
        NEW_FILE + SERVICE,
    ),
    "proxy through dict-async": Kind(
        "proxy:dict-async:attributes",
        "dict mine {\n    driver = proxy\n    dict_proxy_name = attributes\n"
        "    dict_proxy_socket_path = dict-async\n  }",
        OLD_FILE + ASYNC,
        NEW_FILE + ASYNC,
    ),
    "proxy that stays connected": Kind(
        "proxy:idle_msecs=500:BASE/run/dict:attributes",
        "dict proxy {\n    dict_proxy_name = attributes\n    dict_proxy_idle_timeout = 500ms\n"
        "    dict_proxy_socket_path = BASE/run/dict\n  }",
        OLD_FILE + SERVICE,
        NEW_FILE + SERVICE,
    ),
    "files": Kind(
        "fs:posix:prefix=%h/attributes/",
        "dict fs {\n    fs posix {\n      prefix = %{home}/attributes/\n    }\n  }",
    ),
}


class WithDictionary(DovecotInstance):
    """A Dovecot whose attributes are of some kind."""

    kind = KINDS["files"]

    def _configuration(self) -> str:
        kind, old = self.kind, self.version.language == "2.3"
        setting, more = (kind.old, kind.old_more) if old else (kind.new, kind.new_more)
        before = "file:%h/dovecot-attributes" if old else "dict file {\n    path = %{home}/dovecot-attributes\n  }"
        plain = super()._configuration()
        assert before in plain
        return (plain.replace(before, setting) + more).replace("BASE", str(self.inside))


@pytest.fixture
def start(starter: Starter, installations: Installations, version: Version) -> Starter:
    def start(kind: Kind, *expected: str, options: str = "") -> DovecotInstance:
        ours = installations[version]
        worker = f"service {WORKER} {{\n  executable = {ours.executables}/{WORKER} {options}\n}}\n"
        dovecot = WithDictionary(version, TUNED, ours, "mail_debug = yes\n" + worker)
        dovecot.kind = kind
        return starter(dovecot, *expected)

    return start


def fetch(dovecot: DovecotInstance, worker: str, *urls: bytes) -> list[bytes | None]:
    """What one session of a worker gives for each URL; None for a NO."""
    with WorkerSession(dovecot, worker) as session:
        session.access(b"bob")
        assert session.select(b"alice") == b"OK\n"
        answers = [session.fetch(url) for url in urls]
        return [answer.content if answer.ok else None for answer in answers]


def roads(dovecot: DovecotInstance) -> set[str]:
    """The stores that sessions of ours were served by."""
    return {line.rpartition("store: ")[2].partition(":")[0] for line in dovecot.log.lines() if "store: " in line}


def reset(scene: Scene, stored: Stored) -> None:
    """Let alice take the mailbox's key back (RFC 4467 section 8)."""
    assert scene.user("alice").command(f"SELECT {stored.mailbox}".encode()).ok
    assert scene.user("alice").command(f"RESETKEY {stored.mailbox}".encode()).ok


@pytest.mark.parametrize("name", KINDS)
def test_same_as_stock_until_the_key_is_reset(start: Starter, name: str) -> None:
    dovecot = start(KINDS[name])
    with Scene(dovecot) as scene, WorkerSession(dovecot) as session:
        stored = scene.store()
        scene.create("Other")
        good, other = scene.sign(stored), scene.sign(scene.store(mailbox="Other"))
        assert fetch(dovecot, STOCK_WORKER, good, other) == [MESSAGE, MESSAGE]
        session.access(b"bob")
        assert session.select(b"alice") == b"OK\n"
        for url in (good, other, good):
            assert session.fetch(url).content == MESSAGE
        assert scene.user("bob").fetch_url(good) == MESSAGE
        reset(scene, stored)
        assert not session.fetch(good).ok  # at once, and in the same session
        assert session.fetch(other).content == MESSAGE
        assert fetch(dovecot, STOCK_WORKER, good) == [None]
        again = scene.sign(stored)
        assert again != good
        assert [session.fetch(url).ok for url in (again, good)] == [True, False]
    dovecot.log.wait_for("store: ")
    assert roads(dovecot) == {"native"}
    assert not list(dovecot.folder.rglob("dovecot-attributes"))


@pytest.mark.parametrize("name", ["proxy", "files"])
def test_within_the_sandbox(start: Starter, name: str) -> None:
    dovecot = start(KINDS[name], options="--store=native --sandbox=require")
    with Scene(dovecot) as scene:
        url = scene.sign(scene.store())
    assert fetch(dovecot, WORKER, url, url) == [MESSAGE, MESSAGE]


def test_sqlite_behind_it(start: Starter, version: Version) -> None:
    if version.name != "bookworm" or not os.path.exists(SQLITE):
        pytest.skip("dovecot-sqlite is not installed")
    dovecot = start(Kind("proxy::attributes", "", "dict {\n  attributes = sqlite:BASE/dict.conf\n}\n" + SERVICE))
    make_sqlite(dovecot)
    with Scene(dovecot) as scene:
        stored = scene.store()
        url = scene.sign(stored)
        assert fetch(dovecot, STOCK_WORKER, url) == fetch(dovecot, WORKER, url) == [MESSAGE]
        reset(scene, stored)
        assert fetch(dovecot, STOCK_WORKER, url) == fetch(dovecot, WORKER, url) == [None]
    assert roads(dovecot) == {"native"}


DOWN = {
    "no socket": Kind(
        "proxy:nosuch:attributes",
        "dict proxy {\n    dict_proxy_name = attributes\n    dict_proxy_socket_path = nosuch\n  }",
    ),
    "the socket is not for the target user": Kind(
        "proxy::attributes",
        "dict proxy {\n    dict_proxy_name = attributes\n  }",
        OLD_FILE + CLOSED,
        NEW_FILE + CLOSED,
    ),
    "no such dictionary": Kind(
        "proxy::nosuch",
        "dict proxy {\n    dict_proxy_name = nosuch\n  }",
        OLD_FILE + SERVICE,
        NEW_FILE + SERVICE,
    ),
}


@pytest.mark.parametrize("name", DOWN)
def test_a_dict_service_that_is_down(start: Starter, name: str) -> None:
    """A NO and one line in the log; stock's worker loses the session."""
    dovecot = start(DOWN[name], "dict", "Mailbox INBOX", "imap-urlauth", "stock-worker")
    with Scene(dovecot) as scene:
        url = sign(scene.store().rump().encode(), bytes(64))
    assert fetch(dovecot, WORKER, url, url) == [None, None]
    with pytest.raises((WorkerLost, AssertionError)):
        assert fetch(dovecot, STOCK_WORKER, url, url) == [MESSAGE, MESSAGE]
    said = [line for line in dovecot.log.lines() if "dict-client" in line and "Failed to fetch URLAUTH" in line]
    assert len(said) == 2, said
    assert roads(dovecot) == {"native"}


def test_a_dict_service_that_goes_down_beneath_the_engine(start: Starter) -> None:
    """2.3's imap panics of a URLFETCH then; only one does, and when the service is back so is the mail."""
    dovecot = start(KINDS["proxy"], "dict", "imap", options="--store=dovecot")
    with Scene(dovecot) as scene, WorkerSession(dovecot) as session:
        url = scene.sign(scene.store())
        session.access(b"bob")
        assert session.select(b"alice") == b"OK\n"
        assert [session.fetch(url).content for _ in range(2)] == [MESSAGE] * 2
        socket = dovecot.folder / "run" / "dict"
        socket.chmod(0o600)
        for process in dovecot.processes("dict"):
            process.kill()
        assert not any(session.fetch(url).ok for _ in range(3))
        died = [line for line in dovecot.log.lines() if "imap died" in line]
        assert len(died) <= 1, died
        socket.chmod(0o666)
        assert wait_for(lambda: session.fetch(url).content == MESSAGE, 10)
    assert roads(dovecot) == {"dovecot"}
