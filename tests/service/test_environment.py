"""The environment of a service process, as master was recorded to give it."""

from __future__ import annotations

import pytest

from dovecot_urlauth.service.environment import EnvironmentInvalid, Restrictions, read_environment

LOGIN_2_3 = {
    "DOVECOT_CHILD_PROCESS": "1",
    "CONFIG_FILE": "/run/dovecot/config",
    "SERVICE_NAME": "imap-urlauth-login",
    "CLIENT_LIMIT": "1",
    "PROCESS_LIMIT": "100",
    "IDLE_KILL": "60",
    "SERVICE_COUNT": "1",
    "GENERATION": "13",
    "DOVECOT_VERSION": "2.3.19.1",
    "LOG_DEBUG": "",
    "SOCKET0_SETTINGS": "imap-urlauth",
    "LOG_SERVICE": "1",
    "SOCKET_COUNT": "1",
    "RESTRICT_CHROOT": "/run/dovecot/token-login",
    "RESTRICT_SETUID": "103",
    "RESTRICT_SETGID": "106",
}
WORKER_2_4 = {
    "DOVECOT_CHILD_PROCESS": "1",
    "CONFIG_FILE": "/etc/dovecot/dovecot.conf",
    "CONFIG_FILE_SOCKET": "/run/dovecot/config",
    "SERVICE_NAME": "imap-urlauth-worker",
    "CLIENT_LIMIT": "200",
    "SERVICE_COUNT": "4294967295",
    "GENERATION": "4",
    "VERBOSE_PROCTITLE": "1",
    "LOG_SERVICE": "1",
    "SOCKET_COUNT": "1",
    "DOVECOT_ACCEPTED_CLIENT_LISTENER_FD": "9",
    "RESTRICT_SETEXTRAGROUPS": "105,106",
}


def test_login_process_of_2_3() -> None:
    environment = read_environment(LOGIN_2_3, "x")
    assert environment.under_master
    assert (environment.client_limit, environment.service_count, environment.generation) == (1, 1, 13)
    assert environment.config_socket == b"/run/dovecot/config"
    assert environment.config_file is None
    assert environment.verbose_proctitle is None
    assert environment.restrictions == Restrictions(uid=103, gid=106, chroot=b"/run/dovecot/token-login")


def test_worker_process_of_2_4() -> None:
    environment = read_environment(WORKER_2_4, "x")
    assert (environment.client_limit, environment.service_count) == (200, None)
    assert environment.config_socket == b"/run/dovecot/config"
    assert environment.config_file == b"/etc/dovecot/dovecot.conf"
    assert environment.verbose_proctitle is True
    assert environment.accepted_listener_fd == 9
    assert environment.restrictions.extra_groups == (105, 106)


def test_standing_alone() -> None:
    environment = read_environment({"CONFIG_FILE": "/etc/dovecot/dovecot.conf"}, "imap-urlauth")
    assert not environment.under_master
    assert environment.service_name == "imap-urlauth"
    assert environment.config_socket is None
    assert environment.config_file == b"/etc/dovecot/dovecot.conf"


def test_a_trailing_slash_of_the_chroot_is_trimmed() -> None:
    variables = {**LOGIN_2_3, "RESTRICT_CHROOT": "/run/dovecot/token-login/"}
    assert read_environment(variables, "x").restrictions.chroot == b"/run/dovecot/token-login"


@pytest.mark.parametrize("name", ["CLIENT_LIMIT", "SERVICE_COUNT", "GENERATION", "RESTRICT_SETUID"])
@pytest.mark.parametrize("value", ["-1", "x", "1 ", "¹"])
def test_a_number_that_is_none_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(EnvironmentInvalid, match=name):
        read_environment({**LOGIN_2_3, name: value}, "x")


def test_an_unknown_group_is_refused() -> None:
    with pytest.raises(EnvironmentInvalid, match="Unknown group no-such-group"):
        read_environment({**WORKER_2_4, "RESTRICT_SETEXTRAGROUPS": "no-such-group"}, "x")
