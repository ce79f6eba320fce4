"""Reading the configuration by running ``doveconf``: for a process that stands alone or lacks the socket.

doveconf parses the files itself, so it needs the right to read them (root).
"""

from __future__ import annotations

import os
import sys

from dovecot_urlauth.config.settings import SettingsError
from dovecot_urlauth.wire.config_text import parse_lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.config.wanted import Wanted

DEFAULT_PATH = "/usr/local/bin:/usr/bin:/bin"
"""Master gives its 2.3 children no PATH."""

COPY_CONFIG = b"""\
import os
fd = int(os.environ["DOVECOT_CONFIG_FD"])
while data := os.read(fd, 65536):
    os.write(1, data)
"""
"""A program of Python's: Debian's sh cannot redirect descriptors above nine, and /dev/fd is not everywhere."""

READ_SIZE = 64 * 1024


def print_values(config_file: bytes, wanted: Wanted) -> dict[str, str]:
    """2.3: the explicit settings of ``wanted``, in the lines that the config socket would send.

    Raises SettingsError.
    """
    options = [b"-c", config_file, b"-n", b"-S", b"-f", b"service=" + wanted.service.encode()]
    for module in wanted.modules:
        options += [b"-m", module.encode()]
    return parse_lines(_run(options).split(b"\n"))


def print_blocks(config_file: bytes) -> str:
    """2.4: everything that is set, as text with its blocks.  Raises SettingsError."""
    return _run([b"-c", config_file, b"-n"]).decode("utf-8", "surrogateescape")


def dump_file(config_file: bytes) -> int:
    """2.4: an fd of the parsed configuration, owned by the caller.  Raises SettingsError.

    doveconf hands its fd only to a program that it starts; that program copies the file.
    """
    fd = os.memfd_create("dovecot.conf.binary")
    try:
        interpreter = os.fsencode(sys.executable)
        pid, complaints = _spawn([b"-c", config_file, b"-F", interpreter, b"-IBSc", COPY_CONFIG], fd)
        _expect_success(pid, complaints)
    except OSError as error:
        os.close(fd)
        raise SettingsError(f"execv(doveconf) failed: {error.strerror}") from None
    except SettingsError:
        os.close(fd)
        raise
    return fd


def _run(options: list[bytes]) -> bytes:
    out_read, out_write = os.pipe()
    try:
        pid, complaints = _spawn(options, out_write)
    except OSError as error:
        os.close(out_read)
        raise SettingsError(f"execv(doveconf) failed: {error.strerror}") from None
    finally:
        os.close(out_write)
    output = _drain(out_read)
    _expect_success(pid, complaints)
    return output


def _spawn(options: list[bytes], output: int) -> tuple[int, int]:
    """Start doveconf writing to ``output``; return its pid and the read end of its stderr."""
    complaints_read, complaints_write = os.pipe()
    actions = [(os.POSIX_SPAWN_DUP2, output, 1), (os.POSIX_SPAWN_DUP2, complaints_write, 2)]
    try:
        program = _find_doveconf()
        arguments = [os.fsencode(program), *options]
        pid = os.posix_spawn(program, arguments, {"PATH": DEFAULT_PATH}, file_actions=actions)
    except OSError:
        os.close(complaints_read)
        raise
    finally:
        os.close(complaints_write)
    return pid, complaints_read


def _find_doveconf() -> str:
    for directory in os.environ.get("PATH", DEFAULT_PATH).split(":"):
        program = f"{directory}/doveconf"
        if os.access(program, os.X_OK):
            return program
    raise FileNotFoundError(2, os.strerror(2))


def _drain(fd: int) -> bytes:
    pieces = []
    with open(fd, "rb", buffering=0) as pipe:
        while piece := pipe.read(READ_SIZE):
            pieces.append(piece)
    return b"".join(pieces)


def _expect_success(pid: int, complaints: int) -> None:
    said = _drain(complaints).decode("utf-8", "replace").strip()
    _, status = os.waitpid(pid, 0)
    if status:
        raise SettingsError(said or f"doveconf exited with status {os.waitstatus_to_exitcode(status)}")
