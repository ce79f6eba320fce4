"""`python -m testing.timing`: can the time of a refusal tell why?  A table of each pair of reasons.

The number is the chance to tell two refusals apart by guessing that the longer one is of the second kind (the area
under the ROC curve): 0.5 is a coin, 1 or 0 is certainty.  The questions take turns, so that a busy machine is busy
for all of them.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from bisect import bisect_left, bisect_right
from statistics import median

from testing import executables
from testing.instance import HOST, DovecotInstance
from testing.oracle import WorkerSession
from testing.scene import Scene
from testing.versions import TUNED, VERSIONS

WRONG_TOKEN, NO_MAILBOX, NO_KEY, BAD_NAME, NO_USER = (
    "wrong token",
    "no such mailbox",
    "mailbox without key",
    "name that none can have",
    "no such user",
)


def area(one: list[float], other: list[float]) -> float:
    """The chance that a time of `other` is above one of `one`, ties counted half."""
    ordered = sorted(one)
    below = sum(bisect_left(ordered, value) + bisect_right(ordered, value) for value in other)
    return below / 2 / len(one) / len(other)


def measure(dovecot: DovecotInstance, rounds: int) -> dict[str, list[float]]:
    """Seconds of each refusal, by its reason."""
    with Scene(dovecot) as scene:
        good = scene.sign(scene.store(), access="user+bob")
        scene.create("Keyless")
    wrong = good[:-8] + b"00000000"
    urls = {
        WRONG_TOKEN: wrong,
        NO_MAILBOX: wrong.replace(b"/INBOX", b"/Nowhere"),
        NO_KEY: wrong.replace(b"/INBOX", b"/Keyless"),
        BAD_NAME: wrong.replace(b"/INBOX", b"/a..b"),
        NO_USER: wrong.replace(b"//alice@", b"//nobody@"),
    }
    times: dict[str, list[float]] = {reason: [] for reason in urls}
    with WorkerSession(dovecot) as alice, WorkerSession(dovecot) as nobody:
        for session, user in ((alice, b"alice"), (nobody, b"nobody")):
            session.access(b"bob")
            assert session.select(user) == b"OK\n"
        for number in range(rounds + 10):
            for reason, url in urls.items():
                session = nobody if reason == NO_USER else alice
                began = time.perf_counter()
                answer = session.fetch(url)
                took = time.perf_counter() - began
                assert answer.words == (b"NO",), (reason, answer, HOST)
                if number >= 10:
                    times[reason].append(took)
    return times


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m testing.timing", description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--version", choices=list(VERSIONS), default="bookworm")
    options = parser.parse_args(arguments)
    version = VERSIONS[options.version]
    installation = executables.install(version, version.folder())
    dovecot = DovecotInstance(version, TUNED, installation).start()
    try:
        times = measure(dovecot, options.rounds)
    finally:
        dovecot.stop()
        shutil.rmtree(installation.outside.parent)
    for reason, values in times.items():
        others = "  ".join(f"{area(values, other):.2f}" for other in times.values())
        print(f"{reason:24} {median(values) * 1000:6.3f} ms  {others}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
