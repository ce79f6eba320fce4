"""A Dovecot beside an installation of ours, and ways to harm either for a while."""

from __future__ import annotations

import subprocess
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from testing.imapclient import ConnectionLost
from testing.instance import HOST
from testing.scene import MESSAGE, Scene

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from testing.executables import Installation
    from testing.instance import DovecotInstance


DICT_FILE = "dict file {\n    path = %{home}/dovecot-attributes\n"
"""As testing/configs/2.4.conf has it."""


@dataclass
class Place:
    """A Dovecot that is written, and perhaps started, and the installation that it is to run."""

    dovecot: DovecotInstance
    ours: Installation

    @property
    def programs(self) -> Path:
        return self.ours.outside / "libexec/dovecot-urlauth"

    @property
    def library(self) -> Path:
        return self.ours.outside / "lib/dovecot-urlauth"

    @property
    def bundle(self) -> Path:
        (found,) = (self.library / "dovecot_urlauth/__pycache__").glob("bundle.*")
        return found

    def run(self, command: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run the installed `dovecot-urlauth` where Dovecot lives."""
        line: list[str | Path] = [self.ours.prefix / "bin/dovecot-urlauth", command]
        line += ["-c", self.dovecot.inside / "dovecot.conf", *words]
        done = subprocess.run(
            self.dovecot.version.command(*line), capture_output=True, text=True, timeout=120, check=False
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def fetches(self, port: str, patience: float) -> bool:
        """Whether bob and carol get the messages that alice stores and signs URLs of, over IMAP as clients do."""
        try:
            with Scene(self.dovecot, patience) as scene:
                for reader in ("bob", "carol"):
                    url = scene.sign(scene.store(), f"user+{reader}", host=f"{HOST}{port}")
                    if scene.user(reader).fetch_url(url) != MESSAGE:
                        return False
                return True
        except (AssertionError, ConnectionLost, OSError):
            return False


@contextmanager
def mode(path: Path, bits: int) -> Iterator[None]:
    """`path` has this mode for a while."""
    old = path.stat().st_mode & 0o7777
    path.chmod(bits)
    try:
        yield
    finally:
        path.chmod(old)


@contextmanager
def moved(*paths: Path) -> Iterator[None]:
    """The files are not there for a while."""
    for path in paths:
        path.rename(path.with_name(f"{path.name}.aside"))
    try:
        yield
    finally:
        for path in paths:
            path.with_name(f"{path.name}.aside").rename(path)


@contextmanager
def rewritten(path: Path, old: str, new: str) -> Iterator[None]:
    """`path` says something else for a while."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    try:
        yield
    finally:
        if path.parent.is_dir():  # a stopped Dovecot takes its folder along
            path.write_text(text)


def keys_of_root(place: Place) -> AbstractContextManager[None]:
    """Everybody's dictionary belongs to root, and nobody else may read it."""
    for user in place.dovecot.users:
        (place.dovecot.home(user) / "dovecot-attributes").touch(0o600)
    return nullcontext()


@contextmanager
def without_homes(place: Place) -> Iterator[None]:
    """The userdb gives nobody a home."""
    path = place.dovecot.folder / "users"
    lines = [line.split(":") for line in path.read_text().splitlines()]
    path.write_text("".join(":".join([*line[:5], "", *line[6:]]) + "\n" for line in lines))
    yield


def with_dictionary(driver: str, setting: str) -> Callable[[Place], AbstractContextManager[None]]:
    """2.4: another dictionary instead of the file, for Dovecot takes no two; 2.3 is told by one more line."""

    def harm(place: Place) -> AbstractContextManager[None]:
        if place.dovecot.version.language == "2.3":
            return nullcontext()
        new = f"dict {driver} {{\n    {setting}\n"
        return rewritten(place.dovecot.folder / "dovecot.conf", DICT_FILE, new)

    return harm


@contextmanager
def closed_base_dir(place: Place) -> Iterator[None]:
    """The way to Dovecot's sockets is closed to users."""
    (place.dovecot.folder / "closed").mkdir(mode=0o700)
    yield


@contextmanager
def for_another_python(place: Place) -> Iterator[None]:
    """As if all had been installed for Python 3.9: byte code and machine code are of no use."""
    (title,) = (place.library / "setproctitle").glob("_setproctitle.cpython-*.so")
    other = title.with_name("_setproctitle.cpython-39-x86_64-linux-gnu.so")
    title.rename(other)
    try:
        with moved(place.bundle):
            yield
    finally:
        other.rename(title)


@contextmanager
def damaged(place: Place, file: str) -> Iterator[None]:
    """A file of the library cannot be parsed, and there is no bundle."""
    path = place.library / "dovecot_urlauth" / file
    with moved(place.bundle, path.parent / "__pycache__"), rewritten(path, "import", "impotr"):
        yield
