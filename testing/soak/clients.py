"""What the clients of a soak do, and what they saw: each answer is checked to the byte."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING

from testing.imapclient import ConnectionLost
from testing.scene import DECODED, MESSAGE, SECTIONS, Scene

if TYPE_CHECKING:
    from testing.instance import DovecotInstance

LARGE = MESSAGE + b"a line that makes the mail larger than any buffer\r\n" * 40_000
USERS = ("bob", "carol", "submitsrv")
PAUSE = 0.05
"""Seconds between two sessions of a client, at most."""
SIP = 32768
"""Bytes that a slow reader takes at once."""

GOOD, REFUSED, LOST, WRONG = "right bytes", "refused", "connection lost", "WRONG BYTES"


class Questions:
    """URLs and what each must bring: bytes, or None for a refusal."""

    def __init__(self, scene: Scene) -> None:
        stored, large = scene.store(), scene.store(LARGE)
        good = scene.sign(stored, "authuser")
        self.plain: list[tuple[bytes, bytes | None]] = [
            *((scene.sign(stored, "authuser", section=name), text) for name, text in SECTIONS.items()),
            *((scene.sign(large, "authuser"), LARGE) for _ in range(2)),
            (good[:-2] + b"00", None),
            (good.replace(b"alice", b"nobody"), None),
        ]
        self.decoded = [(scene.sign(stored, "authuser", section=name), text) for name, text in DECODED.items()]
        self.large = scene.sign(large, "authuser")


class Client(threading.Thread):
    """One session after another until it is told to stop."""

    def __init__(self, dovecot: DovecotInstance, questions: Questions, number: int) -> None:
        super().__init__(daemon=True)
        self._dovecot = dovecot
        self._questions = questions
        self._chance = random.Random(number)
        self._user = USERS[number % len(USERS)]
        self.stopping = threading.Event()
        self.outcomes: Counter[str] = Counter()
        self.answered_at = time.monotonic()
        self.longest_gap = 0.0

    def run(self) -> None:
        while not self.stopping.is_set():
            try:
                self._session()
            except (ConnectionLost, OSError, AssertionError):
                self._note(LOST)
            time.sleep(self._chance.random() * PAUSE)

    def _session(self) -> None:
        with self._dovecot.imap(self._user, timeout=30) as client:
            for _ in range(self._chance.randrange(1, 6)):
                kind = self._chance.random()
                if kind < 0.1:
                    self._read_slowly(client._socket)
                    return
                if kind < 0.3:
                    url, expected = self._chance.choice(self._questions.decoded)
                    items = client.fetch_items(url, "BINARY")
                    content = None if items is None else items.get(b"BINARY")
                else:
                    url, wanted = self._chance.choice(self._questions.plain)
                    expected, content = wanted, client.fetch_url(url)  # type: ignore[assignment]
                self._judge(content, expected)

    def _judge(self, content: object, expected: bytes | None) -> None:
        if content is None:
            self._note(REFUSED)  # right for a bad URL; for a good one a process may have been killed
        else:
            self._note(GOOD if content == expected else WRONG)

    def _read_slowly(self, connection: socket.socket) -> None:
        """A large mail in sips, and away in the middle of it."""
        connection.sendall(b'x URLFETCH "%s"\r\n' % self._questions.large)
        for _ in range(self._chance.randrange(1, 20)):
            if not connection.recv(SIP):
                break
            time.sleep(0.02)

    def _note(self, outcome: str) -> None:
        self.outcomes[outcome] += 1
        now = time.monotonic()
        if outcome == GOOD:
            self.longest_gap = max(self.longest_gap, now - self.answered_at)
            self.answered_at = now
