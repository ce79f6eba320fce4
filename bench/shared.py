"""Usage: python -m bench.shared [--version NAME] [--homes FOLDER [FOLDER]] [--settings WHICH] [--keys WHERE]

Two backends share homes and mailbox keys: what one signed, changed or took back is asked of the other, of our
worker and of Dovecot's own.  FOLDER is where the first backend, and the second if that is another mount, see the
same storage; without it a plain folder.  Nothing is mounted here.  Dovecots of a tree see folders in it only.
"""

from __future__ import annotations

import argparse
import itertools
import re
import shutil
import sys
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from bench.arena import FAILURES
from bench.asker import PATIENCE, PAUSE, Asker, seconds_until_seen
from bench.filecalls import counted
from bench.interleave import interleave
from bench.sharedtable import OURS, STOCK, Found, report
from testing.executables import install
from testing.logs import unexpected
from testing.oracle import STOCK_WORKER, WORKER, Answer
from testing.scene import DECODED, MESSAGE, SECTIONS, Scene, Stored
from testing.sharing import Keys, SharingInstance, two_backends
from testing.versions import VERSIONS, Version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")
WORKERS = {OURS: WORKER, STOCK: STOCK_WORKER}
LARGE = b"Subject: large\r\n\r\n" + (b"0123456789abcdef" * 64 + b"\r\n") * 24_000
"""25 MB."""
SERIES = 20
LINGERING = 1.3
"""Seconds in which a process of ours that served waits for the next client of the same user."""

TIMESTAMP = len("2026-11-27 10:00:00 ")
DIFFERING = re.compile(r"<[^>]*>|\d+|\S*/\S+")
"""Sessions, numbers, paths."""

SHARED = "mmap_disable = yes\nmail_fsync = always\nlock_method = dotlock\n"
FLUSHING = "mail_nfs_storage = yes\nmail_nfs_index = yes\n"
SETTINGS = {
    "plain": "",
    "nfs": SHARED,
    "nfs-flush": SHARED + FLUSHING,
    "nfs-flush-imap": SHARED + "protocol imap {\n" + FLUSHING + "}\n",
}
"""What Dovecot's manual asks for on NFS, without and with flushing of caches; locks that need no lock daemon."""


class Site:
    """Both backends, alice at the first, and an asker of each kind at either."""

    def __init__(self, backends: tuple[SharingInstance, SharingInstance], workers: list[str]) -> None:
        self.first, self.second = backends
        self.owner = Scene(self.first, patience=60.0)
        self.askers = {name: Asker(self.second, WORKERS[name]) for name in workers}
        self.home = Asker(self.first, WORKER)
        # within a session stock's worker takes an open mailbox as it was, here as on one machine
        self.watchers = {
            name: Asker(self.second, WORKERS[name], always_new=True) if name == STOCK else asker
            for name, asker in self.askers.items()
        }
        self.stored = self.owner.store()
        self.large = self.owner.sign(self.owner.store(LARGE))
        self.small = self.owner.sign(self.stored)
        self.failures = 0
        """Commands of alice's that her own imap could not carry out."""

    def patiently(self, act: Callable[[], T]) -> T:
        """What comes of it; where caches are in the way of alice's own imap, she tries again."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return act()
            except AssertionError:
                self.failures += 1
                if time.monotonic() > deadline:
                    raise
                time.sleep(PAUSE)

    def close(self) -> None:
        """End all sessions."""
        for asker in (*self.askers.values(), *self.watchers.values(), self.home):
            asker.close()
        self.owner.close()


@contextmanager
def site(version: Version, homes: list[Path], settings: str, keys: Keys, workers: list[str]) -> Iterator[Site]:
    """Start both backends, and leave nothing behind but the folder that was given."""
    folder = version.folder()
    (folder / "homes").mkdir()
    seen = [place / f"shared-{folder.name}" for place in homes] or [folder / "homes"]
    for place in seen:
        place.mkdir(exist_ok=True)
        place.chmod(0o755)
    backends = two_backends(version, install(version, folder), (seen[0], seen[-1]), keys, SETTINGS[settings])
    started: list[SharingInstance] = []
    try:
        for backend in backends:
            backend.start()
            started.append(backend)
        running = Site(backends, workers)
        try:
            yield running
        finally:
            running.close()
    finally:
        for backend in reversed(started):
            backend.stop(check=False)
        shutil.rmtree(folder)
        shutil.rmtree(seen[0], ignore_errors=True)


def compare(here: Site, found: Found) -> None:
    """The same questions of our worker at home, of ours and of Dovecot's own at the other backend."""
    expected = {here.small: MESSAGE, here.large: LARGE}
    questions = [(here.owner.sign(here.stored, section=section), (b"body",)) for section in SECTIONS]
    questions += [(here.owner.sign(here.stored, section=section), (b"binary",)) for section in DECODED]
    questions += [
        (here.small, (b"bpstruct",)),
        (here.small, (b"body",)),
        (here.owner.sign(here.stored, partial="7.100"), (b"body",)),
    ]
    questions += [(here.large, (b"body",)), (here.owner.sign(here.stored, section="9"), (b"body",))]
    for url, flags in questions:
        home = here.home.fetch(url, *flags)
        found.asked += 1
        for name, asker in here.askers.items():
            if _said(asker.fetch(url, *flags)) != _said(home):
                found.unequal.append(f"{name}: {url.decode()} {flags[0].decode()}")
        if flags == (b"body",) and home.content != expected.get(url, home.content):
            found.unequal.append(f"the first backend itself: {url.decode()}")


def _said(answer: Answer) -> tuple[bool, list[bytes], bytes]:
    """What has to be equal: stock's OK of nothing is a NO of ours, and says of NULs what may not be so."""
    words = [word for word in answer.words if word != b"hasnuls"]
    is_there = answer.ok and (answer.content != b"" or len(words) > 1)
    return is_there, words if is_there else [], answer.content


def watch(here: Site, found: Found, rounds: int) -> None:
    """Mail that comes and goes at the first backend, and keys that are taken back; one warm worker at a time."""
    alice = here.owner.user("alice")
    alice.command(b"SELECT INBOX")

    def note(change: str, name: str, url: bytes, is_right: Callable[[Answer], bool]) -> None:
        seconds = seconds_until_seen(here.watchers[name], url, is_right)
        found.delays.setdefault(change, {}).setdefault(name, []).append(seconds)

    for name in itertools.islice(itertools.cycle(here.watchers), rounds * len(here.watchers)):
        here.watchers[name].fetch(here.small)
        added = here.patiently(here.owner.store)
        url = here.patiently(partial(here.owner.sign, added))
        note("new mail", name, url, _is_whole)
        alice.command(rb"UID STORE %d +FLAGS.SILENT (\Deleted)" % added.uid)
        alice.command(b"UID EXPUNGE %d" % added.uid)
        note("expunged mail", name, url, _is_refused)
        here.watchers[name].fetch(here.small)
        alice.resetkey("INBOX")
        note("key reset", name, here.small, _is_refused)
        here.small = here.patiently(partial(here.owner.sign, here.stored))
        note("URL signed anew", name, here.small, _is_whole)


def _is_refused(answer: Answer) -> bool:
    return not answer.ok


def _is_whole(answer: Answer) -> bool:
    return answer.content == MESSAGE


def price(here: Site, found: Found, runs: int) -> None:
    """Seconds of a fetch in a fresh session with a worker, of a further one, and of 25 MB; in turns."""
    large = here.owner.sign(Stored("alice", "INBOX", here.stored.uidvalidity, here.stored.uid + 1))
    rows: dict[str, Callable[[Asker], float]] = {
        "first fetch": lambda asker: _first(asker, here.small),
        "repeated fetch": lambda asker: _repeated(asker, here.small),
        "25 MB": lambda asker: _seconds(asker, large),
    }
    for name, take in rows.items():
        samplers = {who: _bound(take, asker) for who, asker in here.askers.items()}
        samples = interleave(samplers, runs, 60.0, FAILURES)
        found.prices[name] = samples.taken


def _bound(take: Callable[[Asker], float], asker: Asker) -> Callable[[], float]:
    return lambda: take(asker)


def _first(asker: Asker, url: bytes) -> float:
    asker.close()
    time.sleep(LINGERING)
    return _seconds(asker, url)


def _repeated(asker: Asker, url: bytes) -> float:
    asker.fetch(url)
    return sum(_seconds(asker, url) for _ in range(SERIES)) / SERIES


def _seconds(asker: Asker, url: bytes) -> float:
    began = time.perf_counter()
    answer = asker.fetch(url)
    if not answer.ok:
        raise ValueError(f"{url!r}: {answer.words!r}")
    return time.perf_counter() - began


def count(here: Site, found: Found) -> None:
    """The file operations of a first and of a repeated fetch."""
    folder = str("/" / here.second.homes.relative_to(here.second.version.root))
    for name, asker in here.askers.items():
        for warm in (False, True):
            asker.close()
            time.sleep(LINGERING)
            if warm:
                asker.fetch(here.small)
            pids = [process.pid for process in here.second.processes()]
            label = f"{name}, {'repeated' if warm else 'first'}"
            found.calls[label] = counted(pids, folder, _fetching(asker, here.small))


def _fetching(asker: Asker, url: bytes) -> Callable[[], Answer]:
    return lambda: asker.fetch(url)


def read_logs(here: Site, found: Found) -> None:
    """What either backend had to say that an administrator should know."""
    if here.failures:
        found.logged["commands of alice's own imap that failed"] = here.failures
    for name, backend in (("first", here.first), ("second", here.second)):
        for line in unexpected(backend.log.lines()):
            found.logged[f"{name}: {DIFFERING.sub('...', line[TIMESTAMP:])}"] += 1


def main(words: list[str] | None = None) -> int:
    """Start, compare, watch, measure, count, print; the exit status is 1 if it ended early or answers differ."""
    parser = argparse.ArgumentParser(prog="python -m bench.shared", description="Two backends, the same homes.")
    parser.add_argument("--version", choices=VERSIONS, default="bookworm")
    parser.add_argument("--homes", type=Path, nargs="+", default=[], help="the storage, as either backend sees it")
    parser.add_argument("--settings", choices=SETTINGS, default="nfs")
    parser.add_argument("--keys", choices=[keys.value for keys in Keys], default=Keys.SERVICE.value)
    parser.add_argument("--workers", choices=WORKERS, nargs="+", default=list(WORKERS), help="who is asked")
    parser.add_argument("--rounds", type=int, default=10, help="changes of each kind")
    parser.add_argument("--runs", type=int, default=10, help="samples of each worker")
    options = parser.parse_args(words)
    found = Found()
    version, keys = VERSIONS[options.version], Keys(options.keys)
    with site(version, options.homes, options.settings, keys, options.workers) as here:
        try:
            for step in (compare, partial(watch, rounds=options.rounds), partial(price, runs=options.runs), count):
                step(here, found)
        except FAILURES as error:
            found.stopped = f"{type(error).__name__}: {error}"
        read_logs(here, found)
    print(report(found))
    return bool(found.unequal or found.stopped)


if __name__ == "__main__":
    sys.exit(main())
