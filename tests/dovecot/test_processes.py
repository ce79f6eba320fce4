"""The processes while and after a session: titles, privileges, what is left."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from testing.instance import HOST, PASSWORD, USERS, DovecotInstance
from testing.oracle import WorkerSession
from testing.processes import Process, wait_for
from testing.scene import MESSAGE, Scene
from testing.versions import PIECES
from tests.dovecot.conftest import Row

if TYPE_CHECKING:
    from collections.abc import Iterator

BUNDLE = "dovecot_urlauth/__pycache__/bundle."


def _serving(dovecot: DovecotInstance, owner: str = "alice") -> Process:
    """The one process that serves the mail of `owner`; those of other access users of late end by themselves."""

    def the_only_one() -> Process | None:
        workers = [worker for worker in dovecot.processes(PIECES[2]) if USERS[owner] in worker.uids]
        return workers[0] if len(workers) == 1 else None

    worker = wait_for(the_only_one)
    assert worker, f"there is no process for {owner} alone"
    return worker


def _boxed(dovecot: DovecotInstance, name: str) -> list[Process]:
    """The processes of one executable that can gain nothing and make few system calls."""
    return [
        process
        for process in dovecot.processes(name)
        if process.filtered and process.no_new_privileges and 0 not in process.uids
    ]


def _standing(dovecot: DovecotInstance) -> list[tuple[str, int]]:
    """Title and pid of the processes that serve URLAUTH now, but for the worker's spare child."""
    found = [process for name in PIECES for process in dovecot.processes(name) if "[spare]" not in process.title]
    return sorted((process.title, process.pid) for process in found)


@pytest.fixture
def fetched(scene: Scene) -> Scene:
    """A scene in which Bob's session has just fetched Alice's mail and is still there."""
    assert scene.user("bob").fetch_url(scene.sign(scene.store())) == MESSAGE
    return scene


def test_titles_of_a_session(fetched: Scene) -> None:
    dovecot = fetched.dovecot
    assert _serving(dovecot).title == "dovecot/imap-urlauth-worker [bob->alice]"
    assert "dovecot/imap-urlauth [bob]" in [process.title for process in dovecot.processes(PIECES[1])]


def test_titles_of_an_anonymous_session(scene: Scene) -> None:
    scene.anonymous().fetch_url(scene.sign(scene.store(), "anonymous"))
    # Alice's mail may still be another user's to fetch, in a process of its own
    titles = [process.title for process in scene.dovecot.processes(PIECES[2])]
    assert "dovecot/imap-urlauth-worker [anonymous->alice]" in titles
    assert "dovecot/imap-urlauth [anonymous]" in [process.title for process in scene.dovecot.processes(PIECES[1])]


@pytest.mark.parametrize("owner", [b"%FF", b"%FF%1B[2J%0Aeve", b"eve%1B%09%C2%9B"])
def test_a_name_of_any_bytes_ends_nothing(scene: Scene, owner: bytes) -> None:
    """Whose mail it is comes from the URL, before any token is looked at, and is in title and log."""
    mark = scene.dovecot.log.mark()
    url = b"imap://%s@%s/INBOX;UIDVALIDITY=1/;UID=1;URLAUTH=user+bob:internal:%s" % (
        owner,
        HOST.encode(),
        b"01" * 21,
    )
    assert scene.user("bob").fetch_url(url) is None
    worker = scene.dovecot.processes(PIECES[2])
    assert all(process.title.isprintable() for process in worker)
    scene.works(scene.store())
    lines = [line for line in scene.dovecot.log.since(mark) if "imap-urlauth" in line]
    assert not [line for line in lines if "Unexpected" in line or "Panic" in line or not line.isprintable()]


def test_an_access_user_of_any_bytes_is_shown_readable(scene: Scene) -> None:
    with WorkerSession(scene.dovecot) as worker:
        worker.access(b"b\xff\x1b\x01nob")
        assert worker.select(b"alice") == b"OK\n"
        expected = "dovecot/imap-urlauth-worker [b???ob->alice]"
        assert wait_for(lambda: expected in [process.title for process in scene.dovecot.processes(PIECES[2])])


@pytest.mark.only("tuned")
def test_titles_while_idle(running: DovecotInstance) -> None:
    titles = ("imap-urlauth-login", "imap-urlauth [idling]", "imap-urlauth-worker [idling]")
    expected = {f"dovecot/{title}" for title in titles}
    assert wait_for(lambda: {title.strip() for title, _ in _standing(running)} == expected), _standing(running)


def test_title_of_a_client_before_its_login(running: DovecotInstance) -> None:
    with running.connect("imap-urlauth"):
        expected = "dovecot/imap-urlauth-login [pre-login]"
        assert wait_for(lambda: expected in [login.title for login in running.processes(PIECES[0])])


@pytest.mark.every_combination
def test_the_serving_process_is_the_owner(fetched: Scene) -> None:
    worker = _serving(fetched.dovecot)
    assert worker.uids == worker.gids == (USERS["alice"],) * 4
    assert 0 not in worker.groups
    assert worker.capabilities == 0


def test_the_serving_process_cannot_get_more(fetched: Scene) -> None:
    worker = _serving(fetched.dovecot)
    assert worker.no_new_privileges
    # the service itself asks for Dovecot's own group, as the stock worker's does
    [broker] = [process for process in fetched.dovecot.processes(PIECES[1]) if "[bob]" in process.title]
    assert worker.groups <= {USERS["alice"], broker.gids[0]}


def test_one_process_for_each_target(scene: Scene) -> None:
    urls = [scene.sign(scene.store(owner=owner), "authuser") for owner in ("alice", "carol")]
    for name, url in zip(("bob", "submitsrv"), urls):
        scene.user(name).fetch_url(url)
    workers = {_serving(scene.dovecot, owner).pid for owner in ("alice", "carol")}
    assert len(workers) == 2


@pytest.mark.every_combination
@pytest.mark.spoiled_by("urlauth-is-root")
def test_imap_urlauth_is_not_root(fetched: Scene) -> None:
    processes = fetched.dovecot.processes(PIECES[1])
    assert processes
    for process in processes:
        assert 0 not in process.uids + process.gids
        assert process.capabilities == 0


@pytest.mark.every_combination
def test_login_is_shut_in(running: DovecotInstance) -> None:
    with running.connect("imap-urlauth"):
        [login, *_] = wait_for(
            lambda: [process for process in running.processes(PIECES[0]) if 0 not in process.uids]
        )
        assert login.root == str(running.folder / "run" / "token-login")
        assert login.capabilities == 0
        assert 0 not in login.gids


def test_login_and_imap_urlauth_are_in_their_sandbox(fetched: Scene) -> None:
    with fetched.dovecot.connect("imap-urlauth"):
        for name in PIECES[:2]:
            assert wait_for(partial(_boxed, fetched.dovecot, name)), name


@pytest.mark.every_combination
@pytest.mark.spoiled_by("session-leaks", "switch-breaks", "finish-overlooked")
def test_nothing_is_left_of_a_session(running: DovecotInstance, row: Row) -> None:
    # earlier scenarios may still be ending
    wait_for(lambda: len(_standing(running)) == (3 if row.combination.tuned else 0))
    before = _standing(running)
    scene = Scene(running)
    for owner in ("alice", "carol"):
        assert scene.user("bob").fetch_url(scene.sign(scene.store(owner=owner))) == MESSAGE
    assert _standing(running) != before
    scene.close()
    assert wait_for(lambda: _standing(running) == before), (before, _standing(running))


@pytest.mark.only("tuned")
def test_files_stay_closed_behind_sessions(running: DovecotInstance) -> None:
    def files() -> list[int]:
        return sorted(len(os.listdir(f"/proc/{pid}/fd")) for _, pid in _standing(running))

    def idle() -> bool:
        return len(_standing(running)) == len(PIECES)

    assert wait_for(idle)
    before = files()
    for _ in range(15):
        scene = Scene(running)
        assert scene.user("bob").fetch_url(scene.sign(scene.store())) == MESSAGE
        assert scene.user("bob").fetch_url(scene.sign(scene.store(), "anonymous")[:-1] + b"x") is None
        scene.close()
    assert wait_for(idle)
    assert wait_for(lambda: files() == before), (before, files())


def test_a_killed_worker_costs_one_retry(fetched: Scene) -> None:
    fetched.expect_log(r"killed with signal 9", r"Service disconnected unexpectedly", r"Error sending \w+ request")
    url = fetched.sign(fetched.store())
    os.kill(_serving(fetched.dovecot).pid, signal.SIGKILL)
    assert fetched.user("bob").fetch_url(url) == MESSAGE


def test_the_serving_process_holds_nothing_it_does_not_need(fetched: Scene) -> None:
    worker = _serving(fetched.dovecot)
    opened = {name: os.readlink(f"/proc/{worker.pid}/fd/{name}") for name in os.listdir(f"/proc/{worker.pid}/fd")}
    folder = fetched.dovecot.folder
    # the console is what Dovecot itself has as its standard output
    null = fetched.dovecot.version.root / "dev/null"
    # the settings, as they are or in a sealed copy, are for the engine; libffi keeps the code it makes in a file
    # without name; the bundle is for modules that are imported on use
    needed: tuple[str, ...] = (
        f"{folder}/home/alice/",
        f"{folder}/console",
        f"{folder}/run/dovecot.conf.binary",
        "/memfd:dovecot.conf.binary",
        "/memfd:libffi",
    )
    assert fetched.dovecot.ours
    needed += ("/dev/null", str(null), f"{fetched.dovecot.ours.outside}/lib/dovecot-urlauth/{BUNDLE}")
    files = [target for target in opened.values() if target.startswith("/")]
    assert [target for target in files if not target.startswith(needed)] == []
    # the client, imap-urlauth, stats, under conf.d the parent; no auth, which root asked
    sockets = [target for target in opened.values() if target.startswith("socket:")]
    is_forked = fetched.dovecot.combination.tuned
    assert len(sockets) == 3 + is_forked
    if is_forked:  # the log, and master's life; neither its status pipe nor anvil's
        assert {name for name, target in opened.items() if target.startswith("pipe:")} <= {"2", "6"}
    limits = Path(f"/proc/{worker.pid}/limits").read_text()
    [core] = [line for line in limits.splitlines() if line.startswith("Max address space")]
    assert str(256 << 20) in core


@pytest.fixture
def user_of_each_format(scene: Scene) -> Iterator[dict[str, str]]:
    """Users whose mail the userdb says is not kept as others' is: format -> name."""
    dovecot = scene.dovecot
    names = {"mbox": "max", "mdbox": "mia", "sdbox": "sue"}
    users = dovecot.folder / "users"
    before, added = users.read_text(), ""
    for uid, (kept_as, name) in enumerate(names.items(), 5301):
        home = dovecot.folder / "home" / name
        home.mkdir(mode=0o700, exist_ok=True)
        os.chown(home, uid, uid)
        where = f"userdb_mail={kept_as}:~/{kept_as}"
        if dovecot.version.language == "2.4":
            where = f"userdb_mail_driver={kept_as} userdb_mail_path=~/{kept_as}"
        added += f"{name}:{{PLAIN}}{PASSWORD}:{uid}:{uid}::{dovecot.inside}/home/{name}::{where}\n"
    try:
        users.write_text(before + added)
        time.sleep(1.1)  # auth looks at the file once a second
        yield names
    finally:
        users.write_text(before)


def _files_of_a_first_fetch(scene: Scene, owner: str, seen: Path) -> list[str]:
    """What the process that becomes the owner opens and reads for one URL: lines of strace's."""
    url = scene.sign(scene.store(owner=owner))

    def spares() -> list[Process]:
        return [worker for worker in scene.dovecot.processes(PIECES[2]) if worker.title.endswith("[spare]")]

    wait_for(lambda: len(spares()) == 1)
    [spare] = spares()
    command = ["strace", "-qq", "-y", "-o", str(seen), "-e", "trace=openat,read,pread64", "-p", str(spare.pid)]
    tracer = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: Path(f"/proc/{spare.pid}/status").read_text().count(f"TracerPid:\t{tracer.pid}\n"))
        assert scene.user("bob").fetch_url(url) == MESSAGE
        assert wait_for(lambda: [worker for worker in spares() if worker.pid != spare.pid])
    finally:
        tracer.terminate()
        tracer.wait(10)
    return seen.read_text(errors="replace").splitlines()


def _code_in(calls: list[str]) -> list[str]:
    return [call for call in calls if BUNDLE in call or "/python3" in call or ".so" in call]


@pytest.mark.only("tuned")
def test_a_first_fetch_loads_no_code(scene: Scene, tmp_path: Path) -> None:
    """The parent has loaded what a URL takes: each target user's process would lose milliseconds with it."""
    # none of an earlier scenario's processes has carol's mail open
    wait_for(lambda: not any(USERS["carol"] in worker.uids for worker in scene.dovecot.processes(PIECES[2])))
    calls = _files_of_a_first_fetch(scene, "carol", tmp_path / "calls")
    assert any("/Maildir" in call for call in calls)
    assert _code_in(calls) == []


@pytest.mark.only("tuned")
def test_nor_in_another_format(scene: Scene, user_of_each_format: dict[str, str], tmp_path: Path) -> None:
    for kept_as, name in user_of_each_format.items():
        calls = _files_of_a_first_fetch(scene, name, tmp_path / kept_as)
        assert any(f"/home/{name}/{kept_as}" in call for call in calls)
        assert _code_in(calls) == []
