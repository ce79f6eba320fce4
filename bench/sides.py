"""The contestants: instances of one Dovecot that differ in nothing but the three services."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.client import FetchClient
from bench.footprint import services_below
from bench.stores import DICT_SERVICE, LOADED, UIDS, fields
from testing.backends import MASTER, PROXY, asking, masters
from testing.instance import PASSWORD, DovecotInstance
from testing.versions import ALL_OURS, ALL_STOCK, TUNED, Combination

if TYPE_CHECKING:
    from pathlib import Path

    from testing.executables import Installation
    from testing.versions import Version

PATIENCE = 30.0
"""Seconds that any answer may take."""

SETTLE_SECONDS = 3.0
"""Longer than any process of ours lingers without a client: a first fetch finds none that is warm."""

STILL_SECONDS = 0.15
"""A side is as it was when nobody asked for anything if it stays so for this long: right behind a session the
process that served it is there, and the one that will wait for the next is not."""

#: Dovecot's default, which the tests' configuration overrides
COMMON = "verbose_proctitle = no\n"

READER = "bob"

UNLIMITED = {"2.3": "service_count = 0", "2.4": "restart_request_count = unlimited"}


@dataclass(frozen=True)
class Kind:
    """One way to run the three services."""

    name: str
    combination: Combination
    raised_limits: bool = False
    engine: bool = False
    plugins: bool = False
    backend: bool = False
    """Whether all mail but the reader's is on another backend, which is asked for it."""
    added: str = ""

    def configuration(self, language: str, ours: Installation) -> str:
        """What it adds to the configuration."""
        added = COMMON + self.added
        if self.raised_limits:
            for service in ("imap-urlauth-login", "imap-urlauth"):
                added += f"service {service} {{\n  {UNLIMITED[language]}\n  client_limit = 1000\n}}\n"
        if self.plugins:
            added += LOADED[language]
        if self.engine:
            worker = f"{ours.executables}/imap-urlauth-worker --store=dovecot"
            added += f"service imap-urlauth-worker {{\n  executable = {worker}\n}}\n"
        return added


#: 2.3's stock login dies of every request, so that there only ours can stand in front of stock's other two
_STOCK = {"2.3": Combination(True, False, False), "2.4": ALL_STOCK}


def kinds(language: str) -> dict[str, Kind]:
    """Every side of a language's Dovecots, by name."""
    stock = _STOCK[language]
    each = (
        Kind("stock", stock),
        Kind("stock, tuned", stock, raised_limits=True),
        Kind("ours, executables", ALL_OURS),
        Kind("ours, conf.d", TUNED),
        Kind("ours, engine", TUNED, engine=True),
        Kind("ours, backend", TUNED, backend=True),
        Kind("stock, plugins", stock, plugins=True),
        Kind("stock, tuned, plugins", stock, raised_limits=True, plugins=True),
        Kind("ours, plugins", TUNED, plugins=True),
    )
    return {kind.name: kind for kind in each}


class SharedMailInstance(DovecotInstance):
    """An instance whose users live in homes that it shares with others; `homes` is a path outside."""

    homes: Path

    def _write_users(self) -> None:
        inside = "/" / self.homes.relative_to(self.version.root)
        lines = []
        for user, uid in {**self.users, **UIDS}.items():
            home = self.homes / user
            if not home.is_dir():
                home.mkdir()
                os.chown(home, uid, uid)
                home.chmod(0o700)
            more = fields(user, self.version.language) if user in UIDS else ""
            lines.append(f"{user}:{{PLAIN}}{PASSWORD}:{uid}:{uid}::{inside}/{user}::{more}\n")
        (self.folder / "users").write_text("".join(lines))
        attributes = self.homes / "dict"
        attributes.mkdir(exist_ok=True)
        attributes.chmod(0o1777)

    def _configuration(self) -> str:
        inside = "/" / self.homes.relative_to(self.version.root)
        return super()._configuration() + DICT_SERVICE[self.version.language].format(folder=inside / "dict")


class HomeInstance(SharedMailInstance):
    """A backend with everybody's mail, which lets a master user in for others."""

    def _write_users(self) -> None:
        super()._write_users()
        (self.folder / "masters").write_text(MASTER)

    def _configuration(self) -> str:
        self.extra += masters(self.version.language, self.inside)
        return super()._configuration()


class AskingInstance(SharedMailInstance):
    """One that has the mail of readers only; the others' is said to be at ``home_port``."""

    home_port: int

    def _services(self) -> str:
        return asking(super()._services())

    def _write_users(self) -> None:
        super()._write_users()
        users = self.folder / "users"
        elsewhere = PROXY.format(port=self.home_port, password=MASTER.strip().rpartition("}")[2], more="")
        lines = users.read_text().splitlines()
        lines = [line if line.startswith(f"{READER}:") else f"{line} {elsewhere}" for line in lines]
        users.write_text("".join(line.replace(":: ", "::") + "\n" for line in lines))


class Side:
    """A running instance of one kind."""

    def __init__(self, kind: Kind, version: Version, ours: Installation, homes: Path) -> None:
        self.kind = kind
        self.name = kind.name
        added = kind.configuration(version.language, ours)
        self.home: HomeInstance | None = None
        """The other backend, which has all mail but the reader's."""
        if kind.backend:
            self.home = HomeInstance(version, ALL_STOCK, None, COMMON)
            self.home.homes = homes
            self.home.start()
            asking_one = AskingInstance(version, kind.combination, ours, added)
            asking_one.home_port = self.home.imap_port
            self.dovecot: SharedMailInstance = asking_one
        else:
            self.dovecot = SharedMailInstance(version, kind.combination, ours, added)
        self.dovecot.homes = homes
        self.dovecot.start()
        # 2.4's stock imap-urlauth stays after its session
        self._leaks = version.language == "2.4" and not kind.combination.urlauth and not kind.raised_limits
        self._idle = 0

    def stop(self) -> None:
        """Stop the instance, whatever it left."""
        self.dovecot.stop(check=False)
        if self.home is not None:
            self.home.stop(check=False)

    def session(self, user: str = READER) -> FetchClient:
        """A fresh IMAP session, logged in."""
        client = FetchClient(self.dovecot.imap_port, PATIENCE)
        client.login(user, PASSWORD)
        return client

    def services(self) -> dict[int, str]:
        """The living processes of the three services and their children: pid -> name."""
        return services_below(self.dovecot.master_pid)

    def remember_idle(self) -> None:
        """Take what runs now for what runs when nobody asks for anything."""
        self.settle()
        self._idle = len(self.services())

    def settle(self) -> None:
        """Wait until the processes of past sessions are gone."""
        deadline = time.monotonic() + SETTLE_SECONDS
        still_since = time.monotonic()
        while (now := time.monotonic()) < deadline and now < still_since + STILL_SECONDS:
            processes = self.services()
            if len(processes) > self._idle:
                still_since = now
                if self._leaks:
                    _end_leaked(processes)
            time.sleep(0.02)


def _end_leaked(processes: dict[int, str]) -> None:
    for pid, name in processes.items():
        if name == "imap-urlauth":
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
