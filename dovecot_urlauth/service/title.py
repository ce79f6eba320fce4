"""The process title, as ``ps`` shows it: ``dovecot/imap-urlauth [bob]`` (lib-master, verbose_proctitle)."""

from __future__ import annotations

import os
import sys

from dovecot_urlauth.wire.readable import readable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from dovecot_urlauth.service.run import Start

    class TitleSettings(Protocol):
        """Of the settings, what a title asks for."""

        def get(self, name: str, default: str = "") -> str: ...

        def flag(self, name: str) -> bool: ...


class ProcessTitle:
    """Sets the title; with ``verbose_proctitle = no`` it stays the bare name, as Dovecot's own do."""

    __slots__ = ("_name", "_set", "_shown", "verbose")

    def __init__(
        self, instance_name: str, executable: str, set_title: Callable[[str], object], *, verbose: bool
    ) -> None:
        prefix = "" if instance_name.startswith("dovecot") else "dovecot-"
        self._name = f"{prefix}{instance_name}/{executable}"
        self._set = set_title
        self._shown: str | None = None
        self.verbose = verbose
        self.show("")

    def show(self, text: str) -> None:
        """Show ``text`` (with its brackets) behind the name, whatever it holds made readable."""
        title = readable(f"{self._name} {text}" if text and self.verbose else self._name)
        if title != self._shown:
            self._shown = title
            self._set(title)


def start_title(start: Start, settings: TitleSettings) -> ProcessTitle:
    """The title object of a stage; 2.4 says in the environment what 2.3 says in the settings.

    A service whose title cannot be set serves all the same, after one warning.
    """
    verbose = start.environment.verbose_proctitle
    try:
        set_title = load_setproctitle()
    except ImportError as error:
        start.log.warning(f"Process titles are not set: {why_not_loaded(error)}")
        set_title = _set_nothing
    return ProcessTitle(
        settings.get("instance_name", "dovecot"),
        start.executable,
        set_title,
        verbose=settings.flag("verbose_proctitle") if verbose is None else verbose,
    )


def load_setproctitle() -> Callable[[str], object]:
    """The C function without the package around it, whose ``import logging`` takes 20 ms. Raises ImportError."""
    name = "setproctitle._setproctitle"
    module = sys.modules.get(name)
    if module is None:
        package = type(sys)("setproctitle")
        package.__path__ = [f"{folder}/setproctitle" for folder in sys.path if folder]
        sys.modules.setdefault("setproctitle", package)
        module = __import__(name, fromlist=["setproctitle"])
    function: Callable[[str], object] = module.setproctitle
    return function


def why_not_loaded(error: ImportError) -> str:
    """What the administrator can do about setproctitle."""
    ours = f"{sys.version_info.major}.{sys.version_info.minor}"
    for folder in sys.path:
        try:
            names = os.listdir(f"{folder}/setproctitle")
        except PermissionError:
            return f"uid {os.geteuid()} cannot read the folder {_first_closed(f'{folder}/setproctitle')}"
        except OSError:
            continue
        versions = {version for name in names if (version := _version_of(name))}
        if versions and ours not in versions:
            built = ", ".join(sorted(versions))
            return f"setproctitle is installed for Python {built}, this is {ours}: run make install again"
    return str(error)


def _version_of(name: str) -> str:
    """The Python that a file like ``_setproctitle.cpython-311-x86_64-linux-gnu.so`` is for, or nothing."""
    _, _, tag = name.partition(".cpython-")
    digits = tag.partition("-")[0]
    return f"{digits[0]}.{digits[1:]}" if name.startswith("_setproctitle.") and digits.isdigit() else ""


def _first_closed(path: str) -> str:
    """The outermost folder on the way to ``path`` that this user may not read or pass."""
    parts = path.split("/")
    for count in range(2, len(parts) + 1):
        folder = "/".join(parts[:count])
        if not os.access(folder, os.R_OK | os.X_OK, effective_ids=True):
            return folder
    return path


def _set_nothing(title: str) -> None:
    """Stands in for the library."""
