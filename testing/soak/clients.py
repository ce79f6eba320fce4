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
AGAIN = 0.5
"""Seconds from a failure to the next attempt."""
PATIENCE = 20.0
"""Seconds until a client gives an answer up."""
SIP = 32768
"""Bytes that a slow reader takes at once."""

GOOD, REFUSED, WRONG = "right bytes", "refused, as it should be", "WRONG BYTES"
FAILED, LOST, LEFT = "NO for a good URL", "connection lost", "left by a slow reader"


class Pace:
    """So many fetches a second of all clients together, evenly; 0 for as many as there can be."""

    def __init__(self, fetches: float) -> None:
        self._interval = 1 / fetches if fetches else 0.0
        self._next = time.monotonic()
        self._lock = threading.Lock()

    def wait(self, stopping: threading.Event) -> None:
        """Until it is this client's turn, or all is over."""
        with self._lock:
            turn = max(self._next, time.monotonic() - 1)
            self._next = turn + self._interval
        stopping.wait(max(0.0, turn - time.monotonic()))


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

    def __init__(self, dovecot: DovecotInstance, questions: Questions, pace: Pace, number: int) -> None:
        super().__init__(daemon=True)
        self._dovecot = dovecot
        self._questions = questions
        self._pace = pace
        self._chance = random.Random(number)
        self._user = USERS[number % len(USERS)]
        self.stopping = threading.Event()
        self.outcomes: Counter[str] = Counter()
        self._asked_at: float | None = None
        self.longest_gap = 0.0
        """Seconds from a question to the first right answer, over failures in between."""

    def run(self) -> None:
        while not self.stopping.is_set():
            try:
                self._session()
            except (ConnectionLost, OSError, AssertionError):
                self._note(LOST)
        self._end_gap()

    def _session(self) -> None:
        self._take_turn()
        with self._dovecot.imap(self._user, timeout=PATIENCE) as client:
            for number in range(self._chance.randrange(1, 6)):
                if number:
                    self._take_turn()
                if self.stopping.is_set():
                    return
                kind = self._chance.random()
                if kind < 0.1:
                    self._read_slowly(client._socket)
                    return self._note(LEFT)
                if kind < 0.3:
                    url, expected = self._chance.choice(self._questions.decoded)
                    items = client.fetch_items(url, "BINARY")
                    content = None if items is None else items.get(b"BINARY")
                else:
                    url, wanted = self._chance.choice(self._questions.plain)
                    expected, content = wanted, client.fetch_url(url)  # type: ignore[assignment]
                self._judge(content, expected)

    def _take_turn(self) -> None:
        """Wait for the next question's turn; who had no right answer yet asks again after a moment."""
        if self._asked_at is None:
            self._pace.wait(self.stopping)
            self._asked_at = time.monotonic()
        else:
            self.stopping.wait(AGAIN)

    def _judge(self, content: object, expected: bytes | None) -> None:
        if content == expected:
            self._note(REFUSED if content is None else GOOD)
        else:
            self._note(FAILED if content is None else WRONG)

    def _read_slowly(self, connection: socket.socket) -> None:
        """A large mail in sips, and away in the middle of it."""
        connection.sendall(b'x URLFETCH "%s"\r\n' % self._questions.large)
        for _ in range(self._chance.randrange(1, 20)):
            if not connection.recv(SIP):
                break
            time.sleep(0.02)

    def _note(self, outcome: str) -> None:
        self.outcomes[outcome] += 1
        if outcome not in (FAILED, LOST):
            self._end_gap()

    def _end_gap(self) -> None:
        if self._asked_at is not None:
            self.longest_gap = max(self.longest_gap, time.monotonic() - self._asked_at)
            self._asked_at = None
