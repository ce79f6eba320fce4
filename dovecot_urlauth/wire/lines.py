"""What all protocols have in common: five methods and a state in h11's manner, lines, one error.

===================  =====================================================================================
``receive_data``     takes what was read, in whatever pieces; where descriptors can come, they are a second
                     parameter
``receive_eof``      the peer has closed its end; raises ProtocolError where it may not do that now
``next_event``       what was understood, one record at a time, or None until more has come; raises
                     ProtocolError behind the last good one
``data_to_send``     what is due to the peer, consumed; commands that we give go there as well
``surplus``          the bytes that belong to whoever speaks next, consumed
``surplus_fds``      descriptors that belong to nothing, consumed: the caller closes them, also after an error
``state``            an Enum: what is due next
===================  =====================================================================================

A protocol has those of them that it needs.  Nothing of it may be used after its ProtocolError but
``data_to_send`` and ``surplus_fds``.

All of Dovecot's text protocols end their lines with LF and tolerate a CR before it (lib/istream.c,
``i_stream_next_line``).  A peer that never sends the LF must not be able to fill our memory, so each
protocol names its limit.
"""

from __future__ import annotations


class ProtocolError(Exception):
    """The peer broke the protocol: log ``texts``, close the connection.

    ``texts`` are the error log lines in Dovecot's words, in order (there may be none); ``text`` is the
    first of them.  ``reason`` is what the line about the disconnect gives as its reason, where the service
    writes such a line.
    """

    def __init__(self, *texts: str, reason: str = "") -> None:
        super().__init__(*texts, *([reason] if reason else []))
        self.texts = texts
        self.reason = reason

    @property
    def text(self) -> str:
        return self.texts[0] if self.texts else self.reason


class LineBuffer:
    """Bytes in, lines out, in time linear in the number of bytes however they are cut.

    ``limit`` is the length in bytes of the longest line, LF included.
    """

    def __init__(self, limit: int, too_long: str = "Input line too long") -> None:
        self.limit = limit
        self._too_long = too_long
        self._bytes = bytearray()
        self._searched = 0

    def append(self, data: bytes) -> None:
        """Append what was read from the peer."""
        self._bytes += data

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left of what was appended."""
        return not self._bytes

    def next_line(self) -> bytes | None:
        """The next line without its LF (nor a CR before that), or None until more bytes are there.

        Raises ProtocolError once ``limit`` bytes are there without a LF among them.
        """
        end = self._bytes.find(b"\n", self._searched, self.limit)
        if end < 0:
            self._searched = min(len(self._bytes), self.limit)
            if len(self._bytes) >= self.limit:
                raise ProtocolError(self._too_long)
            return None
        line = bytes(self._bytes[:end])
        # Cutting a bytearray's front only moves its start, so this is not a copy of the rest.
        del self._bytes[: end + 1]
        self._searched = 0
        return line[:-1] if line.endswith(b"\r") else line

    def take(self, size: int) -> bytes:
        """Up to ``size`` bytes that follow the last line, now consumed."""
        data = bytes(self._bytes[:size])
        del self._bytes[:size]
        self._searched = 0
        return data

    def rest(self) -> bytes:
        """All bytes that follow the last line, now consumed."""
        return self.take(len(self._bytes))


class LineProtocol:
    """A protocol of lines: bytes are collected here and read by the class's own ``next_event``."""

    def __init__(self, lines: LineBuffer, opening: bytes = b"") -> None:
        self._lines = lines
        self._output = opening

    @property
    def is_between_lines(self) -> bool:
        """Whether all that was received has been read, and a line is not there in part."""
        return self._lines.is_empty

    def receive_data(self, data: bytes) -> None:
        """Append what was read."""
        self._lines.append(data)

    def receive_eof(self) -> None:
        """The peer closed its end, which it may at any time."""

    def data_to_send(self) -> bytes:
        """What is due to the peer; consumed."""
        output, self._output = self._output, b""
        return output

    def surplus(self) -> bytes:
        """What came behind the last line of this protocol; consumed."""
        return self._lines.rest()


__all__ = ["LineBuffer", "LineProtocol", "ProtocolError"]
