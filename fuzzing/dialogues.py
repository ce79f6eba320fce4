"""`python -m fuzzing.dialogues [--seconds N]`: mutated dialogues over the three sockets of a real Dovecot.

Each begins as a valid one, descriptors included, and is then cut, repeated, exchanged, flipped, and given
descriptors that it has none for.  What must hold: no Fatal, no Panic and no exception in the log; a good client
beside it is served in time; afterwards no process holds more descriptors than before, and none is left.  As root.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import socket
import struct
import sys
import time
from collections import Counter
from contextlib import suppress

from testing import executables
from testing.instance import USERS, DovecotInstance
from testing.logs import INTERNAL
from testing.oracle import VERSION_LINE
from testing.processes import wait_for
from testing.scene import MESSAGE, Scene
from testing.versions import PIECES, TUNED, VERSIONS

FORBIDDEN = re.compile(r"imap-urlauth[\w-]*(?:\(\d+\))?: (?:Fatal|Panic)|killed with signal")
PROMPT = 2.0
"""Seconds for a good client."""
EACH = 20
"""Dialogues between two good clients."""
BRIEF = 0.02
"""Seconds that an answer is waited for."""
SURPLUS = 4
"""Descriptors that an idle process may have more than at first: connections that are kept."""

Piece = tuple[bytes, int]
"""Bytes, and how many descriptors go with them."""


def dialogues(language: str, url: bytes) -> dict[str, list[Piece]]:
    """A valid dialogue for each socket below base_dir."""
    opening: list[Piece] = [(b"0", 1), (VERSION_LINE, 0)]
    if language == "2.4":
        opening.reverse()
    size = 104 if language == "2.4" else 96
    head = struct.pack("=IiIi16s", 1, 1, 1, os.getpid(), bytes(16)).ljust(size - 16, b"\0") + struct.pack(
        "=Q8x", 0
    )
    return {
        "imap-urlauth": [
            (b"VERSION\timap-urlauth\t2\t0\n", 0),
            (b"AUTH\timap\t%d\tbob\tsession\t%s\n" % (os.getpid(), b"0" * 40), 0),
            (b"USER\talice\nURL\t%s\n" % url, 0),
        ],
        "token-login/imap-urlauth": [(head, 1), (b"session\0", 0)],
        "imap-urlauth-worker": [*opening, (b"ACCESS\tbob\timap\tdebug\tapps=submit+\n", 0)],
    }


def client_side(url: bytes) -> list[Piece]:
    """What a worker's client says."""
    return [
        (b"USER\talice\n", 0),
        (b"URL\t%s\tbpstruct\tbinary\n" % url, 0),
        (b"URL\t%s\n" % url, 0),
        (b"END\n", 0),
    ]


def mutated(pieces: list[Piece], chance: random.Random) -> list[Piece]:
    """The dialogue with some of its pieces changed."""
    changed = list(pieces)
    for _ in range(chance.choice((0, 1, 1, 2, 4))):
        place = chance.randrange(len(changed))
        data, descriptors = changed[place]
        kind = chance.randrange(9)
        if kind == 0:
            data = data[: chance.randrange(len(data) + 1)]
        elif kind == 1 and data:
            at = chance.randrange(len(data))
            data = data[:at] + bytes((chance.randrange(256),)) + data[at + 1 :]
        elif kind == 2:
            at = chance.randrange(len(data) + 1)
            data = (
                data[:at]
                + chance.choice((b"\0", b"\t", b"\n", b"\x01", b"\xff", b"\r\n", b"A" * 3000))
                + data[at:]
            )
        elif kind == 3:
            changed.insert(place, changed[chance.randrange(len(changed))])
            continue
        elif kind == 4:
            changed.pop(place)
            if not changed:
                return [(b"", 0)]
            continue
        elif kind == 5:
            descriptors = chance.choice((0, 1, 2, 10, 250))
        elif kind == 6:
            chance.shuffle(changed)
            continue
        elif kind == 7:
            data = data.replace(b"\t", b"\t\t", 1) if chance.random() < 0.5 else data.replace(b"\t", b"", 1)
        else:
            data *= chance.choice((2, 3))
        changed[place] = (data, descriptors)
    return changed


class Speaker:
    """Holds one mutated dialogue; its descriptors close with it."""

    def __init__(self, dovecot: DovecotInstance, chance: random.Random) -> None:
        self._dovecot = dovecot
        self._chance = chance
        self._opened: list[int] = []

    def speak(self, name: str, pieces: list[Piece], client: list[Piece]) -> None:
        ours, theirs = socket.socketpair()
        self._opened += [theirs.detach()]
        with ours, self._dovecot.connect(name) as connection:
            for speaking, said in ((connection, pieces), (ours, client)):
                speaking.settimeout(BRIEF)
                with suppress(OSError):
                    self._say(speaking, said)
        for fd in self._opened:
            os.close(fd)
        self._opened.clear()

    def _say(self, connection: socket.socket, pieces: list[Piece]) -> None:
        for data, count in pieces:
            if count:
                socket.send_fds(connection, [data or b"0"], [self._descriptor(place) for place in range(count)])
            elif data:
                connection.sendall(data)
            if self._chance.random() < 0.7:
                with suppress(TimeoutError):
                    connection.recv(65536)
        if self._chance.random() < 0.3:
            connection.shutdown(socket.SHUT_WR)
            with suppress(TimeoutError):
                connection.recv(65536)

    def _descriptor(self, place: int) -> int:
        """The client's socket, mostly; else whatever there is."""
        if place == 0 and self._chance.random() < 0.8:
            return self._opened[0]
        kind = self._chance.randrange(4)
        if kind == 0:
            read, write = os.pipe()
            self._opened += [read, write]
            return read
        if kind == 1:
            self._opened.append(os.open("/dev/null", os.O_RDWR))
        elif kind == 2:
            self._opened.append(socket.socket().detach())
        else:
            self._opened.append(os.open(self._dovecot.folder, os.O_RDONLY))
        return self._opened[-1]


class Campaign:
    """One Dovecot, and what was seen of it."""

    def __init__(self, dovecot: DovecotInstance, seed: int) -> None:
        self._dovecot = dovecot
        self._chance = random.Random(seed)
        self._speaker = Speaker(dovecot, self._chance)
        self.counts: Counter[str] = Counter()
        self.slowest = 0.0
        self.broken: list[str] = []

    def run(self, seconds: float) -> None:
        scene = Scene(self._dovecot)
        url = scene.sign(scene.store(), access="user+bob")
        valid = dialogues(self._dovecot.version.language, url)
        self._good_client(url)
        before = self._descriptors()
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not self.broken:
            for _ in range(EACH):
                name = self._chance.choice(list(valid))
                client = mutated(client_side(url), self._chance)
                with suppress(BlockingIOError):
                    self._speaker.speak(name, mutated(valid[name], self._chance), client)
                self.counts[name] += 1
            self._good_client(url)
            self._read_log()
        scene.close()
        if not wait_for(lambda: self._is_quiet(before), 15, 0.2):
            self.broken.append(f"descriptors before and behind it: {before}, {self._descriptors()}")

    def _good_client(self, url: bytes) -> None:
        began = time.monotonic()
        with self._dovecot.imap("bob", timeout=30) as client:
            began = time.monotonic()
            if client.fetch_url(url) != MESSAGE:
                self.broken.append("a good client got something else")
        self.slowest = max(self.slowest, time.monotonic() - began)

    def _read_log(self) -> None:
        lines = self._dovecot.log.take()
        self.broken += [line for line in lines if FORBIDDEN.search(line) or INTERNAL.search(line)]

    def _descriptors(self) -> dict[str, int]:
        """By executable, of all its processes that belong to nobody's mail."""
        counts: Counter[str] = Counter()
        for name in PIECES:
            for process in self._dovecot.processes(name):
                if not set(USERS.values()) & set(process.uids):
                    with suppress(OSError):
                        counts[name] = max(counts[name], len(os.listdir(f"/proc/{process.pid}/fd")))
        return dict(counts)

    def _is_quiet(self, before: dict[str, int]) -> bool:
        now = self._descriptors()
        serving = [process for process in self._dovecot.processes() if "->" in process.title]
        return not serving and all(now.get(name, 0) <= count + SURPLUS for name, count in before.items())


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m fuzzing.dialogues", description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--version", choices=list(VERSIONS), default="bookworm")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args(arguments)
    version = VERSIONS[options.version]
    installation = executables.install(version, version.folder())
    dovecot = DovecotInstance(version, TUNED, installation)
    dovecot.start()
    campaign = Campaign(dovecot, options.seed)
    try:
        campaign.run(options.seconds)
    finally:
        dovecot.stop()
        shutil.rmtree(installation.outside.parent)
    print(f"{version.name}, seed {options.seed}: ", end="")
    print(", ".join(f"{count} to {name}" for name, count in campaign.counts.items()), end="; ")
    print(f"the slowest good client took {campaign.slowest:.2f} s")
    for line in campaign.broken:
        print(line)
    return 1 if campaign.broken or campaign.slowest > PROMPT else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
