"""Dovecot 2.3's configuration as key=value lines over the socket ``base_dir/config``.

One request line asks for the settings of some modules as one service sees them; the answer is a line of
flags, ``key=value`` lines, and an empty line, or ``ERROR <text>``.  Only explicit values are sent.
Behaviour of config/config-connection.c and config-request.c; ``doveconf -n -S`` prints the same lines.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

HELLO = b"VERSION\tconfig\t2\t0\n"

LINE_FEED_IN_VALUE = b"\x03"
ERROR_MARK = b"ERROR "


class ConfigRefused(Exception):
    """The config process cannot give these settings; ``text`` is its own reason."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


def request(modules: Iterable[str], service: str) -> bytes:
    """The bytes that ask for ``modules`` with the filter ``service``.

    Dovecot escapes nothing here and its server ignores ``user=``, so no text of a client may enter it.
    """
    words = ["REQ", *("module=" + module for module in modules), "service=" + service]
    return HELLO + "\t".join(words).encode("ascii") + b"\n"


class ConfigReply:
    """Collects one answer.

    >>> reply = ConfigReply()
    >>> reply.feed(b"\\nmail_location=maildir:~/Maildir\\n\\n")
    True
    >>> reply.values()
    {'mail_location': 'maildir:~/Maildir'}
    """

    def __init__(self) -> None:
        self._received = bytearray()
        self._end = -1

    def feed(self, data: bytes) -> bool:
        """Take bytes from the server; True once the answer is complete.  Raises :class:`ConfigRefused`."""
        searched = max(len(self._received) - 1, 0)
        self._received += data
        flags_end = self._received.find(b"\n")
        if flags_end < 0:
            return False
        self._raise_error(flags_end + 1)
        if self._end < 0:
            self._end = self._received.find(b"\n\n", max(searched, flags_end))
        return self._end >= 0

    def _raise_error(self, start: int) -> None:
        if not self._received.startswith(ERROR_MARK, start):
            return
        end = self._received.find(b"\n", start)
        if end >= 0:
            raise ConfigRefused(_text(bytes(self._received[start + len(ERROR_MARK) : end])))

    def values(self) -> dict[str, str]:
        """The explicit settings of a complete answer, in the server's order."""
        lines = bytes(self._received[: self._end]).split(b"\n")
        return parse_lines(lines[1:])


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
