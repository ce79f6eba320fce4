"""The MIME tree of a message, found in one pass from front to back with bounded memory.

RFC 2046 as lib-mail/message-parser.c reads it.  What differs from the letter of the RFC:

* a delimiter line needs only to begin with ``--boundary``; of the open boundaries the longest that fits wins,
* a delimiter of an enclosing multipart ends a header block too, and gets the line end before it,
* MIME-Version is not needed once there is a Content-Type; a multipart without boundary is not divided,
* parts nested more than 100 deep or behind the 10 000th are not divided any more.
"""

from __future__ import annotations

from dovecot_urlauth.message.boundaries import BOUNDARY_LIMIT, Boundaries
from dovecot_urlauth.message.errors import TooLarge
from dovecot_urlauth.message.header import Field, HeaderReader
from dovecot_urlauth.message.parameters import ContentType
from dovecot_urlauth.message.part import Part, Place
from dovecot_urlauth.message.source import reaching
from dovecot_urlauth.message.steps import OFTEN
from dovecot_urlauth.message.window import Mark, Window

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from dovecot_urlauth.message.boundaries import Boundary
    from dovecot_urlauth.message.rules import MessageRules
    from dovecot_urlauth.message.source import Source
    from dovecot_urlauth.message.steps import Steps

MAX_NESTED = 100
MAX_PARTS = 10_000

#: What may be kept of fields for a structure, counted with what Python needs to keep each.
KEPT_LIMIT = 24 * 1024 * 1024
_FIELD_COST = 200

#: A delimiter line is compared as far as its boundary can be long, with ``--`` behind it and the line's end.
_LINE_SHOWN = BOUNDARY_LIMIT + 6

_HYPHEN = 0x2D
#: There are no more fields.
_END = Field(0, 0, 0, b"", b"")
_ENVELOPE_FIELDS = frozenset(b"date subject from sender reply-to to cc bcc in-reply-to message-id".split())


class _Delimiter:
    """A delimiter line: its offset and the boundary it belongs to."""

    __slots__ = ("boundary", "closing", "offset")

    def __init__(self, offset: int, boundary: Boundary, closing: bool) -> None:
        self.offset = offset
        self.boundary = boundary
        self.closing = closing

    @property
    def end(self) -> int:
        """Offset behind the boundary, and behind ``--`` if the line closes the multipart."""
        return self.offset + 2 + len(self.boundary.text) + (2 if self.closing else 0)


def parse(
    source: Source,
    rules: MessageRules,
    *,
    fields: bool = False,
    until: Callable[[Part], bool] | None = None,
) -> Steps[Part]:
    """Parse a message into its root part, in steps.

    ``fields`` keeps the header fields that a structure shows.  ``until`` is asked after each part, with the
    unfinished tree, whether that is enough of it.  Raises TooLarge if the fields would take too much memory.
    """
    yield from reaching(source, 0)
    return (yield from _TreeParser(Window(source), rules, fields).parse(until))


class _TreeParser:
    """The parser's state: the open part, the open boundaries and the position."""

    def __init__(self, window: Window, rules: MessageRules, fields: bool) -> None:
        self._window = window
        self._rules = rules
        self._room = KEPT_LIMIT if fields else 0
        self._keep_fields = fields
        self._position = 0
        self._boundaries = Boundaries()
        self._root = self._part = Part(Place.ROOT, Mark(0, 0, 0))
        #: The parts that contain the open part, outermost first.
        self._ancestors: list[Part] = []
        self._parts = 1
        #: The boundary that the open part's Content-Type announced, until its header ends.
        self._announced: bytes | None = None

    def parse(self, until: Callable[[Part], bool] | None) -> Steps[Part]:
        delimiter = yield from self._header()
        while True:
            if self._part.rfc822 and not self._part.children:
                self._open_part(self._part.body)
                delimiter = yield from self._header()
                continue
            if delimiter is None:
                delimiter = yield from self._find_delimiter()
            if delimiter is None:
                break
            self._close_until(delimiter.boundary.part, self._window.mark(delimiter.offset))
            if until is not None and until(self._root):
                return self._root
            delimiter = yield from self._pass_delimiter(delimiter)
        self._close_until(None, self._window.mark(self._position))
        return self._root

    def _open_part(self, start: Mark) -> None:
        parent = self._part
        place = Place.MESSAGE if parent.rfc822 else Place.DIGEST if parent.digest else Place.MULTIPART
        part = Part(place, start)
        parent.children.append(part)
        self._ancestors.append(parent)
        self._part = part
        self._parts += 1

    def _close_until(self, ancestor: Part | None, end: Mark) -> None:
        """Close the open part and its ancestors below ``ancestor``."""
        while self._part is not ancestor:
            if self._part.end is None:
                self._part.end = end
            if not self._ancestors:
                break
            self._part = self._ancestors.pop()

    # --- header

    def _header(self) -> Steps[_Delimiter | None]:
        """Read the open part's header block; gives the delimiter line that cut it or follows it at once."""
        part = self._part
        reader = HeaderReader(self._window, self._rules)
        self._announced = None
        typed = False
        newline = 0
        delimiter = self._delimiter_at(self._position)
        fields = reader.fields(self._position)
        while not (delimiter and delimiter.boundary.part is not part):
            field = next(fields, _END)
            if field is None:
                yield
                continue
            if field is _END:
                delimiter = self._end_header(part, reader)
                break
            typed = self._take_field(part, field, typed) or typed
            self._position = field.end
            newline = field.newline
            delimiter = self._delimiter_at(self._position)
        else:
            self._cut_header(delimiter, newline)
        self._settle_type(part, typed)
        return delimiter

    def _end_header(self, part: Part, reader: HeaderReader) -> _Delimiter | None:
        """Pass the empty line, if there is one, and look at the line behind it."""
        newline = reader.blank_line(self._position)
        if newline:
            self._announce_boundary(part)
            self._position += newline
            delimiter = self._delimiter_at(self._position)
            if delimiter and delimiter.boundary.part is not part:
                self._cut_header(delimiter, newline)
                return delimiter
        part.body = self._window.mark(self._position)
        return None

    def _cut_header(self, delimiter: _Delimiter, newline: int) -> None:
        """A delimiter of an enclosing multipart ends header and part, and takes the line end before it."""
        if newline:
            self._part.body = self._window.mark(delimiter.offset - newline)
        else:
            self._part.body = self._part.start
        self._part.end = self._part.body

    def _announce_boundary(self, part: Part) -> None:
        """The header of a multipart ends: from here on its boundary counts, unless it is nested too deep."""
        if self._announced is None or not part.is_mime:
            return
        if len(self._ancestors) + 1 >= MAX_NESTED:
            part.multipart = False
            return
        self._boundaries.open(self._announced, part)

    def _take_field(self, part: Part, field: Field, typed: bool) -> bool:
        """Note what a field says of the part; tells whether it is a Content-Type."""
        name = field.name.lower()
        if name == b"mime-version":
            part.is_mime = True
        elif name == b"content-type":
            part.is_mime = True
            if not typed:
                self._take_type(part, field.value)
        if self._keep_fields and (
            name.startswith(b"content-") or (name in _ENVELOPE_FIELDS and part.place is Place.MESSAGE)
        ):
            self._keep(part, name, field.value)
        return name == b"content-type"

    def _keep(self, part: Part, name: bytes, value: bytes) -> None:
        self._room -= len(value) + _FIELD_COST
        if self._room < 0:
            raise TooLarge("Message header is too large")
        part.fields.append((name, value))

    def _take_type(self, part: Part, value: bytes) -> None:
        part.content_type = ContentType(value, self._rules)
        text = part.content_type.text.lower()
        main, slash, subtype = text.partition(b"/")
        if text == b"message/rfc822":
            part.rfc822 = True
        elif main == b"text":
            part.text = True
        elif main == b"multipart" and slash:
            part.multipart = True
            part.digest = subtype == b"digest"
            for name, boundary in part.content_type.parameters:
                if name.lower() == b"boundary":
                    self._announced = boundary
                    break

    def _settle_type(self, part: Part, typed: bool) -> None:
        """The header is over: apply defaults and limits."""
        if not typed or not part.is_mime:
            part.multipart = part.rfc822 = part.text = part.digest = False
            if part.place is Place.DIGEST:
                part.rfc822 = True
            else:
                part.text = True
        if part.rfc822 and (len(self._ancestors) + 1 >= MAX_NESTED or self._parts >= MAX_PARTS):
            part.rfc822 = False

    # --- body

    def _find_delimiter(self) -> Steps[_Delimiter | None]:
        """Go through the open part's body to the next delimiter line; None at the end of the message."""
        window = self._window
        if not self._boundaries or self._parts >= MAX_PARTS:
            yield from self._skip_to_end()
            return None
        delimiter = self._delimiter_at(self._position)
        if delimiter:
            self._close_until(delimiter.boundary.part, window.mark(delimiter.offset))
            return delimiter
        search = self._position
        number = 0
        while True:
            number += 1
            if not number & OFTEN:
                yield
            found = self._search(search)
            if found < 0:
                keep, search = self._undecided(search)
                if not window.more(keep):
                    self._position = window.end
                    return None
                yield
                continue
            newline = found
            delimiter = self._delimiter_at(newline + 1)
            if delimiter:
                break
            search = newline + 1
        at = newline - window.start
        if newline > self._position and window.data[at - 1 : at] == b"\r":
            newline -= 1
        self._close_until(delimiter.boundary.part, window.mark(newline))
        return delimiter

    def _search(self, search: int) -> int:
        """Offset of the next line end from ``search`` on that a delimiter line may follow; -1 if not at hand."""
        data, start = self._window.data, self._window.start
        # one byte is found twenty times as fast as several, and base64 has no hyphen
        hyphen = data.find(b"-", search - start)
        found = data.find(self._boundaries.needle, max(hyphen - 1, search - start)) if hyphen >= 0 else -1
        return start + found if found >= 0 else -1

    def _undecided(self, search: int) -> tuple[int, int]:
        """Where to keep what is at hand from, and where to search on: a delimiter line's line end may be among it.

        Mostly there is nothing to keep, and then nothing is copied.
        """
        window = self._window
        tail = len(window.data) - len(self._boundaries.needle) + 1
        newline = window.data.find(b"\n", max(tail, search - window.start))
        if newline < 0:
            return window.end - window.data.endswith(b"\r"), window.end
        return max(window.start + newline - 1, self._position), window.start + newline

    def _skip_to_end(self) -> Steps[None]:
        window = self._window
        while window.more(window.end):
            yield
        self._position = window.end

    def _delimiter_at(self, offset: int) -> _Delimiter | None:
        """The delimiter line at ``offset``, where a line begins."""
        if not self._boundaries or self._parts >= MAX_PARTS:
            return None
        window = self._window
        at = offset - window.start
        if at < len(window.data) and window.data[at] != _HYPHEN:
            return None
        if window.peek(offset, 2) != b"--":
            return None
        # asked for with the hyphens, so that what lies before them stays at hand
        shown = window.peek(offset, 2 + _LINE_SHOWN)[2:]
        line, ended, _ = shown.partition(b"\n")
        dashes = False
        if ended:
            line = line.removesuffix(b"\r")
            dashes = len(line) > 2 and line.endswith(b"--")
        boundary = self._boundaries.fitting(line, dashes=dashes)
        if boundary is None:
            return None
        return _Delimiter(offset, boundary, shown.startswith(b"--", len(boundary.text)))

    def _pass_delimiter(self, delimiter: _Delimiter) -> Steps[_Delimiter | None]:
        """Go behind a delimiter line; either a part begins there, whose header is read, or an epilogue."""
        window = self._window
        self._boundaries.close_inside(delimiter.boundary, closing=delimiter.closing)
        self._position = yield from window.line_end(delimiter.end)
        yield
        if delimiter.closing:
            return None
        if window.data[self._position - window.start - 1 : self._position - window.start] != b"\n":
            return None
        self._open_part(window.mark(self._position))
        return (yield from self._header())
