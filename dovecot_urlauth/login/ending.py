"""How a connection ended before its hand-off, in the running version's words (login-common/client-common.c)."""

from __future__ import annotations

from dovecot_urlauth.dialect.dialect import LoginDetails
from dovecot_urlauth.start.frozen import Enum, frozen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.dialect.dialect import LoginTexts


class Progress(Enum):
    """How far the client had come."""

    AUTH_NOT_READY = "auth_process_not_ready"
    NO_ATTEMPT = "no_auth_attempts"
    AUTHENTICATING = "authenticating"
    AUTH_FAILED = "auth_failed"
    AUTH_UNREACHABLE = "auth_process_comm_fail"
    HANDING_OFF = "finishing_login"
    HANDOFF_FAILED = "internal_failure"
    CROWDED_OUT = "process_full"
    SHUTTING_DOWN = "shutting_down"


@frozen
class Ending:
    """A disconnect as the log sees it; times in whole seconds."""

    reason: str
    progress: Progress
    connected: int
    authenticating: int
    code: bytes = b""
    """``code=`` of auth's FAIL."""
    cause: Progress | None = None
    """Why the process itself let go of the client; 2.3 has no words for that."""


FAILURES = {
    b"authz_fail": (
        "authorization failed, 1 attempts in {secs} secs",
        "authz_failed",
        "authorization failed",
    ),
    b"temp_fail": (
        "auth service reported temporary failure",
        "temp_failed",
        "auth service reported temporary failure",
    ),
    b"user_disabled": ("user disabled", "user_disabled", "user disabled"),
    b"pass_expired": ("password expired", "pass_expired", "password expired"),
    b"invalid_base64": (
        "sent invalid base64 in response",
        "invalid_base64",
        "sent invalid base64 in response",
    ),
    b"login_disabled": ("login disabled", "login_disabled", "login disabled"),
    b"auth_mech_invalid": (
        "tried to use unsupported auth mechanism",
        "mech_invalid",
        "tried to use unsupported auth mechanism",
    ),
}
"""FAIL's code: the text of 2.3, the word and the text of 2.4."""

PLAIN_FAILURE = ("auth failed, 1 attempts in {secs} secs", "auth_failed", "auth failed")

TEXT_2_3 = {
    Progress.AUTH_NOT_READY: " (disconnected before auth was ready, waited {connected} secs)",
    Progress.AUTHENTICATING: " (disconnected while authenticating, waited {secs} secs)",
    Progress.AUTH_UNREACHABLE: " (auth process communication failure)",
    Progress.HANDING_OFF: " (disconnected while finishing login, waited {secs} secs)",
}

TEXT_2_4 = {
    Progress.AUTH_NOT_READY: (
        "disconnected before auth was ready, waited {connected} secs",
        "auth_process_not_ready",
    ),
    Progress.NO_ATTEMPT: ("no auth attempts in {connected} secs", "no_auth_attempts"),
    Progress.AUTHENTICATING: ("auth failed, 1 attempts in {secs} secs", "auth_failed"),
    Progress.AUTH_UNREACHABLE: (
        "auth process communication failure, 1 attempts in {secs} secs",
        "auth_process_comm_fail",
    ),
    Progress.HANDING_OFF: ("internal failure, 1/1 successful auths in {secs} secs", "internal_failure"),
    Progress.HANDOFF_FAILED: ("internal failure, 1/1 successful auths in {secs} secs", "internal_failure"),
    Progress.CROWDED_OUT: (
        "client_limit and process_limit was hit and this login session was killed.",
        "process_full",
    ),
    Progress.SHUTTING_DOWN: ("The process is shutting down so the login is aborted.", "shutting_down"),
}


def describe_ending(ending: Ending, texts: LoginTexts) -> str:
    """The message of the info line that every connection without a hand-off leaves."""
    return texts.aborted + ending.reason + DETAILS[texts.details](ending)


def _none(ending: Ending) -> str:
    return ""


def _text(ending: Ending) -> str:
    if ending.progress is Progress.AUTH_FAILED:
        text, _, _ = FAILURES.get(ending.code, PLAIN_FAILURE)
        return f" ({_filled(text, ending)})"
    return _filled(TEXT_2_3.get(ending.progress, ""), ending)


def _text_and_code(ending: Ending) -> str:
    if ending.cause is not None and ending.progress is not Progress.AUTH_NOT_READY:
        text, word = TEXT_2_4[ending.cause]
    elif ending.progress is Progress.AUTH_FAILED:
        _, word, text = FAILURES.get(ending.code, PLAIN_FAILURE)
        text += ", 1 attempts in {secs} secs"
    else:
        text, word = TEXT_2_4[ending.progress]
    return f" ({_filled(text, ending)}) ({word})"


def _filled(text: str, ending: Ending) -> str:
    return text.format(connected=ending.connected, secs=ending.authenticating)


DETAILS = {
    LoginDetails.NONE: _none,
    LoginDetails.TEXT: _text,
    LoginDetails.TEXT_AND_CODE: _text_and_code,
}
