"""One Dovecot version's instances, their mail, and the rows measured on them."""

from __future__ import annotations

import shutil
import sys
from contextlib import ExitStack, nullcontext
from typing import TYPE_CHECKING

from bench.client import FetchFailed, plain
from bench.interleave import Samples, interleave
from bench.mail import MAILBOXES, fill, sign, store
from bench.onecpu import one_cpu
from bench.samplers import Target
from bench.sides import Kind, Side, kinds
from bench.stores import UIDS
from testing.executables import install
from testing.imapclient import ConnectionLost

if TYPE_CHECKING:
    from bench.rows import Row
    from testing.versions import Combination, Version

#: What a side may do without ending the whole run.
FAILURES = (FetchFailed, ConnectionLost, OSError, AssertionError, ValueError)


FILLED_BY = "stock"
"""The side whose imap stores mail and signs URLs: its users have the plugins that they need, and no others."""


class Arena:
    """The instances of one version; a context manager that leaves nothing behind."""

    def __init__(self, version: Version, runs: int, seconds: float) -> None:
        self.version = version
        self._runs = runs
        self._seconds = seconds
        self._kinds = kinds(version.language)
        self._sides: dict[str, Side] = {}
        self._targets: dict[str, Target] = {}
        self.folder = version.folder()
        self._homes = self.folder / "homes"
        self._homes.mkdir()
        self.folder.chmod(0o755)
        self.ours = install(version, self.folder)

    def __enter__(self) -> Arena:
        return self

    def __exit__(self, *_: object) -> None:
        for side in self._sides.values():
            side.stop()
        shutil.rmtree(self.folder)

    def measure(self, row: Row) -> Samples:
        """All samples of one row; a side that fails says why and does not stop the others."""
        try:
            sides = [self.side(name) for name in row.sides()]
            targets = {key: self.target(key) for key in row.targets}
        except FAILURES as error:
            return Samples(failed={name: f"{type(error).__name__}: {error}"[:300] for name in row.sides()})
        broken: dict[str, Exception] = {}
        with one_cpu(sides) if row.warm else nullcontext(), ExitStack() as stack:
            samplers = {}
            for side in sides:
                try:
                    samplers[side.name] = stack.enter_context(row.open(side, targets))
                except FAILURES as error:
                    broken[side.name] = error
            samples = interleave(samplers, min(self._runs, row.most_runs), self._seconds, FAILURES)
        for name, failure in broken.items():
            samples.fail(name, failure)
        for name in samples.failed:
            self._sides.pop(name).stop()
        return samples

    def add_side(self, name: str, combination: Combination, added: str) -> Side:
        """A side that no row compares, with `added` in its configuration."""
        return self._start(Kind(name, combination, added=added))

    def fetch_once(self, side: Side) -> None:
        """One fetch in a session of its own."""
        target = self.target("small")
        with side.session() as bob:
            bob.timed(plain(target.url), target.size)
        side.settle()

    def side(self, name: str) -> Side:
        """The side of this name, which is started when it is first asked for."""
        return self._sides.get(name) or self._start(self._kinds[name])

    def _start(self, kind: Kind) -> Side:
        """Start a side, and with one fetch whatever it keeps running afterwards."""
        self._sides[kind.name] = side = Side(kind, self.version, self.ours, self._homes)
        self.fetch_once(side)
        side.remember_idle()
        return side

    def target(self, key: str) -> Target:
        """The mailbox's signed URL; the mailbox is made when it is first asked for."""
        if key not in self._targets:
            mailbox = MAILBOXES[key]
            if mailbox.owner not in UIDS:
                store(mailbox, self._homes)
            with self.side(FILLED_BY).session(mailbox.owner) as owner:
                if mailbox.owner in UIDS:
                    fill(mailbox, owner)
                self._targets[key] = Target(mailbox, *sign(mailbox, owner))
        return self._targets[key]


def say(text: str) -> None:
    """Progress, apart from the table."""
    print(text, file=sys.stderr, flush=True)
