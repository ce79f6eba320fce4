"""The rehearsal comes to the last byte of a mail in every dialect and format, touches nothing and says nothing."""

from __future__ import annotations

import os
import resource
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from dovecot_urlauth.config.account import resolve_account
from dovecot_urlauth.config.language import language_of
from dovecot_urlauth.config.settings import Settings
from dovecot_urlauth.dialect import versions
from dovecot_urlauth.dialect.dialect import Dialect
from dovecot_urlauth.service.loop import Loop
from dovecot_urlauth.store.native import made_up
from dovecot_urlauth.worker import rehearsal
from dovecot_urlauth.worker.parent.protocol import FORMATS
from dovecot_urlauth.worker.preload import preload
from dovecot_urlauth.worker.rehearsal import format_of, rehearse, usual_format
from dovecot_urlauth.worker.warmup import FIELDS, NAME

if TYPE_CHECKING:
    from dovecot_urlauth.worker.target import WorkerConfig

DIALECTS = {name: made for name, made in vars(versions).items() if isinstance(made, Dialect)}
ANSWER = b"OK\nOK\t30\nSubject: nothing\r\n\r\nNothing.\r\n\n"


def config(name: str, **settings: str) -> WorkerConfig:
    made = SimpleNamespace(dialect=DIALECTS[name], engine=None, settings=Settings(settings), backends=None)
    return cast("WorkerConfig", made)


@pytest.mark.parametrize("kept_as", FORMATS)
@pytest.mark.parametrize("name", DIALECTS)
def test_it_comes_to_the_last_byte(
    name: str, kept_as: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    opened: list[object] = []
    real = os.open

    def noting(path: str | bytes, *rest: Any, **named: Any) -> int:
        opened.append(path)
        return real(path, *rest, **named)

    monkeypatch.setattr(os, "open", noting)
    loop = Loop()
    before = len(os.listdir("/proc/self/fd"))
    assert loop.run(rehearse(loop, config(name), kept_as)) == ANSWER
    assert set(opened) == {"/"}  # the files are in memory
    assert len(os.listdir("/proc/self/fd")) == before
    assert capfd.readouterr() == ("", "")
    loop.close()


def test_every_format_has_a_made_up_mailbox() -> None:
    assert set(made_up.MAKERS) == set(FORMATS)


def test_a_client_that_is_not_selected_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async def nobody(*others: object) -> None:
        return None

    monkeypatch.setattr(rehearsal, "select", nobody)
    loop = Loop()
    before = len(os.listdir("/proc/self/fd"))
    assert loop.run(rehearse(loop, config("DOVECOT_2_4_1"), "maildir")) == b""
    assert len(os.listdir("/proc/self/fd")) == before
    loop.close()


@pytest.mark.parametrize(
    ("name", "settings", "found"),
    [
        ("DOVECOT_2_3_19", {"mail_location": "maildir:~/Maildir"}, "maildir"),
        ("DOVECOT_2_3_19", {"mail_location": "mdbox:/var/mail/%u"}, "mdbox"),
        ("DOVECOT_2_3_19", {"mail_location": "mbox:~/mail:INBOX=/var/mail/%u"}, "mbox"),
        ("DOVECOT_2_3_19", {"mail_location": "imapc:~/imapc"}, ""),
        ("DOVECOT_2_3_19", {"mail_location": ""}, ""),
        ("DOVECOT_2_3_19", {"first_valid_uid": "x"}, ""),
        ("DOVECOT_2_4_1", {"mail_driver": "sdbox", "mail_path": "~/sdbox"}, "sdbox"),
    ],
)
def test_how_all_users_mail_is_kept(name: str, settings: dict[str, str], found: str) -> None:
    usual = language_of(DIALECTS[name]).maildir_at("/home/nobody")
    assert usual_format(config(name, **{**usual, **settings})) == found


def test_how_one_users_mail_is_kept() -> None:
    dialect = DIALECTS["DOVECOT_2_3_19"]
    fields = {**FIELDS, b"mail": b"sdbox:~/mail", b"mail_attribute_dict": b"file:/attributes"}
    assert format_of(resolve_account(NAME, fields, Settings({}), dialect), dialect) == "sdbox"


@pytest.mark.parametrize("error", [OSError(24, "Too many open files"), MemoryError()])
def test_a_parent_without_descriptors_has_rehearsed_nothing(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def full(name: str) -> int:
        raise error

    monkeypatch.setattr(os, "memfd_create", full)
    preload(config("DOVECOT_2_4_1"))


def test_a_rehearsal_that_fails_leaves_no_descriptor() -> None:
    """Whichever descriptor is the one too many."""
    loop = Loop()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    before = os.listdir("/proc/self/fd")
    first = os.open("/", os.O_RDONLY)
    os.close(first)
    failed = 0
    try:
        for room in range(20):
            resource.setrlimit(resource.RLIMIT_NOFILE, (first + room, hard))
            try:
                loop.run(rehearse(loop, config("DOVECOT_2_4_1"), "mdbox"))
            except OSError:
                failed += 1
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert failed > 5
    assert os.listdir("/proc/self/fd") == before
