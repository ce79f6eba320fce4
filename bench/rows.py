"""The rows of the table, the pairs of sides that each compares, and the goals."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bench import samplers
from bench.stores import MAILDIR, ONLY_2_3, OTHERS, PLUGINS, STORES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bench.samplers import Sample, Target
    from bench.sides import Side

    Open = Callable[[Side, Mapping[str, Target]], AbstractContextManager[Sample]]

#: profile -> (ours, stock)
PROFILES = {
    "executables": ("ours, executables", "stock"),
    "conf.d": ("ours, conf.d", "stock"),
    "tuned": ("ours, conf.d", "stock, tuned"),
    "engine": ("ours, engine", "stock"),
    "engine, tuned": ("ours, engine", "stock, tuned"),
    "backend": ("ours, backend", "stock"),
    "plugins": ("ours, plugins", "stock, plugins"),
    "plugins, tuned": ("ours, plugins", "stock, tuned, plugins"),
}
ALL = ("executables", "conf.d", "tuned")
CONF_D = ("conf.d",)
ENGINE = ("engine", "engine, tuned")
BACKEND = ("backend",)

MILLISECONDS = "ms"
RATE = "fetches/s"
MEGABYTES = "MB"
CPU = "CPU s"

#: seconds behind the last answer, of the five that imap keeps its connection
AT_REST = 2.5

#: what a sample is divided by to be shown in a unit
SCALE = {MILLISECONDS: 1e-3, RATE: 1.0, MEGABYTES: 1e6, CPU: 1.0}


@dataclass(frozen=True)
class Row:
    """One measurement of several sides; `targets` are keys of mail.MAILBOXES."""

    name: str
    title: str
    open: Open
    targets: tuple[str, ...] = ("small",)
    profiles: tuple[str, ...] = ALL
    unit: str = MILLISECONDS
    warm: bool = False
    """Whether everything runs on one CPU."""
    most_runs: int = 1000
    """Samples that say all there is to say."""
    goals: Mapping[str, float] = field(default_factory=dict)
    """profile -> the ratio ours/stock that we want, or better"""

    @property
    def more_is_better(self) -> bool:
        return self.unit == RATE

    def sides(self) -> list[str]:
        """The sides that its profiles compare, each once."""
        return list(dict.fromkeys(side for profile in self.profiles for side in PROFILES[profile]))


def _first(key: str) -> Open:
    return lambda side, targets: samplers.first_fetch(side, targets[key])


def _joining(side: Side, targets: Mapping[str, Target]) -> AbstractContextManager[Sample]:
    return samplers.joining_fetch(side, targets["small"])


def _repeat(key: str, series: int = samplers.SERIES) -> Open:
    return lambda side, targets: samplers.repeated_fetch(side, targets[key], series=series)


def _another(key: str) -> Open:
    return lambda side, targets: samplers.fetch_of_another(side, targets[key])


def _structure(side: Side, targets: Mapping[str, Target]) -> AbstractContextManager[Sample]:
    return samplers.repeated_fetch(side, targets["parts"], b"BODYPARTSTRUCTURE", at_least=1500, series=3)


def _binary(side: Side, targets: Mapping[str, Target]) -> AbstractContextManager[Sample]:
    return samplers.repeated_fetch(side, targets["part"], b"BINARY", at_least=4_900_000, series=1)


def _at_once(number: int) -> Open:
    return lambda side, targets: samplers.sessions_at_once(side, targets["small"], number)


def _alternate(side: Side, targets: Mapping[str, Target]) -> AbstractContextManager[Sample]:
    return samplers.alternating_fetch(side, targets["small"], targets["other"])


def _alternate_of(one: str, other: str) -> Open:
    return lambda side, targets: samplers.alternating_fetch(side, targets[one], targets[other])


def _memory_of(keys: tuple[str, ...], seconds: float) -> Open:
    return lambda side, targets: samplers.memory_of_targets(side, [targets[key] for key in keys], seconds)


def _memory(side: Side, targets: Mapping[str, Target]) -> AbstractContextManager[Sample]:
    return samplers.memory_of_sessions(side, targets["small"], 50)


def _peak(side: Side, targets: Mapping[str, Target]) -> AbstractContextManager[Sample]:
    return samplers.peak_memory(side, targets["100m"])


def _cpu(side: Side, targets: Mapping[str, Target]) -> AbstractContextManager[Sample]:
    return samplers.cpu_of_fetches(side, targets["small"], 200)


def _of_store(name: str, language: str) -> list[Row]:
    """The rows of a format that is not plain Maildir."""
    both = ("plugins", "plugins, tuned") if name in PLUGINS["2.3"] else ("conf.d", "tuned")
    is_encrypted = name == "mail_crypt"
    parity = dict.fromkeys(both, 1.0)
    first = dict(zip(both, (0.5, 0.9) if is_encrypted else (0.3, 0.8), strict=True))
    in_turn = dict(zip(both, (0.8, 1.0) if is_encrypted else (0.5, 0.8), strict=True))
    large, second = f"{name}-25m", next(iter(OTHERS[name]))
    return [
        Row(f"{name}-first", f"first fetch, {name}", _first(name), (name,), both, goals=first),
        Row(f"{name}-repeat", f"repeated fetch, {name}", _repeat(name), (name,), both, warm=True, goals=parity),
        Row(f"{name}-another", f"another mail, {name}", _another(name), (name,), both, warm=True),
        Row(large, f"25 MB message, {name}", _repeat(large, 1), (large,), both, goals=parity),
        Row(
            f"{name}-alternate",
            f"two targets in turn, {name}",
            _alternate_of(name, second),
            (name, second),
            both,
            goals=in_turn,
        ),
        *_memory_of_targets(name, both[:1], 1.0 if language == "2.4" and not is_encrypted else 2.0),
    ]


def _of_engine() -> list[Row]:
    """The rows of mail that only Dovecot's own imap can read."""
    first, repeat = dict(zip(ENGINE, (0.5, 1.0), strict=True)), dict.fromkeys(ENGINE, 1.5)
    others = dict(zip(ENGINE, (1.0, 1.2), strict=True))
    return [
        Row("engine-first", "first fetch, dovecot engine", _first("small"), profiles=ENGINE, goals=first),
        Row(
            "engine-repeat",
            "repeated fetch, dovecot engine",
            _repeat("small"),
            profiles=ENGINE,
            warm=True,
            goals=repeat,
        ),
        Row("engine-25m", "25 MB message, dovecot engine", _repeat("25m", 1), ("25m",), ENGINE, goals=others),
        Row(
            "engine-alternate",
            "two targets in turn, dovecot engine",
            _alternate,
            ("small", "other"),
            ENGINE,
            goals=others,
        ),
        *_memory_of_targets(MAILDIR, ENGINE[:1], 3.0, "engine"),
    ]


def _memory_of_targets(name: str, profiles: tuple[str, ...], goal: float, called: str = "") -> list[Row]:
    """As soon as all are answered, and when nobody has asked for anything for a while; imap is there for 5 s.

    ``called`` is the rows' name, if it is not that of the users' store.
    """
    called = called or name
    users = tuple(OTHERS[name])
    goals = dict.fromkeys(profiles, goal)
    return [
        Row(
            f"{called}-{key}",
            f"PSS, {len(users)} targets{when}, {called}",
            _memory_of(users, seconds),
            users,
            profiles,
            MEGABYTES,
            most_runs=3,
            goals=goals,
        )
        for key, when, seconds in (("pss", "", 0.0), ("rest", " at rest", AT_REST))
    ]


def rows(language: str) -> list[Row]:
    """The rows for a configuration language, whose stock executables set one of the goals."""
    alternate = {"conf.d": {"2.3": 0.5, "2.4": 0.002}[language]}
    first = {"executables": 2.0, "conf.d": 0.3, "tuned": 0.9}
    parity = {"conf.d": 1.0}
    far, near = {"backend": 2.0}, {"backend": 1.5}
    names = [name for name in STORES if language == "2.3" or name not in ONLY_2_3]
    of_stores = [row for name in names for row in _of_store(name, language)]
    return [
        Row("first", "first fetch of a session", _first("small"), goals=first),
        Row("joining", "first fetch, mail in use by another", _joining, profiles=("conf.d", "tuned")),
        Row("repeat", "repeated fetch", _repeat("small"), warm=True, goals=dict.fromkeys(ALL, 1.0)),
        Row("another", "another mail", _another("100"), ("100",), ("conf.d", "tuned"), warm=True),
        Row("alternate", "two targets in turn", _alternate, ("small", "other"), goals=alternate),
        Row("sessions-1", "1 session at once", _at_once(1), unit=RATE),
        Row("sessions-8", "8 sessions at once", _at_once(8), unit=RATE),
        Row("sessions-64", "64 sessions at once", _at_once(64), unit=RATE, goals={"conf.d": 3.0}),
        Row("25m-first", "25 MB message, first of a session", _first("25m"), ("25m",), CONF_D, goals=parity),
        Row("25m", "25 MB message", _repeat("25m", 1), ("25m",), CONF_D, goals=parity),
        Row("100m", "100 MB message", _repeat("100m", 1), ("100m",), CONF_D, goals=parity),
        Row("structure", "structure of 25 MB, 20 parts", _structure, ("parts",), CONF_D),
        Row("binary", "BINARY of a 5 MB part", _binary, ("part",), CONF_D),
        Row("maildir-100", "first fetch, 100 messages", _first("100"), ("100",), CONF_D),
        Row("maildir-10k", "first fetch, 10,000 messages", _first("10k"), ("10k",), CONF_D),
        Row("maildir-200k", "first fetch, 200,000 messages", _first("200k"), ("200k",), CONF_D),
        *_memory_of_targets(MAILDIR, CONF_D, 1.0 if language == "2.4" else 2.0),
        *of_stores,
        *_of_engine(),
        Row("backend-first", "first fetch, mail on a backend", _first("small"), profiles=BACKEND, goals=far),
        Row("backend-repeat", "repeated fetch, mail on a backend", _repeat("small"), profiles=BACKEND, goals=near),
        Row("pss", "PSS with 50 sessions", _memory, unit=MEGABYTES, most_runs=3, goals={"conf.d": 0.7}),
        Row("peak", "peak RSS, child sending 100 MB", _peak, ("100m",), CONF_D, unit=MEGABYTES, most_runs=3),
        Row("cpu", "CPU of 1,000 warm fetches", _cpu, unit=CPU, warm=True, goals=dict.fromkeys(ALL, 1.2)),
    ]
