"""The engine's command line and environment."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from dovecot_urlauth.config.settings import Settings
from dovecot_urlauth.store.engine.engine_start import prepare_engine
from dovecot_urlauth.store.engine.imap_process import Command
from tests.store.user import SETTINGS_2_4, user

VARIABLES = {b"TZ": b"UTC", b"PATH": b"/bin", b"DOVECOT_HOSTNAME": b"mx", b"SECRET": b"x"}
SETTINGS = Settings({"mail_location": "maildir:~/Maildir", "plugin/quota": "count:ä", "namespace": "inbox"})
PATH = Path("/home/bob")


def options(command: Command) -> list[bytes]:
    words = command.arguments
    return [word for before, word in pairwise(words) if before == b"-o"]


def test_2_3_gets_its_settings_in_the_environment() -> None:
    start = prepare_engine(SETTINGS, b"/lib", None, (), VARIABLES)
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
    start = prepare_engine(SETTINGS, b"/lib", 77, (), VARIABLES)
    assert start.config_fd == 77
    assert start.environment[b"DOVECOT_CONFIG_FD"] == b"3"
    assert b"MAIL_LOCATION" not in start.environment
    assert b"DOVECONF_ENV" not in start.environment


def test_what_import_environment_names_is_inherited() -> None:
    start = prepare_engine(SETTINGS, b"/lib", 77, ("SECRET", "ABSENT"), VARIABLES)
    assert start.environment[b"SECRET"] == b"x"
    assert not {b"ABSENT", b"PATH"} & set(start.environment)


def test_the_user_is_one_word() -> None:
    command = prepare_engine(SETTINGS, b"/lib", 77, (), {}).asking(b"-o x y")
    assert command.arguments[:3] == (b"dovecot/imap", b"-u", b"-o x y")
    assert b"imap_metadata=yes" in options(command)
    assert not [word for word in command.arguments if word.startswith(b"mail_plugins")]


def test_no_raw_log() -> None:
    """It would have the mailbox key in it."""
    start = prepare_engine(SETTINGS, b"/lib", 77, (), {})
    assert b"rawlog_dir=" in options(start.asking(b"u"))
    assert b"rawlog_dir=" in options(start.told(user(PATH, {"rawlog_dir": "/tmp"})))


def test_only_a_known_list_is_shortened() -> None:
    start = prepare_engine(SETTINGS, b"/lib", None, (), {})
    spared = start.asking(b"u", Settings({"mail_plugins": "acl quota"})).arguments
    assert spared[-2:] == (b"-o", b"mail_plugins=acl")
    kept = start.asking(b"u", Settings({"mail_plugins": "acl other quota"})).arguments
    assert kept[-2:] == (b"-o", b"mail_plugins=acl other quota")


def test_settings_that_decide_rights_are_given_on() -> None:
    start = prepare_engine(SETTINGS, b"/lib", 77, (), {})
    settings = Settings({"mail_plugins": "acl", "acl_driver": "vfile", "acl/x/rights": "r", "mail_path": "m"})
    assert options(start.asking(b"u", settings))[-2:] == [b"mail_plugins=acl", b"acl_driver=vfile"]
    whose = Settings({"mail_plugins": "acl", "acl_user": "%{user}"})
    assert options(start.asking(b"u@d", whose))[-1] == b"acl_user=u@d"


def test_2_3_is_told_everything() -> None:
    bob = user(PATH, {"mail_location": "maildir:~/Other", "mail_plugins": "quota"})
    bob.uid, bob.gid = 7, 8
    command = prepare_engine(SETTINGS, b"/lib", None, (), VARIABLES).told(bob)
    assert b"-u" not in command.arguments
    assert command.environment[b"MAIL_LOCATION"] == b"maildir:~/Other"
    assert (command.environment[b"USER"], command.environment[b"HOME"]) == (b"bob", b"/home/bob")
    assert set(options(command)) >= {b"mail_uid=7", b"mail_gid=8", b"mail_home=/home/bob", b"mail_plugins="}


def test_2_4_is_told_what_the_userdb_overrode() -> None:
    base = Settings({**SETTINGS_2_4, "imap_urlauth_host": "%{user|domain}"})
    changes = {"mail_path": "~/Other", "imap_urlauth_host": "h", "mail_plugins": ""}
    bob = user(Path("/home/50%"), changes, SETTINGS_2_4)
    command = prepare_engine(base, b"/lib", 77, (), VARIABLES).told(bob)
    told = options(command)
    assert b"mail_path=~/Other" in told
    assert b"mail_home=/home/50%%" in told
    assert [option for option in told if option.startswith(b"imap_urlauth_host")] == [
        b"imap_urlauth_host=localhost"
    ]
    assert not [option for option in told if option.startswith(b"mail_driver")]


def test_what_only_the_userdb_knows_is_asked_for() -> None:
    bob = user(PATH, {"mail_path": "%{userdb:where}"}, SETTINGS_2_4)
    command = prepare_engine(SETTINGS, b"/lib", 77, (), {}).told(bob)
    assert command.arguments[:3] == (b"dovecot/imap", b"-u", b"bob")


@pytest.mark.parametrize("config_fd", [None, 77])
def test_what_the_worker_was_given_the_engine_is_given(config_fd: int | None) -> None:
    """But for what it must be given in any case."""
    given = {"mail_debug": "yes", "mail_plugins": "nonsense"}
    start = prepare_engine(SETTINGS.merged(given), b"/lib", config_fd, (), {}, given)
    arguments = start.asking(b"alice").arguments
    assert arguments.count(b"mail_debug=yes") == 1
    assert arguments[arguments.index(b"mail_debug=yes") - 1] == b"-o"
    told = start.asking(b"alice", SETTINGS).arguments
    assert b"mail_debug=yes" in told
    assert b"mail_plugins=nonsense" not in told
