"""The worker's own options: a sandbox for one that reads natively only, and the audit."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from testing.instance import USERS, DovecotInstance
from testing.processes import wait_for
from testing.scene import DECODED, MESSAGE, SECTIONS, Scene
from testing.versions import PIECES, TUNED

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.dovecot.conftest import Installations, Row

pytestmark = pytest.mark.only(TUNED.name)


def test_the_audit_says_who_read_what(
    row: Row, installations: Installations, starter: Callable[..., DovecotInstance]
) -> None:
    ours = installations[row.version]
    worker = f"service imap-urlauth-worker {{\n  executable = {ours.executables}/{PIECES[2]} --audit=yes\n}}\n"
    dovecot = starter(DovecotInstance(row.version, row.combination, ours, extra=worker))
    with Scene(dovecot) as scene:
        stored = scene.store()
        url = scene.sign(stored, section="2")
        assert scene.user("bob").fetch_url(url) == SECTIONS["2"]
        spoiled = url[:-1] + (b"0" if url[-1:] != b"0" else b"1")
        assert scene.user("bob").fetch_url(spoiled) is None
        place = f"owner=<alice> mailbox=<INBOX> uid={stored.uid} section=<2>"
        sent = f"outcome=sent user=<bob> service=imap {place} bytes={len(SECTIONS['2'])} "
        refused = f"outcome=refused user=<bob> service=imap {place} bytes=0 "
        lines = wait_for(lambda: [line for line in dovecot.log.lines() if refused in line])
        assert lines
        assert lines[0].endswith("reason=<URLAUTH verification failed>")
        assert [line for line in dovecot.log.lines() if sent in line]
        assert url[-40:].decode() not in "".join(dovecot.log.lines())


def test_a_native_worker_in_its_sandbox(
    row: Row, installations: Installations, starter: Callable[..., DovecotInstance]
) -> None:
    ours = installations[row.version]
    worker = f"service imap-urlauth-worker {{\n  executable = {ours.executables}/{PIECES[2]} %s\n}}\n"
    options = "--store=native --sandbox=require"
    dovecot = starter(DovecotInstance(row.version, row.combination, ours, extra=worker % options))
    with Scene(dovecot) as scene:
        stored = scene.store()
        bob = scene.user("bob")
        for section, content in SECTIONS.items():
            assert bob.fetch_url(scene.sign(stored, section=section)) == content, section
        for section, content in DECODED.items():
            items = bob.fetch_items(scene.sign(stored, section=section), "BINARY")
            assert items is not None
            assert items[b"BINARY"] == content
        serving = wait_for(
            lambda: [process for process in dovecot.processes(PIECES[2]) if USERS["alice"] in process.uids]
        )
        assert serving
        assert all(process.filtered for process in serving)
        # mail that comes later, another user, and what is not there
        later = scene.store(MESSAGE + b"more\r\n")
        assert bob.fetch_url(scene.sign(later)) == MESSAGE + b"more\r\n"
        assert bob.fetch_url(scene.sign(scene.store(owner="carol"))) == MESSAGE
        scene.create("anew")
        assert bob.fetch_url(scene.sign(scene.store(mailbox="anew"))) == MESSAGE


def test_the_worker_is_given_a_setting(
    row: Row, installations: Installations, starter: Callable[..., DovecotInstance]
) -> None:
    ours = installations[row.version]
    wrapper = f"service imap-urlauth-worker {{\n  executable = {ours.executables}/{PIECES[2]} %s\n}}\n"
    options = "-o imap_urlauth_host=given.example.test -o mail_debug=yes"
    dovecot = starter(DovecotInstance(row.version, row.combination, ours, extra=wrapper % options))
    with Scene(dovecot) as scene:
        url = scene.sign(scene.store())
        assert scene.user("bob").fetch_url(url) is None
        refused = "Invalid URL: Inappropriate host name"
        assert wait_for(lambda: [line for line in dovecot.log.lines() if refused in line])


def test_process_status_counts_the_clients_of_the_workers_children(
    row: Row, installations: Installations, starter: Callable[..., DovecotInstance]
) -> None:
    """The children are not master's: the parent says of itself how many more clients it takes."""
    dovecot = starter(DovecotInstance(row.version, row.combination, installations[row.version]))
    command = row.version.command("/usr/bin/doveadm", "-c", dovecot.inside / "dovecot.conf", "-f", "tab")

    def available(service: str) -> list[int]:
        head, *lines = dovecot.output(*command, "process", "status", service).splitlines()
        column = head.split("\t").index("available_count")
        return [int(line.split("\t")[column]) for line in lines]

    def says(clients: int) -> bool:
        return available(PIECES[2]) == [clients]

    [all_of_them] = available(PIECES[2])
    with Scene(dovecot) as scene:
        url = scene.sign(scene.store())
        for left in (all_of_them - 1, all_of_them - 2):
            assert scene.session("bob").fetch_url(url) == MESSAGE
            assert wait_for(partial(says, left), 20)
    assert wait_for(partial(says, all_of_them), 20)
