"""The lines that imap-urlauth-login leaves in the log, as Dovecot's own were recorded."""

from __future__ import annotations

import pytest

from dovecot_urlauth.dialect.dialect import Dialect
from dovecot_urlauth.dialect.versions import DOVECOT_2_3_13, DOVECOT_2_3_19, DOVECOT_2_4_2
from dovecot_urlauth.login.ending import Ending, Progress, describe_ending
from dovecot_urlauth.login.logformat import LogFormat
from dovecot_urlauth.login.session import new_session_id

BOB = {"user": "bob", "mechanism": "DOVECOT-TOKEN", "secured": "secured", "session": "S"}
NOBODY = {"secured": "secured", "session": "S"}


def log_format(dialect: Dialect) -> LogFormat:
    return LogFormat(
        dialect.login_texts.log_format, dialect.login_texts.log_format_elements, dialect.login_texts.element_rules
    )


@pytest.mark.parametrize("dialect", [DOVECOT_2_3_19, DOVECOT_2_4_2], ids=lambda d: d.name)
@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({**BOB, "mail_pid": "8897"}, "x: user=<bob>, method=DOVECOT-TOKEN, mpid=8897, secured, session=<S>"),
        (BOB, "x: user=<bob>, method=DOVECOT-TOKEN, secured, session=<S>"),
        (NOBODY, "x: user=<>, secured, session=<S>"),
    ],
)
def test_default_elements(dialect: Dialect, values: dict[str, str], line: str) -> None:
    assert log_format(dialect).line("x", values) == line


FAILED = Ending("Authentication failed", Progress.AUTH_FAILED, connected=3, authenticating=2)
EARLY = Ending("Connection closed", Progress.AUTH_NOT_READY, connected=0, authenticating=0)
MISMATCH = Ending("Version mismatch", Progress.NO_ATTEMPT, connected=0, authenticating=0)
INTERNAL = Ending("Internal login failure (pid=8421 id=1)", Progress.HANDOFF_FAILED, 0, 0)
TEMPORARY = Ending("Authentication failed", Progress.AUTH_FAILED, 3, 2, b"temp_fail")


@pytest.mark.parametrize(
    ("dialect", "ending", "text"),
    [
        (DOVECOT_2_3_13, FAILED, "Disconnected: Authentication failed"),
        (DOVECOT_2_3_19, FAILED, "Disconnected: Authentication failed (auth failed, 1 attempts in 2 secs)"),
        (
            DOVECOT_2_3_19,
            EARLY,
            "Disconnected: Connection closed (disconnected before auth was ready, waited 0 secs)",
        ),
        (DOVECOT_2_3_19, MISMATCH, "Disconnected: Version mismatch"),
        (DOVECOT_2_3_19, INTERNAL, "Disconnected: Internal login failure (pid=8421 id=1)"),
        (
            DOVECOT_2_3_19,
            TEMPORARY,
            "Disconnected: Authentication failed (auth service reported temporary failure)",
        ),
        (
            DOVECOT_2_4_2,
            FAILED,
            "Login aborted: Authentication failed (auth failed, 1 attempts in 2 secs) (auth_failed)",
        ),
        (
            DOVECOT_2_4_2,
            MISMATCH,
            "Login aborted: Version mismatch (no auth attempts in 0 secs) (no_auth_attempts)",
        ),
        (
            DOVECOT_2_4_2,
            INTERNAL,
            "Login aborted: Internal login failure (pid=8421 id=1) "
            "(internal failure, 1/1 successful auths in 0 secs) (internal_failure)",
        ),
    ],
)
def test_endings(dialect: Dialect, ending: Ending, text: str) -> None:
    assert describe_ending(ending, dialect.login_texts) == text


@pytest.mark.parametrize(
    ("dialect", "text"),
    [
        (DOVECOT_2_3_19, "Disconnected: Connection queue full (disconnected while authenticating, waited 2 secs)"),
        (
            DOVECOT_2_4_2,
            "Login aborted: Connection queue full "
            "(client_limit and process_limit was hit and this login session was killed.) (process_full)",
        ),
    ],
)
def test_when_the_process_lets_go_2_4_says_why(dialect: Dialect, text: str) -> None:
    ending = Ending("Connection queue full", Progress.AUTHENTICATING, 3, 2, cause=Progress.CROWDED_OUT)
    assert describe_ending(ending, dialect.login_texts) == text


@pytest.mark.parametrize("dialect", [DOVECOT_2_3_13, DOVECOT_2_3_19, DOVECOT_2_4_2], ids=lambda d: d.name)
@pytest.mark.parametrize("progress", list(Progress), ids=lambda p: p.name)
def test_every_ending_has_a_text(dialect: Dialect, progress: Progress) -> None:
    text = describe_ending(Ending("Inactivity", progress, 180, 0), dialect.login_texts)
    assert text.startswith(dialect.login_texts.aborted + "Inactivity")
    assert "{" not in text


def test_session_ids_look_like_dovecots() -> None:
    session = new_session_id()
    assert len(session) == 16
    assert session.endswith(b"AAAAAAAA")
