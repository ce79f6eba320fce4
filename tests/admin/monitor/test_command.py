"""The monitor as a command and as a service, scraped over loopback."""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from dovecot_urlauth.admin.main import main
from dovecot_urlauth.admin.master import Master, MasterUnknown
from dovecot_urlauth.admin.monitor import metrics
from dovecot_urlauth.admin.monitor.command import ENDING, PACKAGES, parse_listen, run_monitor
from dovecot_urlauth.admin.monitor.failure import MonitorFailure
from testing.ports import free_ports
from testing.processes import wait_for

ROOT = Path(__file__).resolve().parents[3]


def free_port() -> int:
    return free_ports(1)[0]


def scrape(port: int) -> dict[str, float]:
    """Name and labels of each number."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    return {
        f"{sample.name}{sorted(sample.labels.values())}": sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def start(*words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "dovecot_urlauth.admin", "monitor", *words]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dovecot-urlauth", "monitor", "--once"]) == 0
    assert "imap-urlauth-login" in capsys.readouterr().out


def test_no_dovecot_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dovecot-urlauth", "monitor", "--once", "--base-dir", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"dovecot-urlauth: no Dovecot runs with base_dir {tmp_path} (")
    assert "Errno" not in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--daemon",), "--daemon is of use only with --listen"),
        (("--listen", "9166", "--pid-file", "/x"), "--pid-file is of use only with --daemon"),
        (("--listen", "9166", "--user", "nobody"), "--user is of use only with --daemon"),
        (("--once", "--user", "nobody"), "--user is of use only with --daemon"),
        (("--listen", "9166", "--once"), "--listen and --once do not go together"),
        (("--listen", "9166", "--interval", "5"), "--listen and --interval do not go together"),
        (("--once", "--interval", "5"), "--once and --interval do not go together"),
    ],
)
def test_words_without_effect(words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dovecot-urlauth", "monitor", *words]) == 2
    assert capsys.readouterr().err == f"dovecot-urlauth: monitor: {said}\n"


def test_it_is_scraped_and_ends_at_sigterm() -> None:
    port = free_port()
    with start("--listen", str(port)) as process:
        assert process.stdout
        assert process.stdout.readline() == f"http://127.0.0.1:{port}/metrics\n"
        found = scrape(port)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    assert found["dovecot_urlauth_up[]"] == 1
    assert "dovecot_urlauth_processes['dovecot-urlauth', 'imap-urlauth-worker', 'spare']" in found


def test_a_dovecot_that_does_not_run_is_down(tmp_path: Path) -> None:
    port = free_port()
    with start("--listen", str(port), "--base-dir", str(tmp_path)) as process:
        assert process.stdout
        process.stdout.readline()
        found = scrape(port)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    assert found == {"dovecot_urlauth_up[]": 0}


def test_as_a_daemon_it_holds_its_pid_file(tmp_path: Path) -> None:
    port, pid_file = free_port(), tmp_path / "monitor.pid"
    with start("--listen", str(port), "--daemon", "--pid-file", str(pid_file)) as process:
        assert process.communicate(timeout=20) == ("", ""), "it holds no pipe of whoever starts it"
        assert process.returncode == 0
    assert wait_for(pid_file.exists)
    pid = int(pid_file.read_text())
    try:
        assert wait_for(lambda: _answers(port), 20)
        assert os.getsid(pid) != os.getsid(0)
    finally:
        os.kill(pid, signal.SIGTERM)
    assert wait_for(lambda: not Path(f"/proc/{pid}").exists(), 20)
    assert not pid_file.exists()


def test_a_pid_file_is_for_one(tmp_path: Path) -> None:
    pid_file = tmp_path / "monitor.pid"
    pid_file.write_text(f"{os.getpid()}\n")
    with start("--listen", str(free_port()), "--daemon", "--pid-file", str(pid_file)) as process:
        assert process.wait(20) == 1
        assert process.stderr
        said = process.stderr.read()
    assert said == f"dovecot-urlauth: {pid_file} is locked: process {os.getpid()} runs already\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_a_daemon_becomes_its_user_and_takes_over_what_one_left_that_was_killed(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="urlauth-", dir="/var/lib") as folder:
        os.chown(folder, 65534, 65534)
        port, pid_file = free_port(), Path(folder) / "monitor.pid"
        with subprocess.Popen(["true"]) as gone:
            gone.wait()
        pid_file.write_text(f"{gone.pid}\n")
        (Path(folder) / "master.pid").write_text(f"{os.getpid()}\n")
        (Path(folder) / "master.pid").chmod(0o600)
        words = ("--listen", str(port), "--daemon", "--pid-file", str(pid_file), "--user", "nobody")
        with start(*words, "--base-dir", folder) as process:
            assert process.wait(20) == 0
        assert wait_for(lambda: pid_file.exists() and pid_file.read_text() != f"{gone.pid}\n", 20)
        pid = int(pid_file.read_text())
        try:
            assert wait_for(lambda: _answers(port), 20)
            assert scrape(port)["dovecot_urlauth_up[]"] == 1, (
                "as root has seen it, who alone may read the pid file"
            )
            assert os.stat(f"/proc/{pid}").st_uid == 65534
            assert os.stat(f"/proc/{pid}").st_gid == 65534
        finally:
            os.kill(pid, signal.SIGTERM)
        assert wait_for(lambda: not Path(f"/proc/{pid}").exists(), 20)


def test_it_listens_on_loopback_alone() -> None:
    port = free_port()
    with start("--listen", str(port)) as process:
        assert process.stdout
        process.stdout.readline()
        listening = [line.split()[1] for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    assert [place for place in listening if place.endswith(f":{port:04X}")] == [f"0100007F:{port:04X}"]


@pytest.mark.parametrize("interval", ["0", "-1", "nan"])
def test_no_time_to_wait(interval: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["dovecot-urlauth", "monitor", f"--interval={interval}"])
    assert ended.value.code == 2
    assert "not a time to wait" in capsys.readouterr().err


def test_a_taken_port_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with start("--listen", str(port)) as process:
            assert process.wait(20) == 1
            assert process.stderr
            assert process.stderr.read().startswith(f"dovecot-urlauth: cannot listen on 127.0.0.1 port {port}: ")


@pytest.mark.parametrize("words", [(), ("--pid-file", "/nonexistent/monitor.pid")], ids=["port", "pid file"])
def test_a_daemon_that_cannot_be_is_said_by_whoever_starts_it(words: tuple[str, ...]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = free_port() if words else listener.getsockname()[1]
        with start("--listen", str(port), "--daemon", *words) as process:
            assert process.wait(20) == 1
            assert process.stderr
            said = process.stderr.read()
    expected = "/nonexistent/monitor.pid" if words else f"cannot listen on 127.0.0.1 port {port}"
    assert expected in said
    assert said.count("\n") == 1
    assert "please report" not in said


def test_what_only_root_may_know_is_not_guessed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(master: Master) -> int:
        raise MasterUnknown("only root knows")

    monkeypatch.setattr(Master, "pid", unknown)
    for words in (["--once"], ["--listen", str(free_port())]):
        assert main(["dovecot-urlauth", "monitor", *words, "--base-dir", str(tmp_path)]) == 1


@pytest.mark.parametrize("module", PACKAGES)
def test_which_package_is_missing(
    module: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def listen(*_: object) -> None:
        raise ModuleNotFoundError(f"No module named {module!r}", name=module)

    monkeypatch.setattr(metrics, "listen", listen)
    assert main(["dovecot-urlauth", "monitor", "--listen", str(free_port())]) == 1
    assert capsys.readouterr().err == f"dovecot-urlauth: No module named {module!r}: install {PACKAGES[module]}\n"
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)


def test_an_address_of_ip_6(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6) as listener:
            port = listener.getsockname()[1]
    except OSError:
        pytest.skip("no IPv6 here")
    with start("--listen", f"[::1]:{port}") as process:
        assert process.stdout
        assert process.stdout.readline() == f"http://[::1]:{port}/metrics\n"
        with urllib.request.urlopen(f"http://[::1]:{port}/metrics", timeout=10) as answer:
            assert b"dovecot_urlauth_up 1.0" in answer.read()
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


@pytest.mark.parametrize("text", ["", "x", "127.0.0.1:", "0", "65536", "-1"])
def test_no_port(text: str) -> None:
    with pytest.raises(MonitorFailure):
        parse_listen(text)


def test_listening_elsewhere_must_be_said() -> None:
    assert parse_listen("9166") == ("127.0.0.1", 9166)
    assert parse_listen("192.0.2.1:9166") == ("192.0.2.1", 9166)
    assert parse_listen("[::1]:9166") == ("::1", 9166)


def test_an_unknown_user() -> None:
    given = argparse.Namespace(
        listen=str(free_port()),
        daemon=True,
        user="nobody-of-this-name",
        pid_file=None,
        base_dir=None,
        file=None,
        once=False,
        interval=None,
    )
    with pytest.raises(MonitorFailure, match="no such user"):
        run_monitor(given)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM, signal.SIGINT))


def _answers(port: int) -> bool:
    try:
        return "dovecot_urlauth_up[]" in scrape(port)
    except OSError:
        time.sleep(0.05)
        return False
