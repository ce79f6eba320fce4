"""Sessions in which nobody asks for anything: they cost no process, and go on as if nothing had been."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from testing.oracle import WorkerSession
from testing.processes import Process, wait_for
from testing.scene import MESSAGE, Scene
from testing.versions import PIECES

if TYPE_CHECKING:
    from testing.instance import DovecotInstance

PATIENCE = 4.0
"""Seconds in which a session rests: imap ends it after five."""


def _workers(dovecot: DovecotInstance) -> list[Process]:
    return [process for process in dovecot.processes(PIECES[2]) if "->" in process.title]


def _titles(dovecot: DovecotInstance) -> set[str]:
    return {process.title.partition(" ")[2] for process in dovecot.processes(PIECES[2])}


def _rest(dovecot: DovecotInstance) -> None:
    assert wait_for(lambda: not _workers(dovecot), PATIENCE), [process.title for process in _workers(dovecot)]


@pytest.mark.only("tuned")
def test_it_is_served_again(scene: Scene) -> None:
    dovecot = scene.dovecot
    url = scene.sign(scene.store())
    bob = scene.user("bob")
    for _ in range(2):
        assert bob.fetch_url(url) == MESSAGE
        assert _workers(dovecot)
        _rest(dovecot)
        assert "[1 connections]" in _titles(dovecot), "the session is there"
    assert bob.fetch_url(url) == MESSAGE


@pytest.mark.only("tuned")
def test_a_session_that_ends_meanwhile_leaves_nothing(scene: Scene) -> None:
    dovecot = scene.dovecot
    bob = scene.user("bob")
    assert bob.fetch_url(scene.sign(scene.store())) == MESSAGE
    _rest(dovecot)
    bob.close()
    assert wait_for(lambda: _titles(dovecot) == {"[idling]", "[spare]"}), _titles(dovecot)


@pytest.mark.only("tuned")
def test_a_mailbox_whose_keys_were_reset_meanwhile(scene: Scene) -> None:
    """Nothing of before is remembered."""
    stored = scene.store()
    url = scene.sign(stored)
    bob = scene.user("bob")
    assert bob.fetch_url(url) == MESSAGE
    _rest(scene.dovecot)
    scene.user("alice").resetkey(stored.mailbox)
    assert bob.fetch_url(url) is None


@pytest.mark.only("tuned")
def test_a_client_that_stops_within_a_command_is_waited_for(scene: Scene) -> None:
    url = scene.sign(scene.store())
    with WorkerSession(scene.dovecot) as session:
        session.access(b"bob")
        assert session.select(b"alice") == b"OK\n"
        assert session.fetch(url).content == MESSAGE
        session.send(b"UR")
        time.sleep(PATIENCE)
        assert _workers(scene.dovecot)
        session.send(b"L\t" + url + b"\n")
        assert session.answer().content == MESSAGE
        _rest(scene.dovecot)
        session.send(b"END\n")
        assert session.control_line() == b"FINISHED\n"
