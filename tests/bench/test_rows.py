import pytest

from bench.mail import MAILBOXES
from bench.rows import PROFILES, SCALE, rows
from bench.sides import kinds


@pytest.mark.parametrize("language", ["2.3", "2.4"])
def test_every_row_finds_its_sides_its_mail_and_its_unit(language: str) -> None:
    sides = kinds(language)
    names = [row.name for row in rows(language)]
    assert len(names) == len(set(names))
    for row in rows(language):
        assert set(row.sides()) <= sides.keys()
        assert set(row.targets) <= MAILBOXES.keys()
        assert row.unit in SCALE
        assert set(row.goals) <= set(row.profiles) <= PROFILES.keys()


def test_only_2_3_has_our_login_in_front_of_stock() -> None:
    assert kinds("2.3")["stock"].combination.ours() == ["imap-urlauth-login"]
    assert kinds("2.4")["stock"].combination.ours() == []


@pytest.mark.parametrize("key", {mailbox.message: key for key, mailbox in MAILBOXES.items()}.values())
def test_sizes_are_what_imap_counts(key: str) -> None:
    mailbox = MAILBOXES[key]
    assert mailbox.size == len(mailbox.message.replace(b"\n", b"\r\n"))
