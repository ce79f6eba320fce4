"""Which rows of version x combination a scenario runs on, and the running Dovecots; table.py counts outcomes.

A scenario runs on the rows where all three executables are ours; marked `every_combination`, on all of
them but those where a stock executable has a defect that it names with `spoiled_by`; marked `only`, on
one of them. `struck_by` is for the scenarios that assert a stock defect. What starts a Dovecot of its own
and is marked `in_turns` runs on one of the versions, the next test on the next one. DOVECOT_URLAUTH_VERSIONS,
if set, names the Dovecots to use, each for every test; DOVECOT_URLAUTH_NEXT is the folder of that called `next`.

Several processes may share the work (pytest-xdist, `--dist loadgroup`). A row's scenarios stay together, so that
its Dovecot is started once, and so does what shares a fixture of its module. Each has its own installations.
"""

from __future__ import annotations

import itertools
import os
import shutil
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from testing import defects, executables, logs
from testing.instance import DovecotInstance
from testing.scene import Scene
from testing.versions import CHOSEN, COMBINATIONS, WANTED, Combination, Version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from testing.executables import Installation


@dataclass(frozen=True)
class Row:
    """One line of the matrix."""

    version: Version
    combination: Combination

    @property
    def name(self) -> str:
        return f"{self.version.name}/{self.combination.name}"

    @property
    def defects(self) -> set[str]:
        return defects.of(self.version, self.combination)


ROWS = [Row(version, combination) for version in CHOSEN for combination in COMBINATIONS.values()]


def pytest_configure(config: pytest.Config) -> None:
    for marker in (
        "every_combination: runs on every row of the matrix",
        "spoiled_by(*defects): not where a stock executable has one of these defects",
        "only(combination): on this combination alone, since others would say the same again",
        "in_turns: on one version, each test on another one; on those of DOVECOT_URLAUTH_VERSIONS if that is set",
        "struck_by(*defects): only where stock executables have all of these defects",
    ):
        config.addinivalue_line("markers", marker)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "row" in metafunc.fixturenames:
        rows = [row for row in ROWS if _takes(metafunc.definition, row)]
        metafunc.parametrize("row", rows, ids=[row.name for row in rows], scope="session", indirect=True)
    elif "version" in metafunc.fixturenames:
        metafunc.parametrize("version", CHOSEN, ids=[version.name for version in CHOSEN], scope="session")


def _takes(test: pytest.Item, row: Row) -> bool:
    """Whether this scenario says something about this row."""
    struck = test.get_closest_marker("struck_by")
    if struck:
        # login's panic hides every defect behind it
        hidden = "login-panics" in row.defects and struck.args != ("login-panics",)
        return not hidden and set(struck.args) <= row.defects
    spoiled = {name for mark in test.iter_markers("spoiled_by") for name in mark.args}
    if row.defects & (spoiled | {"login-panics"}):
        return False
    only = test.get_closest_marker("only")
    if only:
        return row.combination.name in only.args
    return row.combination.all_ours or test.get_closest_marker("every_combination") is not None


def _leave_one_version(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave each test that is marked `in_turns` one of its versions."""
    if WANTED:
        return
    groups: dict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        version = getattr(item, "callspec", None) and item.callspec.params.get("version")  # type: ignore[attr-defined]
        if version is not None and item.get_closest_marker("in_turns"):
            groups[item.nodeid.replace(version.name, "*", 1)].append(item)
    kept = {group[number % len(group)].nodeid for number, group in enumerate(groups.values())}
    dropped = [item for group in groups.values() for item in group if item.nodeid not in kept]
    config.hook.pytest_deselected(items=dropped)
    left_out = set(map(id, dropped))
    items[:] = [item for item in items if id(item) not in left_out]


@pytest.hookimpl(tryfirst=True)  # pytest-xdist reads the groups
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    _leave_one_version(config, items)
    for item in items:
        group = _group(item)
        if group:
            item.add_marker(pytest.mark.xdist_group(group))
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.dovecot)
            if os.geteuid() != 0:
                item.add_marker(pytest.mark.skip(reason="Dovecot's master runs as root"))


def _group(item: pytest.Item) -> str | None:
    """What has to run in the same process: scenarios of one row, tests that share a module's fixture."""
    callspec = getattr(item, "callspec", None)
    row = callspec.params.get("row") if callspec else None
    if isinstance(row, Row):
        return row.name
    fixtures = getattr(item, "_fixtureinfo", None)
    found = itertools.chain(*fixtures.name2fixturedefs.values()) if fixtures else ()
    return item.path.stem if any(fixture.scope == "module" for fixture in found) else None


class Installations(dict["Version", "Installation"]):
    """version -> our executables installed there, made when first asked for."""

    def __missing__(self, version: Version) -> Installation:
        made = self[version] = executables.install(version, version.folder())
        return made


@pytest.fixture(scope="session")
def installations() -> Iterator[Installations]:
    made = Installations()
    yield made
    for installation in made.values():
        shutil.rmtree(installation.outside.parent)


@pytest.fixture(scope="session")
def row(request: pytest.FixtureRequest) -> Row:
    chosen: Row = request.param
    return chosen


@pytest.fixture(scope="session")
def running(row: Row, installations: Installations) -> Iterator[DovecotInstance]:
    """The Dovecot of a row, shared by all its scenarios."""
    ours = installations[row.version] if row.combination.ours() else None
    dovecot = DovecotInstance(row.version, row.combination, ours)
    dovecot.start()
    yield dovecot
    dovecot.stop()


@pytest.fixture
def scene(running: DovecotInstance, request: pytest.FixtureRequest) -> Iterator[Scene]:
    """A scenario; after it the log must hold no alarming line that it did not announce."""
    running.log.take()
    with Scene(running) as scene:
        yield scene
    if request.node.get_closest_marker("struck_by") or scene.expected:
        # what a crash leaves to say comes late, and what a scenario announced is not the next one's
        running.log.settle()
    lines = running.log.take()
    unexpected = logs.unexpected(lines, tuple(scene.expected))
    assert not unexpected, "unexpected in the log:\n" + "\n".join(unexpected)


@pytest.fixture
def starter() -> Iterator[Callable[..., DovecotInstance]]:
    """Starts Dovecots of a scenario's own; each is stopped, and its log checked, at the end."""
    started: list[tuple[DovecotInstance, tuple[str, ...]]] = []

    def start(dovecot: DovecotInstance, *expected: str) -> DovecotInstance:
        started.append((dovecot, expected))
        return dovecot.start()

    yield start
    for dovecot, expected in started:
        lines = dovecot.log.lines()
        dovecot.stop()
        assert not logs.unexpected(lines, expected)
