"""The Dovecots that the tests run against, and the ways stock and our executables can be combined in one."""

from __future__ import annotations

import itertools
import tempfile
from dataclasses import dataclass
from pathlib import Path

from testing import trees

#: The three executables, in the order in which a request meets them.
PIECES = ("imap-urlauth-login", "imap-urlauth", "imap-urlauth-worker")


@dataclass(frozen=True)
class Version:
    """One Dovecot: the machine's own (no suite) or the one in a tree."""

    name: str
    dovecot: str
    suite: str | None = None

    @property
    def language(self) -> str:
        """The configuration language, `2.3` or `2.4`."""
        return self.dovecot[:3]

    @property
    def root(self) -> Path:
        """The folder that this Dovecot sees as its root; a tree is made if it is missing."""
        return trees.tree(self.suite) if self.suite else Path("/")

    def folder(self) -> Path:
        """A new folder that this Dovecot sees; the path is the one outside."""
        made = Path(tempfile.mkdtemp(prefix="du-", dir=self.root / "tmp"))
        made.chmod(0o755)
        return made

    def command(self, *words: str | Path) -> list[str]:
        """An argument vector that runs `words` where this Dovecot lives."""
        entered = ["chroot", str(self.root)] if self.suite else []
        return entered + [str(word) for word in words]


VERSIONS = {
    version.name: version
    for version in (
        Version("bookworm", "2.3.19.1"),
        Version("trixie", "2.4.1", "trixie"),
        Version("sid", "2.4.5", "sid"),
    )
}


@dataclass(frozen=True)
class Combination:
    """Which of the three executables are ours; `tuned` also takes the service limits that conf.d sets."""

    login: bool
    urlauth: bool
    worker: bool
    tuned: bool = False

    @property
    def all_ours(self) -> bool:
        return self.login and self.urlauth and self.worker

    @property
    def name(self) -> str:
        words = ["ours" if piece else "stock" for piece in (self.login, self.urlauth, self.worker)]
        return "tuned" if self.tuned else "-".join(words)

    def ours(self) -> list[str]:
        """The names of the executables that are ours."""
        return [name for name, piece in zip(PIECES, (self.login, self.urlauth, self.worker)) if piece]


ALL_OURS = Combination(True, True, True)
TUNED = Combination(True, True, True, tuned=True)
ALL_STOCK = Combination(False, False, False)

#: All ours first, so that the rows that matter are seen first.
_EACH = [Combination(*pieces) for pieces in itertools.product((True, False), repeat=3)]
COMBINATIONS = {combination.name: combination for combination in (TUNED, *_EACH)}
