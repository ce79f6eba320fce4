r"""The dict protocol: the worker asks Dovecot's dict service for one attribute.

A hello names the dictionary and has no answer; a dictionary that the service does not have ends the connection.
2.3.19 of Dovecot speaks major version 3, 2.4 speaks 4, 2.3.13 speaks 2, which names the user in the hello and not
beside the key (``<-`` is dict)::

    -> H3\t2\t0\t\tattributes
    -> Lpriv/0b8f9a.../vendor/vendor.dovecot/imap-urlauth\tbob
    <- *1
    <- +1\tO93acf8...\t1732711485\t120391\t1732711485\t120502

``*<id>`` gives the question a number, and the answer then begins with ``+<id>``; without it the answer comes bare.
Answers are ``O<value>``, ``M<values>`` (tab-escaped once more), ``N`` for no such key and ``F<error>``; the times
behind them are of no use here.

States: IDLE, ASKED, NUMBERED.  Fatal: an answer that nobody waits for or with another number, another letter, a
line above the limit.
(lib-dict/dict-client.h, dict-client.c, dict/dict-commands.c; 2.4: lib-dict-extra.)
"""

from __future__ import annotations

from dovecot_urlauth.start.frozen import Enum, frozen
from dovecot_urlauth.wire.lines import LineBuffer, LineProtocol, ProtocolError
from dovecot_urlauth.wire.number import decimal
from dovecot_urlauth.wire.readable import quoted
from dovecot_urlauth.wire.tabescape import fields, join

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LINE_LIMIT = 1024 * 1024
"""Bytes of an answer; keys of URLs have 128, private keys of mail_crypt a few thousand."""
MINOR = {2: 2, 3: 2, 4: 0}
"""The newest minor version of each major one."""
USER_IN_HELLO = 2
"""The last major version in which a connection is about one user."""
STRING = b"0"
"""The type of values."""


@frozen
class Value:
    """What the dictionary has for the key; the first one, if there are several."""

    value: bytes


@frozen
class NoValue:
    """It has nothing for the key."""


@frozen
class LookupFailed:
    """dict could not look; ``reason`` may be empty."""

    reason: bytes


class State(Enum):
    """Which answer is due."""

    IDLE = "idle"
    ASKED = "asked"
    NUMBERED = "numbered"


class DictClient(LineProtocol):
    """Our end of a connection to dict, for one question at a time about ``user``; ``major`` is the dialect's."""

    def __init__(self, major: int, dictionary: bytes, user: bytes) -> None:
        greets_for_user = major <= USER_IN_HELLO
        hello = join(b"H%d" % major, b"%d" % MINOR[major], STRING, user if greets_for_user else b"", dictionary)
        super().__init__(
            LineBuffer(LINE_LIMIT, f"dict sent us more than {LINE_LIMIT} bytes in a line"), hello + b"\n"
        )
        self._about = () if greets_for_user else (user,)
        self.state = State.IDLE
        self._number = 0

    def lookup(self, key: bytes) -> None:
        """Ask for the value of ``key``, such as ``priv/<mailbox GUID>/vendor/vendor.dovecot/imap-urlauth``."""
        if self.state is not State.IDLE:
            raise ValueError("the last question has no answer yet")
        self._output += join(b"L" + key, *self._about) + b"\n"
        self.state = State.ASKED

    def next_event(self) -> Value | NoValue | LookupFailed | None:
        """The answer, or None until more has come; raises ProtocolError."""
        while (line := self._lines.next_line()) is not None:
            if self.state is State.ASKED and line.startswith(b"*"):
                self._number = _number_of(line, line[1:])
                self.state = State.NUMBERED
                continue
            return self._answer(line)
        return None

    def _answer(self, line: bytes) -> Value | NoValue | LookupFailed:
        if self.state is State.IDLE:
            raise ProtocolError(f"Received reply without pending commands: {quoted(line)}")
        words = fields(line)
        if self.state is State.NUMBERED:
            if not line.startswith(b"+"):
                raise ProtocolError(f"Received reply without an async-id: {quoted(line)}")
            if _number_of(line, words[0][1:]) != self._number:
                raise ProtocolError(f"Received reply for nonexistent async-id: {quoted(line)}")
            del words[0]
        word = words[0] if words else b""
        build = _ANSWERS.get(word[:1])
        if build is None:
            raise ProtocolError(f"Invalid lookup reply: {quoted(line)}")
        self.state = State.IDLE
        return build(word[1:])


def _number_of(line: bytes, text: bytes) -> int:
    number = decimal(text)
    if not number:
        raise ProtocolError(f"Received invalid async-id line: {quoted(line)}")
    return number


def _values(text: bytes) -> Value:
    return Value((fields(text) or [b""])[0])


def _no_value(text: bytes) -> NoValue:
    return NoValue()


_ANSWERS: Mapping[bytes, Callable[[bytes], Value | NoValue | LookupFailed]] = {
    b"O": Value,
    b"M": _values,
    b"N": _no_value,
    b"F": LookupFailed,
}


__all__ = ["LINE_LIMIT", "DictClient", "LookupFailed", "NoValue", "State", "Value"]
