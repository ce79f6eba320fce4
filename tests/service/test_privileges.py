"""Giving root up, for real, in a forked child; needs root."""

from __future__ import annotations

import errno
import faulthandler
import os
import pickle
import resource
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dovecot_urlauth.service import privileges
from dovecot_urlauth.service.environment import Restrictions
from dovecot_urlauth.service.libc import PR_SET_DUMPABLE, prctl
from dovecot_urlauth.service.privileges import (
    Identity,
    PrivilegesKept,
    drop_privileges,
    drop_to_restrictions,
    forbid_new_privileges,
)

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root has privileges to give up")

PR_GET_DUMPABLE = 3
ALICE = Identity(uid=5001, gid=5001, groups=(5001, 5100))


def in_child(action: Callable[..., Any]) -> Any:
    """What ``action()`` returns or raises, run in a forked child."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            result = action()
        except BaseException as error:
            result = error
        os.write(writer, pickle.dumps(result))
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        result = pickle.loads(pipe.read())
    os.waitpid(pid, 0)
    return result


def status(*names: str) -> dict[str, list[str]]:
    with open("/proc/self/status") as file:
        lines = dict(line.rstrip("\n").split(":", 1) for line in file if ":" in line)
    return {name: lines[name].split() for name in names}


def test_the_kernel_sees_four_equal_ids_and_no_capability() -> None:
    def action() -> Any:
        drop_privileges(ALICE)
        forbid_new_privileges()
        return status("Uid", "Gid", "Groups", "CapEff", "CapPrm", "NoNewPrivs")

    seen = in_child(action)
    assert seen["Uid"] == ["5001"] * 4
    assert seen["Gid"] == ["5001"] * 4
    assert set(seen["Groups"]) == {"5001", "5100"}
    assert int(seen["CapEff"][0], 16) == int(seen["CapPrm"][0], 16) == 0
    assert seen["NoNewPrivs"] == ["1"]


@pytest.mark.parametrize("regain", [lambda: os.setuid(0), lambda: os.setgid(0), lambda: os.setgroups([0])])
def test_there_is_no_way_back(regain: Callable[..., Any]) -> None:
    def action() -> None:
        drop_privileges(ALICE)
        regain()

    assert isinstance(in_child(action), PermissionError)


def test_chroot(tmp_path: Path) -> None:
    (tmp_path / "inside").touch()

    def action() -> Any:
        drop_privileges(Identity(5001, 5001, (5001,), os.fsencode(tmp_path)))
        return os.listdir("/"), os.getcwd()

    tmp_path.chmod(0o755)
    assert in_child(action) == (["inside"], "/")


def test_root_is_nobody_to_become() -> None:
    refused = in_child(lambda: drop_privileges(Identity(0, 0, (0,))))
    assert repr(refused) == repr(PrivilegesKept("We couldn't drop root privileges: the wanted user is root"))


@pytest.mark.parametrize(
    ("skipped", "text"),
    [
        ("setgroups", "groups kept after the drop: "),
        ("setresgid", "We couldn't drop root group privileges (wanted=5001, gid=0, egid=0)"),
        ("setresuid", "We couldn't drop root privileges"),
    ],
)
def test_a_step_left_out_is_noticed(monkeypatch: pytest.MonkeyPatch, skipped: str, text: str) -> None:
    """The self-check, not the order of calls, is what holds."""
    monkeypatch.setattr(privileges.os, skipped, lambda *ids: None)
    os_groups = os.getgroups()
    if skipped == "setgroups" and set(os_groups) <= {0}:
        monkeypatch.setattr(privileges.os, "getgroups", lambda: [0, 27])
    kept = in_child(lambda: drop_privileges(ALICE))
    assert isinstance(kept, PrivilegesKept)
    assert str(kept).startswith(text)
    assert text.endswith(" ") or str(kept) == text


@pytest.mark.parametrize("call", ["setuid", "seteuid", "setgid"])
def test_an_attempt_to_come_back_that_fails_otherwise_proves_nothing(
    monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """EAGAIN is not the kernel's "you may not"."""

    def busy(*ids: int) -> None:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(privileges.os, call, busy)
    kept = in_child(lambda: drop_privileges(ALICE))
    assert repr(kept) == repr(
        PrivilegesKept("We couldn't drop root privileges: not proven: Resource temporarily unavailable")
    )


def test_memory_is_closed_when_the_ids_are_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel sets anew who may look into it at each change of ids (fs.suid_dumpable)."""
    done: list[str] = []
    monkeypatch.setattr(privileges, "prctl", lambda *arguments: done.append("memory closed"))
    monkeypatch.setattr(privileges, "_change", lambda identity: done.append("changed"))
    monkeypatch.setattr(privileges, "_verify", lambda identity: done.append("verified"))
    drop_privileges(ALICE)
    assert done == ["memory closed", "changed", "verified", "memory closed"]


def test_without_root_only_who_one_is_already() -> None:
    def action() -> None:
        os.setresgid(5001, 5001, 5001)
        os.setgroups([5001])
        os.setresuid(5001, 5001, 5001)
        drop_privileges(ALICE)
        drop_privileges(Identity(5002, 5001, (5001,)))

    assert isinstance(in_child(action), PrivilegesKept)


def test_masters_restrictions(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)

    def action() -> Any:
        drop_to_restrictions(Restrictions(uid=5003, gid=5004, extra_groups=(5100,), chroot=os.fsencode(tmp_path)))
        return os.getresuid(), os.getresgid(), set(os.getgroups()), os.listdir("/")

    assert in_child(action) == ((5003,) * 3, (5004,) * 3, {5004, 5100}, [])


def test_no_restriction_changes_nothing() -> None:
    def action() -> int:
        drop_to_restrictions(Restrictions())
        return os.getuid()

    assert in_child(action) == 0


def test_nobody_may_look_into_the_memory_of_who_gave_root_up() -> None:
    """Not even a program of the same user: without this, ptrace and /proc/PID/mem are open to it."""

    def action() -> Any:
        drop_privileges(ALICE)
        dropped = prctl(PR_GET_DUMPABLE)
        # as after an exec, or in a process that was never root
        prctl(PR_SET_DUMPABLE, 1)
        drop_privileges(ALICE)
        return dropped, prctl(PR_GET_DUMPABLE)

    assert in_child(action) == (0, 0)


def test_a_chroot_that_is_missing_is_named() -> None:
    def action() -> None:
        drop_privileges(Identity(uid=5001, gid=5001, groups=(5001,), chroot=b"/nowhere/token-login"))

    assert str(in_child(action)) == (
        "We couldn't drop root privileges: chroot(/nowhere/token-login): No such file or directory"
    )


@pytest.mark.parametrize(
    ("restrictions", "identity"),
    [
        (Restrictions(uid=5003, gid=5004, extra_groups=(5100,)), Identity(5003, 5004, (5004, 5100))),
        (
            Restrictions(uid=5003, gid=5004, extra_groups=(5004,), chroot=b"/x"),
            Identity(5003, 5004, (5004,), b"/x"),
        ),
        (Restrictions(uid=5003, gid=5004, user="nobody"), Identity(5003, 5004, (5004, 7, 8))),
        (Restrictions(uid=5003), Identity(5003, 77, (77,))),
    ],
)
def test_who_the_restrictions_mean(
    monkeypatch: pytest.MonkeyPatch, restrictions: Restrictions, identity: Identity
) -> None:
    become: list[Identity] = []
    monkeypatch.setattr(os, "getgid", lambda: 77)
    monkeypatch.setattr(os, "getgrouplist", lambda user, gid: [gid, 7, 8])
    monkeypatch.setattr(privileges, "drop_privileges", become.append)
    drop_to_restrictions(restrictions)
    assert become == [identity]


@pytest.mark.parametrize("failure", [OSError("no such call"), None])
def test_what_the_kernel_does_not_grant_is_not_done_without(
    monkeypatch: pytest.MonkeyPatch, failure: OSError | None
) -> None:
    def prctl(*arguments: int) -> int:
        if failure is not None:
            raise failure
        return 0

    monkeypatch.setattr(privileges, "prctl", prctl)
    with pytest.raises(PrivilegesKept, match="PR_SET_NO_NEW_PRIVS"):
        forbid_new_privileges()
    if failure is not None:
        with pytest.raises(PrivilegesKept, match="PR_SET_DUMPABLE"):
            drop_privileges(ALICE)


def _is_core_left(folder: Path, prepare: Callable[[], Any]) -> bool:
    """Whether the kernel says that it wrote a core file of a child that aborts."""
    folder.chmod(0o777)
    pid = os.fork()
    if pid == 0:
        faulthandler.disable()
        hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
        resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
        os.chdir(folder)
        prepare()
        os.abort()
    _, ended = os.waitpid(pid, 0)
    assert os.WTERMSIG(ended) == signal.SIGABRT
    return os.WCOREDUMP(ended)


def test_no_core_file_is_left(tmp_path: Path) -> None:
    """Of a process with a user's mail, and keys, in its memory."""

    def only_change() -> None:
        os.setresgid(5001, 5001, 5001)
        os.setgroups(ALICE.groups)
        os.setresuid(5001, 5001, 5001)
        prctl(PR_SET_DUMPABLE, 1)  # the kernel took it away, as fs.suid_dumpable says

    def drop() -> None:
        only_change()
        drop_privileges(ALICE)

    if not _is_core_left(tmp_path, only_change):
        pytest.skip("this machine writes no core files at all")
    for file in tmp_path.iterdir():
        file.unlink()
    assert not _is_core_left(tmp_path, drop)
    assert list(tmp_path.iterdir()) == []
