"""Dovecot 2.3's configuration as key=value lines over the socket ``base_dir/config``.

One request line asks for the settings of some modules as one service sees them; the answer is a line of
flags, ``key=value`` lines, and an empty line, or ``ERROR <text>``.  Only explicit values are sent.
Behaviour of config/config-connection.c and config-request.c; ``doveconf -n -S`` prints the same lines.
"""

from __future__ import annotations

from dovecot_urlauth.start.frozen import Enum
from dovecot_urlauth.wire.lines import ProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

HELLO = b"VERSION\tconfig\t2\t0\n"

LINE_FEED_IN_VALUE = b"\x03"
ERROR_MARK = b"ERROR "


class ConfigRefused(ProtocolError):
    """The config process cannot give these settings; ``text`` is its own reason."""


class State(Enum):
    """Whether the answer is complete."""

    ANSWER = "answer"
    DONE = "done"


def request(modules: Iterable[str], service: str) -> bytes:
    """The bytes that ask for ``modules`` with the filter ``service``.

    Dovecot escapes nothing here and its server ignores ``user=``, so no text of a client may enter it.
    """
    words = ["REQ", *("module=" + module for module in modules), "service=" + service]
    return HELLO + "\t".join(words).encode("ascii") + b"\n"


class ConfigReply:
    """Collects one answer.

    >>> reply = ConfigReply()
    >>> reply.receive_data(b"\\nmail_location=maildir:~/Maildir\\n\\n")
    >>> reply.next_event()
    {'mail_location': 'maildir:~/Maildir'}
    """

    def __init__(self) -> None:
        self.state = State.ANSWER
        self._received = bytearray()
        self._searched = 0

    def receive_data(self, data: bytes) -> None:
        """Append what the server sent."""
        self._received += data

    def next_event(self) -> dict[str, str] | None:
        """The explicit settings in the server's order, once the answer is complete; raises ConfigRefused."""
        flags_end = self._received.find(b"\n")
        if self.state is State.DONE or flags_end < 0:
            return None
        self._raise_error(flags_end + 1)
        end = self._received.find(b"\n\n", max(self._searched, flags_end))
        self._searched = len(self._received) - 1
        if end < 0:
            return None
        self.state = State.DONE
        return parse_lines(bytes(self._received[:end]).split(b"\n")[1:])

    def _raise_error(self, start: int) -> None:
        if not self._received.startswith(ERROR_MARK, start):
            return
        end = self._received.find(b"\n", start)
        if end >= 0:
            raise ConfigRefused(_text(bytes(self._received[start + len(ERROR_MARK) : end])))


def parse_lines(lines: Iterable[bytes]) -> dict[str, str]:
    """``key=value`` lines to a mapping; a line without ``=`` holds no setting and is passed over."""
    values = {}
    for line in lines:
        key, equals, value = line.partition(b"=")
        if equals:
            values[_text(key)] = _text(value.replace(LINE_FEED_IN_VALUE, b"\n"))
    return values


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")
