"""From the environment to the dialect."""

from __future__ import annotations

import pytest

from dovecot_urlauth.dialect.choose import choose_dialect, parse_version
from dovecot_urlauth.dialect.dialect import STATUS_NEVER_AGAIN, Dialect
from dovecot_urlauth.dialect.versions import (
    DOVECOT_2_3_13,
    DOVECOT_2_3_17,
    DOVECOT_2_3_18,
    DOVECOT_2_3_19,
    DOVECOT_2_4_1,
    DOVECOT_2_4_2,
)


@pytest.mark.parametrize(
    ("text", "dialect"),
    [
        ("2.3.13", DOVECOT_2_3_13),
        ("2.3.16", DOVECOT_2_3_13),
        ("2.3.17.1", DOVECOT_2_3_17),
        ("2.3.18", DOVECOT_2_3_18),
        ("2.3.19.1", DOVECOT_2_3_19),
        ("2.3.21.1", DOVECOT_2_3_19),
        ("2.4.0", DOVECOT_2_4_1),
        ("2.4.1-4", DOVECOT_2_4_1),
        ("2.4.2", DOVECOT_2_4_2),
        ("2.4.5", DOVECOT_2_4_2),
    ],
)
def test_known_versions_are_chosen_without_a_word(text: str, dialect: Dialect) -> None:
    assert choose_dialect({"DOVECOT_VERSION": text}) == (dialect, None)


@pytest.mark.parametrize(
    ("text", "dialect"),
    [
        ("2.4.9", DOVECOT_2_4_2),
        ("2.3.99", DOVECOT_2_3_19),
        ("2.5.0", DOVECOT_2_4_2),
        ("3.0", DOVECOT_2_4_2),
        ("2.3.11.3", DOVECOT_2_3_13),
        ("2.2.36", DOVECOT_2_4_2),
        ("0.0.0-37075+f28b5a92ec", DOVECOT_2_4_2),
        ("main", DOVECOT_2_4_2),
    ],
)
def test_a_version_never_seen_gets_the_newest_and_one_warning(text: str, dialect: Dialect) -> None:
    chosen, warning = choose_dialect({"DOVECOT_VERSION": text})
    assert chosen is dialect
    assert warning
    assert text in warning
    assert dialect.name in warning


@pytest.mark.parametrize(
    ("variables", "dialect"),
    [
        ({"IDLE_KILL": "60", "CONFIG_FILE": "/run/dovecot/config"}, DOVECOT_2_3_19),
        ({"CONFIG_FILE_SOCKET": "/run/dovecot/config"}, DOVECOT_2_4_1),
        ({"CONFIG_FILE_SOCKET": "c", "DOVECOT_ACCEPTED_CLIENT_LISTENER_FD": "9"}, DOVECOT_2_4_2),
    ],
)
def test_without_a_version_the_variables_tell(variables: dict[str, str], dialect: Dialect) -> None:
    """version_ignore = yes: master does not name its version."""
    assert choose_dialect(variables) == (dialect, None)


@pytest.mark.parametrize("text", ["", "x", "2", ".4", "two.four"])
def test_what_is_no_version(text: str) -> None:
    assert parse_version(text) is None


def test_each_dialect_differs_where_it_must() -> None:
    assert [d.first_listener_fd for d in (DOVECOT_2_3_19, DOVECOT_2_4_1, DOVECOT_2_4_2)] == [7, 8, 9]
    assert [d.status_when_exhausted for d in (DOVECOT_2_3_19, DOVECOT_2_4_1)] == [0, 0]
    assert DOVECOT_2_4_2.status_when_exhausted == STATUS_NEVER_AGAIN
    assert [d.login_greets for d in (DOVECOT_2_3_13, DOVECOT_2_3_19, DOVECOT_2_4_1)] == [False, False, True]
