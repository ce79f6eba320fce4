"""`check` as a whole: what it prints in each of its forms, and its exit status."""

from __future__ import annotations

import json

import pytest

from dovecot_urlauth.admin import check, main
from dovecot_urlauth.admin.doveconf import Configuration, DoveconfError, parse
from dovecot_urlauth.admin.findings import Finding, fail, note, ok, warn
from dovecot_urlauth.admin.nagios import LONGEST, Health, one_line, state_of

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
    assert out[-1] == f"URLAUTH across users will not work as it should: see the {failed} marked FAIL."


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
        ([ok("a"), note("b")], 0, "URLAUTH OK - 2 checks, all is well | ok=1 note=1 warn=0 fail=0 time="),
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
    assert run("check", "--monitor") == status
    out = capsys.readouterr().out
    assert out.startswith(line)
    assert out.count("\n") == 1


def test_nagios_is_told_that_nothing_is_known(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check, "read_configuration", refuse)
    assert run("check", "--monitor", "-c", "/x") == 3
    assert capsys.readouterr().out == "URLAUTH UNKNOWN - cannot read /x\n"


def test_a_long_text_is_cut() -> None:
    assert one_line(Health.OK, "x" * (LONGEST + 1), {}) == f"URLAUTH OK - {'x' * LONGEST}..."
    assert state_of([]) == (Health.OK, "0 checks, all is well")
