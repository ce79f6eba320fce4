"""The engine's command line and environment."""

from __future__ import annotations

import pytest

from dovecot_urlauth.config.settings import Settings
from dovecot_urlauth.store.engine.engine_start import needed_plugins, prepare_engine

VARIABLES = {b"TZ": b"UTC", b"PATH": b"/bin", b"DOVECOT_HOSTNAME": b"mx", b"SECRET": b"x"}
SETTINGS = Settings({"mail_location": "maildir:~/Maildir", "plugin/quota": "count:ä", "namespace": "inbox"})


def test_2_3_gets_its_settings_in_the_environment() -> None:
    start = prepare_engine("2.3", SETTINGS, b"/lib", None, VARIABLES)
    assert start.program == b"/lib/imap"
    assert start.config_fd is None
    assert start.environment == {
        b"TZ": b"UTC",
        b"DOVECOT_HOSTNAME": b"mx",
        b"STATS_WRITER_SOCKET_PATH": b"",
        b"DOVECONF_ENV": b"1",
        b"MAIL_LOCATION": b"maildir:~/Maildir",
        b"PLUGIN/QUOTA": "count:ä".encode(),
        b"NAMESPACE": b"inbox",
    }


def test_2_4_gets_a_descriptor() -> None:
    start = prepare_engine("2.4", SETTINGS, b"/lib", 77, VARIABLES)
    assert start.config_fd == 77
    assert start.environment[b"DOVECOT_CONFIG_FD"] == b"3"
    assert b"MAIL_LOCATION" not in start.environment
    assert b"DOVECONF_ENV" not in start.environment


def test_the_user_is_one_word() -> None:
    command = prepare_engine("2.4", SETTINGS, b"/lib", 77, {}).command(b"-o x y")
    assert command.arguments[:3] == (b"imap", b"-u", b"-o x y")
    assert b"imap_metadata=yes" in command.arguments
    assert not [word for word in command.arguments if word.startswith(b"mail_plugins")]


@pytest.mark.parametrize(
    ("plugins", "needed"),
    [
        ("", ""),
        ("quota imap_quota last_login", ""),
        ("acl imap_acl zlib", "acl zlib"),
        (" quota,mail_crypt , notify", "mail_crypt"),
        ("quota somebodys_plugin", None),
    ],
)
def test_needed_plugins(plugins: str, needed: str | None) -> None:
    assert needed_plugins(plugins) == needed


def test_only_a_known_list_is_shortened() -> None:
    start = prepare_engine("2.3", SETTINGS, b"/lib", None, {})
    spared = start.command(b"u", Settings({"mail_plugins": "acl quota"})).arguments
    assert spared[-2:] == (b"-o", b"mail_plugins=acl")
    kept = start.command(b"u", Settings({"mail_plugins": "acl other"})).arguments
    assert not [word for word in kept if word.startswith(b"mail_plugins")]
