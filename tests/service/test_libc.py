"""The system calls that Python has no name for."""

from __future__ import annotations

import os
import struct

import pytest

from dovecot_urlauth.service.libc import install_filter, prctl, signalfd, syscall

PR_GET_NAME_UNKNOWN = 9999
RETURN_ERRNO_38_OR_ALLOW = [
    # load the number of the call; for getppid say ENOSYS, allow the rest
    (0x20, 0, 0, 0),
    (0x15, 0, 1, 110),
    (0x06, 0, 0, 0x00050026),
    (0x06, 0, 0, 0x7FFF0000),
]


def test_a_call_that_fails_raises() -> None:
    with pytest.raises(OSError, match="prctl failed"):
        prctl(PR_GET_NAME_UNKNOWN)


def test_a_call_by_number() -> None:
    assert syscall(39) == os.getpid()


def test_a_signalfd_is_a_descriptor_that_is_not_inherited() -> None:
    fd = signalfd(frozenset((10, 12)))
    assert not os.get_inheritable(fd)
    with pytest.raises(BlockingIOError):
        os.read(fd, 128)
    os.close(fd)


@pytest.mark.skipif(os.uname().machine != "x86_64" or os.getuid() != 0, reason="numbers of this machine; root")
def test_a_filter_is_obeyed() -> None:
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            install_filter(b"".join(struct.pack("=HBBI", *step) for step in RETURN_ERRNO_38_OR_ALLOW))
            try:
                syscall(110)
            except OSError:
                status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
