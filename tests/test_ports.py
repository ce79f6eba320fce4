"""Ports for private Dovecots: a process's own, so that two which test at once never listen at the same."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from testing import ports
from testing.ports import BLOCK, PORTS, free_ports

ROOT = Path(__file__).resolve().parents[1]


def test_each_call_gives_others() -> None:
    given = [port for _ in range(10) for port in free_ports(3)]
    assert len(set(given)) == len(given)
    assert all(port in PORTS for port in given)


def test_no_two_processes_choose_the_same() -> None:
    code = f"from testing.ports import free_ports; print(free_ports({BLOCK // 2})); input()"
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(5)
    ]
    lists = []
    for process in started:
        assert process.stdout is not None
        lists.append(process.stdout.readline())
    for process in started:
        process.communicate("\n", timeout=30)
    blocks = {(int(line.strip("[]\n").split(", ")[0]) - PORTS.start) // BLOCK for line in lists}
    assert len(blocks) == len(started), "each has a block"


def test_a_forked_process_takes_another_block() -> None:
    (mine,) = free_ports(1)
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.write(writing, str(free_ports(1)[0]).encode())
        os._exit(0)
    os.waitpid(child, 0)
    theirs = int(os.read(reading, 10))
    os.close(reading)
    os.close(writing)
    assert (theirs - PORTS.start) // BLOCK != (mine - PORTS.start) // BLOCK


def test_one_that_somebody_listens_at_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    port, another = free_ports(2)
    with socket.create_server(("127.0.0.1", port)):
        monkeypatch.setattr(ports._own_block(os.getpid()), "ports", iter([port, another]))
        assert free_ports(1) == [another]


def test_a_block_that_has_none_left_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports._own_block(os.getpid()), "ports", iter([]))
    with pytest.raises(OSError, match="1 free ports are wanted, 0 are left"):
        free_ports(1)


def test_more_processes_than_blocks_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports._Block, "_is_ours", lambda block, start: False)
    with pytest.raises(OSError, match="every block of ports"):
        ports._Block()
