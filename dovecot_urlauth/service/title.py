"""The process title, as ``ps`` shows it: ``dovecot/imap-urlauth [bob]`` (lib-master, verbose_proctitle)."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from dovecot_urlauth.config.settings import Settings
    from dovecot_urlauth.service.run import Start


class ProcessTitle:
    """Sets the title; with ``verbose_proctitle = no`` it stays the bare name, as Dovecot's own do."""

    __slots__ = ("_name", "_set", "_shown", "verbose")

    def __init__(self, instance_name: str, executable: str, *, verbose: bool) -> None:
        prefix = "" if instance_name.startswith("dovecot") else "dovecot-"
        self._name = f"{prefix}{instance_name}/{executable}"
        self._set = _load_setproctitle()
        self._shown: str | None = None
        self.verbose = verbose
        self.show("")

    def show(self, text: str) -> None:
        """Show ``text`` (with its brackets) behind the name."""
        title = f"{self._name} {text}" if text and self.verbose else self._name
        if title != self._shown:
            self._shown = title
            self._set(title)


def start_title(start: Start, settings: Settings) -> ProcessTitle:
    """The title object of a stage; 2.4 says in the environment what 2.3 says in the settings."""
    verbose = start.environment.verbose_proctitle
    return ProcessTitle(
        settings.get("instance_name", "dovecot"),
        start.executable,
        verbose=settings.flag("verbose_proctitle") if verbose is None else verbose,
    )


def _load_setproctitle() -> Callable[[str], object]:
    """Return the C function without the package around it, whose ``import logging`` takes 20 ms."""
    name = "setproctitle._setproctitle"
    module = sys.modules.get(name)
    if module is None:
        package = type(sys)("setproctitle")
        package.__path__ = [f"{folder}/setproctitle" for folder in sys.path if folder]
        sys.modules.setdefault("setproctitle", package)
        module = __import__(name, fromlist=["setproctitle"])
    function: Callable[[str], object] = module.setproctitle
    return function
