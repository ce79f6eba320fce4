"""The Dovecots that the tests run against, and the ways stock and our executables can be combined in one."""

from __future__ import annotations

import itertools
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from testing import built, trees

#: The three executables, in the order in which a request meets them.
PIECES = ("imap-urlauth-login", "imap-urlauth", "imap-urlauth-worker")


NEWEST = (9999,)
"""The number of a Dovecot that was built from git: it names itself by a commit, and counts as newest."""


@dataclass(frozen=True)
class Version:
    """One Dovecot: the machine's own, a suite's in a tree, or one that somebody built, in a tree too."""

    name: str
    dovecot: str
    suite: str | None = None
    installed: Path | None = None
    """The folder that holds what was built."""

    @property
    def number(self) -> tuple[int, ...]:
        """What it is compared by."""
        released = self.dovecot.partition("-")[0]
        return tuple(int(part) for part in released.split(".")) if released != "0.0.0" else NEWEST

    @property
    def language(self) -> str:
        """The configuration language, `2.3` or `2.4`."""
        return "2.3" if self.number < (2, 4) else "2.4"

    @property
    def heading(self) -> str:
        """What a configuration in 2.4's language has to begin with; nothing in 2.3's."""
        if self.language == "2.3":
            return ""
        config, storage = ("0.0.0", "9999") if self.number == NEWEST else (self.dovecot, self.dovecot)
        return f"dovecot_config_version = {config}\ndovecot_storage_version = {storage}\n"

    @property
    def root(self) -> Path:
        """The folder that this Dovecot sees as its root; a tree is made if it is missing."""
        if self.installed:
            return built.tree(self.installed)
        return trees.tree(self.suite) if self.suite else Path("/")

    def folder(self) -> Path:
        """A new folder that this Dovecot sees; the path is the one outside."""
        made = Path(tempfile.mkdtemp(prefix="du-", dir=self.root / "tmp"))
        made.chmod(0o755)
        return made

    def command(self, *words: str | Path) -> list[str]:
        """An argument vector that runs `words` where this Dovecot lives."""
        entered = [] if self.root == Path("/") else ["chroot", str(self.root)]
        return entered + [str(word) for word in words]


WANTED = os.environ.get("DOVECOT_URLAUTH_VERSIONS", "").split()
"""The names of those to use; empty for the usual ones."""
BUILT = os.environ.get("DOVECOT_URLAUTH_NEXT", "")
"""The folder of one that somebody built, `next`; empty if there is none."""

USUAL = (
    Version("bookworm", "2.3.19.1"),
    Version("trixie", "2.4.1", "trixie"),
    Version("sid", "2.4.5", "sid"),
)
UNUSUAL = (Version("bullseye", "2.3.13", "bullseye"),)
"""Only if they are named."""


def _versions() -> dict[str, Version]:
    versions = [*USUAL, *(version for version in UNUSUAL if version.name in WANTED)]
    if BUILT:
        versions.append(Version("next", built.version(Path(BUILT)), installed=Path(BUILT)))
    return {version.name: version for version in versions}


VERSIONS = _versions()
CHOSEN = [version for version in VERSIONS.values() if not WANTED or version.name in WANTED]
"""Those that tests are to run on."""


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
