import os
from pathlib import Path

import pytest

from bench import mail


def test_a_mailbox_has_as_many_files_as_messages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail, "LINKS", 7)
    monkeypatch.setattr(os, "chown", lambda *_: None)
    mailbox = mail.Mailbox("alice", "m20", mail.SMALL, 20)
    mail.store(mailbox, tmp_path)
    files = sorted((tmp_path / "alice/Maildir/.m20/cur").iterdir())
    assert len(files) == 20
    assert {file.read_bytes() for file in files} == {mail.SMALL}
    assert max(file.stat().st_nlink for file in files) == 7


def test_the_urls_name_messages_in_the_mailbox() -> None:
    first, second = mail.Mailbox("alice", "m20", mail.SMALL, 20).rumps
    assert ";UID=15;" in first
    assert ";UID=14;" in second
    [only] = mail.MAILBOXES["part"].rumps
    assert "/;UID=1/;SECTION=1;URLAUTH=user+bob" in only
