"""Against a config process of our own on a UNIX socket, a doveconf of our own in PATH, and the real doveconf."""

from __future__ import annotations

import array
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dovecot_urlauth.config import ask
from dovecot_urlauth.config.read import read_config_file, read_settings, receive_config_fd
from dovecot_urlauth.config.settings import Settings, SettingsError
from dovecot_urlauth.config.wanted import BROKER, TARGET_USER
from dovecot_urlauth.dialect.choose import choose_dialect
from dovecot_urlauth.dialect.dialect import ConfigSource
from dovecot_urlauth.service.environment import Environment, read_environment
from tests.wire.test_config_binary import build

TEXT = ConfigSource.TEXT_SOCKET


def child_of_2_3(path: Path) -> Environment:
    return read_environment({"DOVECOT_CHILD_PROCESS": "1", "CONFIG_FILE": str(path)}, "x")


def child_of_2_4(path: Path) -> Environment:
    variables = {
        "DOVECOT_CHILD_PROCESS": "1",
        "CONFIG_FILE": str(path.with_name("dovecot.conf")),
        "CONFIG_FILE_SOCKET": str(path),
    }
    return read_environment(variables, "x")


@contextmanager
def config_process(path: Path, answer: Callable[[socket.socket], object]) -> Iterator[list[bytes]]:
    """Answers one connection; gives what it was asked."""
    asked: list[bytes] = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                asked.append(connection.recv(4096))
                answer(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        yield asked
        thread.join()


@pytest.fixture
def no_doveconf(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))


def test_text(tmp_path: Path) -> None:
    path = tmp_path / "config"
    answer = b"\nmail_debug=yes\nplugin/a=b\n\n"
    with config_process(path, lambda connection: connection.sendall(answer)) as asked:
        assert read_settings(child_of_2_3(path), TEXT, BROKER) == Settings({"mail_debug": "yes", "plugin/a": "b"})
    assert asked == [b"VERSION\tconfig\t2\t0\nREQ\tmodule=imap-urlauth\tservice=imap-urlauth\n"]


@pytest.mark.usefixtures("no_doveconf")
@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (b"\nERROR broken\n", "^broken$"),
        (b"\na=b\n", "disconnected before receiving end-of-settings line - Also .* execv\\(doveconf\\) failed"),
    ],
)
def test_text_failures(tmp_path: Path, answer: bytes, text: str) -> None:
    path = tmp_path / "config"
    with config_process(path, lambda connection: connection.sendall(answer)):
        with pytest.raises(SettingsError, match=text):
            read_settings(child_of_2_3(path), TEXT, BROKER)


@pytest.mark.usefixtures("no_doveconf")
def test_a_silent_config_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ask, "TIME_LIMIT", 0.05)
    path = tmp_path / "config"
    hold = threading.Event()
    with config_process(path, lambda connection: hold.wait(5)):
        with pytest.raises(SettingsError, match=r"^Timeout reading config from .*config"):
            read_settings(child_of_2_3(path), TEXT, BROKER)
        hold.set()
    path.unlink()
    hold.clear()
    with config_process(path, lambda connection: hold.wait(5)):
        with pytest.raises(SettingsError, match="Connection timed out"):
            receive_config_fd(child_of_2_4(path))
        hold.set()


@pytest.mark.usefixtures("no_doveconf")
def test_no_config_process(tmp_path: Path) -> None:
    readers: tuple[Callable[[], object], ...] = (
        lambda: read_settings(child_of_2_3(tmp_path / "config"), TEXT, BROKER),
        lambda: read_settings(child_of_2_4(tmp_path / "config"), ConfigSource.BINARY_NATIVE, BROKER),
    )
    for read in readers:
        with pytest.raises(SettingsError, match=r"^net_connect_unix.* failed: No such file or directory - Also"):
            read()


def passing(file: Path, copies: int = 1) -> Callable[[socket.socket], object]:
    def answer(connection: socket.socket) -> None:
        with file.open("rb") as opened:
            rights = array.array("i", [opened.fileno()] * copies)
            connection.sendmsg([b"+\n"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])

    return answer


@pytest.fixture
def parsed(tmp_path: Path) -> Path:
    path = tmp_path / "dovecot.conf.binary"
    path.write_bytes(build("=", [b""], [(b"imap_urlauth", [b"base_dir"], [(0, bytes(9) + b"/run/x\0")])]))
    return path


def test_file(tmp_path: Path, parsed: Path) -> None:
    path = tmp_path / "config"
    with config_process(path, passing(parsed)) as asked:
        settings = read_settings(child_of_2_4(path), ConfigSource.BINARY_NATIVE, BROKER)
    assert settings == Settings({"base_dir": "/run/x"})
    assert asked == [b"VERSION\tconfig\t3\t0\nREQ\n"]


def test_no_fd_is_left_open(tmp_path: Path, parsed: Path) -> None:
    before = os.listdir("/proc/self/fd")
    path = tmp_path / "config"
    with config_process(path, passing(parsed, copies=3)):
        fd = receive_config_fd(child_of_2_4(path))
    assert os.pread(fd, 100, 0) == parsed.read_bytes()[:100]
    assert not os.get_inheritable(fd)
    os.close(fd)
    assert len(os.listdir("/proc/self/fd")) == len(before)


@pytest.mark.usefixtures("no_doveconf")
@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (b"-line 1: wrong\n", "^Failed to read config: line 1: wrong$"),
        (b"+\n", "^Failed to read config: FD not received - Also failed"),
        (b"what\n", "^Failed to read config: Unexpected reply 'what' - Also failed"),
        (b"", "^Failed to read config: Unexpected reply '' - Also failed"),
    ],
)
def test_file_failures(tmp_path: Path, answer: bytes, text: str) -> None:
    path = tmp_path / "config"
    with config_process(path, lambda connection: connection.sendall(answer)):
        with pytest.raises(SettingsError, match=text):
            receive_config_fd(child_of_2_4(path))


@pytest.fixture
def own_doveconf(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """A doveconf that runs the shell's words given, after noting its arguments in a file ``arguments``."""

    def write(words: str) -> None:
        program = tmp_path / "doveconf"
        program.write_text(f'#!/bin/sh\necho "$*" > {tmp_path}/arguments\n{words}\n')
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))

    return write


def test_doveconf_prints_what_the_socket_would_send(tmp_path: Path, own_doveconf: Callable[[str], None]) -> None:
    own_doveconf("echo base_dir=/run/x; echo plugin=; echo plugin/a=b")
    settings = read_settings(child_of_2_3(tmp_path / "config"), TEXT, BROKER)
    assert settings == Settings({"base_dir": "/run/x", "plugin": "", "plugin/a": "b"})
    words = (tmp_path / "arguments").read_text()
    assert words == f"-c {tmp_path}/dovecot.conf -n -S -f service=imap-urlauth -m imap-urlauth\n"


def test_doveconf_hands_over_the_parsed_file(
    tmp_path: Path, parsed: Path, own_doveconf: Callable[[str], None]
) -> None:
    own_doveconf(f'shift 3; exec 7< {parsed}; DOVECOT_CONFIG_FD=7 exec "$@"')
    settings = read_settings(child_of_2_4(tmp_path / "config"), ConfigSource.BINARY_NATIVE, BROKER)
    assert settings == Settings({"base_dir": "/run/x"})


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("echo 'doveconf: Fatal: line 1' >&2; exit 89", "doveconf: Fatal: line 1$"),
        ("exit 89", "doveconf exited with status 89$"),
    ],
)
def test_doveconf_failures(tmp_path: Path, own_doveconf: Callable[[str], None], words: str, text: str) -> None:
    own_doveconf(words)
    with pytest.raises(SettingsError, match=text):
        read_settings(child_of_2_3(tmp_path / "config"), TEXT, BROKER)
    with pytest.raises(SettingsError, match=text):
        receive_config_fd(child_of_2_4(tmp_path / "config"))


CONFIGURATIONS = {
    "2.3": """
        mail_location = maildir:~/Maildir
        imap_urlauth_host = example.org
        protocol imap-urlauth-worker {
          mail_debug = yes
        }
        protocol imap {
          mail_location = mbox:~/mail
        }
        """,
    "2.4": """
        dovecot_config_version = 2.4.0
        dovecot_storage_version = 2.4.0
        mail_driver = maildir
        mail_path = ~/wrong
        imap_urlauth_host = example.org
        protocol imap {
          mail_debug = yes
          mail_path = ~/Maildir
        }
        """,
}


@pytest.mark.dovecot
@pytest.mark.skipif(shutil.which("dovecot") is None, reason="no Dovecot on this machine")
def test_the_real_doveconf(tmp_path: Path) -> None:
    version = subprocess.run(["dovecot", "--version"], capture_output=True, text=True, check=True).stdout
    dialect, _ = choose_dialect({"DOVECOT_VERSION": version.split()[0]})
    (tmp_path / "dovecot.conf").write_text(CONFIGURATIONS[dialect.generation])
    alone = read_environment({"CONFIG_FILE": str(tmp_path / "dovecot.conf")}, "x")
    settings = read_settings(alone, dialect.config_source, TARGET_USER)
    assert settings.get("imap_urlauth_host") == "example.org"
    assert settings.flag("mail_debug")
    assert settings.get("mail_location" if dialect.generation == "2.3" else "mail_path").endswith("~/Maildir")


@pytest.mark.usefixtures("no_doveconf")
def test_the_plugins_that_decide_rights_of_another_service(tmp_path: Path) -> None:
    """2.3: a second question; its other settings do not count."""
    path = tmp_path / "config"
    asked: list[bytes] = []
    answers = [b"\nmail_plugins=quota\n\n", b"\nmail_plugins=acl fts\nplugin/acl=vfile\nmail_debug=yes\n\n"]
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            for answer in answers:
                connection, _ = listener.accept()
                with connection:
                    asked.append(connection.recv(4096))
                    connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        settings = read_settings(child_of_2_3(path), TEXT, TARGET_USER)
        thread.join()
    assert settings == Settings({"mail_plugins": "quota acl", "plugin/acl": "vfile"})
    assert [question.rpartition(b"service=")[2] for question in asked] == [b"imap-urlauth-worker\n", b"imap\n"]


@pytest.mark.usefixtures("no_doveconf")
def test_standing_alone_without_doveconf() -> None:
    alone = read_environment({}, "x")
    for read in (
        lambda: read_settings(alone, TEXT, BROKER),
        lambda: receive_config_fd(alone),
    ):
        with pytest.raises(SettingsError, match=r"^execv\(doveconf\) failed"):
            read()


def test_a_descriptor_that_cannot_be_read(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    try:
        with pytest.raises(SettingsError, match="pread"):
            read_config_file(reader, ConfigSource.BINARY_NATIVE, BROKER)
    finally:
        os.close(reader)
        os.close(writer)


@pytest.mark.usefixtures("no_doveconf")
def test_a_config_process_that_resets_the_connection(tmp_path: Path) -> None:
    path = tmp_path / "config"

    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def serve() -> None:
        connection, _ = listener.accept()
        connection.close()  # with the request unread: the peer sees a reset

    thread = threading.Thread(target=serve)
    thread.start()
    with pytest.raises(SettingsError, match=r"^read\(.*\) failed|disconnected before"):
        read_settings(child_of_2_3(path), TEXT, BROKER)
    thread.join()
    listener.close()


def test_where_the_programs_are_in_2_4(tmp_path: Path) -> None:
    path = tmp_path / "binary"
    path.write_bytes(build("=", [b""], [(b"master", [b"libexec_dir"], [(0, bytes(9) + b"/opt/libexec\0")])]))
    with path.open("rb") as file:
        settings = read_config_file(file.fileno(), ConfigSource.BINARY_NATIVE, TARGET_USER)
    assert settings.get("libexec_dir") == "/opt/libexec"


def unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, printed: str) -> tuple[Settings, list[str]]:
    """A configuration of another layout, beside a doveconf that prints this."""
    binary, program = tmp_path / "binary", tmp_path / "doveconf"
    binary.write_bytes(b"DOVECOT-CONFIG\t9.0\n" + bytes(99))
    program.write_text(f"#!/bin/sh\n{printed}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    warnings: list[str] = []
    monkeypatch.setattr(
        "dovecot_urlauth.config.read.receive_config_fd", lambda environment: os.open(binary, os.O_RDONLY)
    )
    alone = read_environment({"CONFIG_FILE": "/etc/dovecot/dovecot.conf"}, "x")
    return read_settings(alone, ConfigSource.BINARY_NATIVE, TARGET_USER, warnings.append), warnings


def test_a_layout_that_we_do_not_know_is_asked_of_doveconf(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    printed = """
    echo "# $*"
    echo 'mail_plugins = quota'
    echo 'protocol imap {'
    echo '  mail_plugins = acl'
    echo '  mail_path = ~/other'
    echo '}'
    echo 'mail_path = ~/Maildir'"""
    settings, warnings = unknown(tmp_path, monkeypatch, printed)
    assert settings == Settings({"mail_plugins": "quota acl", "mail_path": "~/Maildir"})
    assert len(warnings) == 1
    assert warnings[0].endswith("Unsupported config file version '9.0' - Using what doveconf prints instead")


@pytest.mark.parametrize(
    ("printed", "error"),
    [
        ("echo nonsense", "Also failed to read what doveconf prints: doveconf prints what we do not understand"),
        ("echo broken >&2; exit 1", "Also failed to run doveconf: broken"),
    ],
)
def test_a_layout_that_nobody_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, printed: str, error: str
) -> None:
    with pytest.raises(SettingsError, match=f"Unsupported config file version '9.0' - {error}"):
        unknown(tmp_path, monkeypatch, printed)
