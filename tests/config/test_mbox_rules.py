"""The settings of mbox files."""

from __future__ import annotations

import pytest

from dovecot_urlauth.config.errors import UnsupportedSetting
from dovecot_urlauth.config.mbox_rules import MboxRules, mbox_rules, read_time
from dovecot_urlauth.config.settings import Settings, SettingsError


def rules(**settings: str) -> MboxRules:
    return mbox_rules(Settings(settings), colonless_line_is_name=False)


def test_defaults() -> None:
    assert rules() == MboxRules()
    assert mbox_rules(Settings({}), colonless_line_is_name=True).colonless_line_is_name


def test_locks() -> None:
    assert rules(mbox_read_locks="flock, FCNTL").read_locks == ("fcntl", "flock")
    assert rules(mbox_read_locks="flock").read_locks == ("fcntl", "flock")
    assert rules(mbox_read_locks="").read_locks == ()


def test_timeouts() -> None:
    assert rules(mbox_lock_timeout="10 secs").lock_seconds == 10
    assert rules(mail_max_lock_timeout="1min").lock_seconds == 60
    assert rules(mail_max_lock_timeout="1 hour", mbox_lock_timeout="2m").lock_seconds == 120
    assert rules(mail_max_lock_timeout="0").lock_seconds == 300


@pytest.mark.parametrize("size", ["0", "", "0 B"])
def test_files_with_an_index(size: str) -> None:
    assert rules(mbox_min_index_size=size) == MboxRules()


@pytest.mark.parametrize(
    ("name", "value"),
    [("mbox_min_index_size", "10k"), ("mbox_min_index_size", "1"), ("mbox_read_locks", "dotlock fcntl"),
     ("mbox_read_locks", "fcntl dotlock_try"), ("mbox_read_locks", "LOCKF"), ("mbox_read_locks", "x")],
)  # fmt: skip
def test_what_a_reader_cannot_do(name: str, value: str) -> None:
    with pytest.raises(UnsupportedSetting, match=name):
        rules(**{name: value})


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("", 7),
        ("0", 0),
        ("5 mins", 300),
        ("1 week", 604800),
        ("3hours", 10800),
        ("2 D", 172800),
        ("99 weeks", 604800),
    ],
)
def test_times(text: str, seconds: int) -> None:
    assert read_time(text, 7) == seconds


@pytest.mark.parametrize("text", ["5", "mins", "5 lightyears", "-1 s", "1 2 s", "٣ secs", "1" * 20 + " s"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(SettingsError):
        read_time(text, 7)
