"""`check` is true: it says of each configuration what comes of it, in words that name the fault.

A Dovecot is started with each; `dovecot-urlauth test` and a URLFETCH over IMAP must agree with `check`.  A row is
tried on one of the versions, in turns; with DOVECOT_URLAUTH_EVERY_VERDICT set, on all of them.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from testing.instance import DovecotInstance
from testing.versions import CHOSEN, Version
from tests.dovecot.verdicts.cases import CASES, Case, Verdict
from tests.dovecot.verdicts.place import Place

if TYPE_CHECKING:
    from testing.executables import Installation
    from tests.dovecot.conftest import Installations

WILL_WORK = "URLAUTH across users will work."
LIVE = {Verdict.WORKS: True, Verdict.UNSAFE: True, Verdict.DEAD: False}
PATIENCE = {True: "20", False: "1"}
"""Seconds for each step, by whether it works: what is dead is not waited for."""


def rows() -> list[tuple[Case, Version]]:
    """Each case with the versions that it is tried on: one, in turns, or all that it is about."""
    every = bool(os.environ.get("DOVECOT_URLAUTH_EVERY_VERDICT"))
    chosen = []
    for number, case in enumerate(CASES):
        about = [version for version in CHOSEN if case.text(version) is not None]
        turn = about if every or not about else [about[number % len(about)]]
        chosen += [(case, version) for version in turn]
    return chosen


def test_the_table_is_large_enough() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 60
    assert {case.verdict for case in CASES} == set(Verdict)


@pytest.mark.parametrize(("case", "on"), rows(), ids=lambda value: getattr(value, "name", value))
def test_verdict(case: Case, on: Version, installations: Installations) -> None:
    ours = installations[on]
    dovecot = DovecotInstance(on, case.combination, ours if case.combination.ours() else None)
    dovecot.extra = fill_in(case, dovecot, ours)
    place = Place(dovecot, ours)
    try:
        dovecot.write()
        with case.harm(place):
            if case.verdict is Verdict.DOWN:
                judge(case, place)
                with pytest.raises(AssertionError, match="did not start"):
                    dovecot.launch()
                return
            dovecot.launch()
            try:
                judge(case, place)
                works = LIVE[case.verdict]
                if case.verdict is not Verdict.UNSAFE:  # some of what is unsafe is seen by `test`, too
                    tested = place.run("test", "--user", "alice", "--as", "bob", "--timeout", PATIENCE[works])
                    assert (tested.returncode == 0) is works, tested.stdout + tested.stderr
                assert place.fetches(case.port, float(PATIENCE[works])) is works, dovecot.log.lines()
            finally:
                dovecot.stop(check=False)
    finally:
        shutil.rmtree(dovecot.folder, ignore_errors=True)


def fill_in(case: Case, dovecot: DovecotInstance, ours: Installation) -> str:
    text = case.text(dovecot.version) or ""
    return text.replace("@OURS@", str(ours.executables)).replace("@BASE@", str(dovecot.inside))


def judge(case: Case, place: Place) -> None:
    """`check` says what the row says."""
    done = place.run("check")
    said = done.stdout + done.stderr
    works = case.verdict is Verdict.WORKS
    assert done.returncode == (0 if works else 1), said
    lines = [line for line in said.splitlines() if works or not line.startswith(("ok ", "note "))]
    assert any(case.says in line for line in lines), said
