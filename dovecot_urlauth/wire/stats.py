r"""The stats-writer protocol: events for Dovecot's stats process, which counts and exports them.

Both ends begin at once, and neither waits (``<-`` is stats)::

    -> VERSION\tstats-client\t4\t0
    -> CATEGORY\tservice:imap-urlauth
    <- VERSION\tstats-server\t4\t0
    <- FILTER\t(event="auth_client_*")                  again whenever metrics change; empty: nobody listens
    -> CATEGORY\tauth-client
    -> EVENT\t0\t0\t0\t<created>\tl<sent>\tn<name>\tc<category>...\tS<key>\t<text>\tI<key>\t<number>

The three numbers are the global event (major version 3, up to 2.3.17, lacks it), the parent and the severity (0 is
debug); a time is two fields, seconds and microseconds.  Dovecot's own clients also send events that others refer
to (``BEGIN``, ``UPDATE``, ``END``), so that a hundred events of one mailbox need not repeat its fields; ours are
few and each says all of itself, which counts the same.

States: VERSION, FILTER, OPEN.  Fatal: another major version, a word we do not know, a line above the limit.
(lib-master/stats-client.c, stats/client-writer.c, lib/lib-event.c; otherwise the same bytes in 2.3.13 to 2.4)
"""

from __future__ import annotations

from dovecot_urlauth.start.frozen import Enum, frozen
from dovecot_urlauth.wire.lines import LineBuffer, LineProtocol, ProtocolError
from dovecot_urlauth.wire.tabescape import escape, fields
from dovecot_urlauth.wire.version import is_version, version_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

CLIENT, SERVER = b"stats-client", b"stats-server"
GLOBAL_SINCE = 4
"""The first major version whose events name a global event."""
LINE_LIMIT = 1 << 20
"""A filter names every metric's own."""

PARENTS = {"mailbox": "storage", "mail": "mailbox"}
"""Categories below others, which is how stats must always be told of them."""

DEBUG = 0
"""The severity of every event that is only counted (LOG_TYPE_DEBUG)."""


@frozen
class FilterReceived:
    """Which events are wanted from now on, as :class:`~dovecot_urlauth.wire.eventfilter.EventFilter` reads it."""

    text: str


@frozen
class Event:
    """What has happened; times are Unix time in seconds."""

    name: str
    categories: tuple[str, ...]
    fields: Mapping[str, str | int]
    created: float
    sent: float


class State(Enum):
    """What stats has said so far."""

    VERSION = "version"
    FILTER = "filter"
    OPEN = "open"


class StatsWriter(LineProtocol):
    """Our end of one connection to stats-writer."""

    def __init__(self, service: str, major: int) -> None:
        """``major`` is the version that both ends must speak, 3 or 4."""
        super().__init__(LineBuffer(LINE_LIMIT), version_line(CLIENT, major, 0))
        self._major = major
        self.state = State.VERSION
        self._announced: set[str] = set()
        self._announce((f"service:{service}",))

    def report(self, event: Event) -> None:
        """Send an event; whether anybody wants it is for the caller to know."""
        self._announce(event.categories)
        no_others = [b"0", b"0"] if self._major >= GLOBAL_SINCE else [b"0"]
        parts = [b"EVENT", *no_others, b"%d" % DEBUG, _time(event.created), b"l" + _time(event.sent)]
        parts.append(b"n" + _field(event.name))
        parts += [b"c" + _field(category) for category in event.categories]
        for key, value in event.fields.items():
            parts += [(b"I" if isinstance(value, int) else b"S") + _field(key), _field(value)]
        self._output += b"\t".join(parts) + b"\n"

    def next_event(self) -> FilterReceived | None:
        """The next filter, or None until more has come; raises ProtocolError."""
        while (line := self._lines.next_line()) is not None:
            if self.state is State.VERSION:
                if not is_version(line, SERVER, self._major):
                    raise ProtocolError("Not a stats process that we understand")
                self.state = State.FILTER
                continue
            word, *rest = fields(line) or [b""]
            if word != b"FILTER":
                raise ProtocolError("Expected FILTER")
            self.state = State.OPEN
            return FilterReceived(b"".join(rest[:1]).decode("utf-8", "replace"))
        return None

    def _announce(self, categories: Iterable[str]) -> None:
        """Name the categories that stats has not heard of, parents first."""
        for category in categories:
            if category not in self._announced:
                self._announced.add(category)
                parent = PARENTS.get(category)
                self._announce((parent,) if parent else ())
                line = [b"CATEGORY", _field(category)] + ([_field(parent)] if parent else [])
                self._output += b"\t".join(line) + b"\n"


def with_parents(categories: Iterable[str]) -> frozenset[str]:
    """The categories and all above them."""
    found: set[str] = set()
    for category in categories:
        above: str | None = category
        while above:
            found.add(above)
            above = PARENTS.get(above)
    return frozenset(found)


def _time(seconds: float) -> bytes:
    microseconds = round(seconds * 1_000_000)
    return b"%d\t%d" % divmod(microseconds, 1_000_000)


def _field(text: str | int) -> bytes:
    return escape(str(text).encode("utf-8", "replace"))


__all__ = ["Event", "FilterReceived", "State", "StatsWriter", "with_parents"]
