"""`check` as a whole: what it prints in each of its forms, and its exit status."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from dovecot_urlauth.admin import check, main
from dovecot_urlauth.admin.check_services import SERVICES
from dovecot_urlauth.admin.doveconf import Configuration, DoveconfError, parse
from dovecot_urlauth.admin.findings import Finding, fail, note, ok, warn
from dovecot_urlauth.admin.nagios import LONGEST, Health, one_line, state_of

if TYPE_CHECKING:
    from pathlib import Path

BARE = Configuration("2.4.1", "/x", parse(""), parse(""), parse(""))


def run(*words: str) -> int:
    return main.main(["dovecot-urlauth", *words])


def refuse(file: str) -> None:
    raise DoveconfError(f"cannot read {file}")


def test_check_without_dovecot(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "read_configuration", refuse)
    assert run("check", "-c", "/x") == 1
    assert capsys.readouterr().err == "dovecot-urlauth: cannot read /x\n"


def test_check_counts_what_fails(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "read_configuration", lambda file: BARE)
    assert run("check") == 1
    out = capsys.readouterr().out.splitlines()
    failed = sum(line.startswith("FAIL") for line in out)
    assert out[0] == "Dovecot 2.4.1, /x"
    assert out[-2:] == [
        f"URLAUTH across users will not work as it should: see the {failed} marked FAIL.",
        "To begin with, run: dovecot-urlauth enable --host imap.example.com",
    ]


@pytest.mark.parametrize("host", ["", "mail.example.test"])
@pytest.mark.parametrize("ours", [True, False])
def test_what_to_begin_with(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ours: bool, host: str
) -> None:
    for name in SERVICES:
        (tmp_path / name).write_bytes(b"#!/usr/bin/python3 -IBS\n# dovecot_urlauth\n" if ours else b"\x7fELF")
    view = parse(f"imap_urlauth_host = {host}\n")
    configuration = Configuration("2.4.1", "/x", parse(f"libexec_dir = {tmp_path}\n"), view, view)
    monkeypatch.setattr(check, "read_configuration", lambda file: configuration)
    assert run("check") == 1
    told = [line for line in capsys.readouterr().out.splitlines() if line.startswith("To begin with")]
    remedy = f"To begin with, run: dovecot-urlauth enable --host {host or 'imap.example.com'}"
    assert told == ([] if ours and host else [remedy])


def test_check_as_json(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "read_configuration", lambda file: BARE)
    assert run("check", "--json") == 1
    report = json.loads(capsys.readouterr().out)
    assert (report["dovecot"], report["file"], report["works"]) == ("2.4.1", "/x", False)
    assert {"level": "FAIL", "text": "protocols has no imap, so that none of the three services runs"} in report[
        "findings"
    ]


def test_json_of_what_cannot_be_read(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "read_configuration", refuse)
    assert run("check", "--json", "-c", "/x") == 1
    assert json.loads(capsys.readouterr().out) == {
        "dovecot": None,
        "file": "/x",
        "works": False,
        "findings": [{"level": "FAIL", "text": "cannot read /x"}],
    }


@pytest.mark.parametrize(
    ("findings", "status", "line"),
    [
        (
            [ok("a"), note("b")],
            0,
            "URLAUTH OK - 1 checks, all is well; notes: 1, see 'dovecot-urlauth check' | ok=1 note=1 warn=0 ",
        ),
        ([ok("a"), warn("b | c")], 1, "URLAUTH WARNING - b / c | ok=1 note=0 warn=1 fail=0 time="),
        (
            [fail("a\nb"), fail("c"), warn("d")],
            2,
            "URLAUTH CRITICAL - a b (and 1 more) | ok=0 note=0 warn=1 fail=2 ",
        ),
    ],
)
def test_one_line_for_nagios(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    findings: list[Finding],
    status: int,
    line: str,
) -> None:
    monkeypatch.setattr(check, "read_configuration", lambda file: BARE)
    monkeypatch.setattr(check, "all_findings", lambda configuration, user: iter(findings))
    monkeypatch.setattr(check, "running_master", lambda base_dir: 1)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert run("check", "--monitor") == status
    out = capsys.readouterr().out
    assert out.startswith(line)
    assert out.count("\n") == 1


def test_nagios_is_told_that_nothing_is_known(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check, "read_configuration", refuse)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert run("check", "--monitor", "-c", "/x") == 3
    assert capsys.readouterr().out == "URLAUTH UNKNOWN - cannot read /x\n"
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert run("check", "--monitor") == 3
    assert capsys.readouterr().out.startswith("URLAUTH UNKNOWN - run it as root: ")


def test_nagios_is_told_of_a_dovecot_that_does_not_run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    configuration = Configuration("2.4.1", "/x", parse(f"base_dir = {tmp_path}\n"), parse(""), parse(""))
    monkeypatch.setattr(check, "read_configuration", lambda file: configuration)
    monkeypatch.setattr(check, "all_findings", lambda configuration, user: iter([ok("a")]))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert run("check", "--monitor") == 2
    said = f"URLAUTH CRITICAL - no Dovecot runs with base_dir {tmp_path} | ok=1 note=0 warn=0 fail=1 "
    assert capsys.readouterr().out.startswith(said)
    (tmp_path / "master.pid").write_text(f"{os.getpid()}\n")
    assert run("check", "--monitor") == 0


def test_a_long_text_is_cut() -> None:
    assert one_line(Health.OK, "x" * (LONGEST + 1), {}) == f"URLAUTH OK - {'x' * LONGEST}..."
    assert state_of([]) == (Health.OK, "0 checks, all is well")
