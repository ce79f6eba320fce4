"""Processes that are not those of the configuration, and processes of before an installation."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from dovecot_urlauth.admin import check_running
from dovecot_urlauth.admin.check_running import check_running as check
from dovecot_urlauth.admin.doveconf import Configuration, parse
from dovecot_urlauth.admin.monitor.sample import Running, Sample, State
from dovecot_urlauth.admin.processes import NoMaster, Process

if TYPE_CHECKING:
    from pathlib import Path

BROKER = "imap-urlauth"
ONE = Running(Process(7, 1, "dovecot", 0, BROKER, "imap-urlauth"), State.IDLE, 0, None, True, 10.0, 0)


def report(folder: Path, running: list[Running], monkeypatch: pytest.MonkeyPatch, later: float = 100) -> list[str]:
    """Of processes that were looked at so many seconds after the executable was written."""
    (folder / "ours").write_text("#!/usr/bin/python3 -IBS\n# dovecot_urlauth\n")
    (folder / BROKER).write_bytes(b"\x7fELF")
    taken = os.stat(folder / "ours").st_ctime + later
    monkeypatch.setattr(check_running, "take_sample", lambda base_dir: Sample(taken, tuple(running)))
    text = f"libexec_dir = {folder}\nservice {BROKER} {{\n  executable = {folder}/ours\n}}\n"
    configuration = Configuration("2.4.1", "/x", parse(text), parse(""), parse(""))
    return [str(finding) for finding in check(configuration)]


def test_the_right_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert report(tmp_path, [ONE, replace(ONE, ours=None)], monkeypatch) == []


def test_those_of_before_the_swap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert report(tmp_path, [ONE, replace(ONE, ours=False)], monkeypatch) == [
        f"warn  {BROKER}: 1 of 2 processes are Dovecot's own, and the configuration has another executable: "
        "doveadm reload"
    ]


def test_those_of_before_an_upgrade(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert report(tmp_path, [replace(ONE, age=110.0)], monkeypatch) == [
        f"warn  {BROKER}: 1 of 1 processes were started before {tmp_path}/ours was installed: doveadm reload"
    ]


def test_ours_where_dovecots_own_are_configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / BROKER).write_bytes(b"\x7fELF")
    monkeypatch.setattr(check_running, "take_sample", lambda base_dir: Sample(0.0, (ONE,)))
    configuration = Configuration("2.4.1", "/x", parse(f"libexec_dir = {tmp_path}\n"), parse(""), parse(""))
    assert "1 of 1 processes are dovecot-urlauth's" in str(next(iter(check(configuration))))


def test_nothing_is_said_of_what_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = Configuration("2.4.1", "/x", parse("libexec_dir = /nowhere\n"), parse(""), parse(""))
    monkeypatch.setattr(check_running, "take_sample", lambda base_dir: Sample(0.0, (ONE,)))
    assert list(check(nothing)) == []

    def refuse(base_dir: str) -> Sample:
        raise NoMaster("none")

    monkeypatch.setattr(check_running, "take_sample", refuse)
    assert list(check(nothing)) == []
