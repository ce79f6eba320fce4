"""Answers that need more than the whole message's bytes: sections, decoding, structure.

The way from a section to a part is ``imap_msgpart_find``'s of lib-imap-storage/imap-msgpart.c.
"""

from __future__ import annotations

from dovecot_urlauth.message.body import Span, partial, partial_size, total, virtual_size, without_nul
from dovecot_urlauth.message.content import Content
from dovecot_urlauth.message.errors import PartMissing
from dovecot_urlauth.message.header import header_end
from dovecot_urlauth.message.section import Text, parse_section

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.message.binary import Decoder
    from dovecot_urlauth.message.part import Part
    from dovecot_urlauth.message.request import Request
    from dovecot_urlauth.message.rules import MessageRules
    from dovecot_urlauth.message.section import Section
    from dovecot_urlauth.message.source import Source
    from dovecot_urlauth.message.steps import Steps

#: Sections whose bytes BINARY decodes; of the others it gives the text as it is.
_DECODED = (Text.WHOLE, Text.PART, Text.TEXT)
#: Sections that are about the message inside a message/rfc822 part.
_INNER = (Text.TEXT, Text.HEADER, Text.FIELDS, Text.FIELDS_NOT)

_EMPTY = Content(0, False, None, iter(()))


def read(source: Source, request: Request, rules: MessageRules) -> Steps[Content]:
    """Answer a request for anything but the plain whole message, in steps; raises what ``fetching`` raises."""
    section = request.parsed or parse_section(request.section)
    work = _Work(source, request, rules, section)
    structure = None
    content = _EMPTY
    if request.structure:
        structure = yield from work.structure()
    if request.body or request.binary:
        content = yield from work.content()
    return Content(content.size, content.has_nuls, structure, content.chunks)


class _Work:
    """One request and the message's tree, which is made when it is first needed."""

    def __init__(self, source: Source, request: Request, rules: MessageRules, section: Section) -> None:
        self._source = source
        self._request = request
        self._rules = rules
        self._section = section
        self._parsed: Part | None = None
        #: Of the whole message, if its structure needed it.
        self._decoder: Decoder | None = None

    def structure(self) -> Steps[bytes]:
        """The BODYPARTSTRUCTURE; raises PartMissing."""
        from dovecot_urlauth.message.structure import StructureWriter

        part = yield from self._part()
        if part is None:
            raise PartMissing
        writer = StructureWriter(self._rules)
        if self._request.binary:
            from dovecot_urlauth.message.decodedsizes import decoded_sizes

            root = yield from self._root()
            self._decoder = yield from self._decode(root, with_header=True)
            writer.decoded = yield from decoded_sizes(self._source, self._decoder)
        return (yield from writer.write(part))

    def content(self) -> Steps[Content]:
        """The section's bytes."""
        text = self._section.text
        if self._request.binary and text in _DECODED:
            part = yield from self._part()
            return _EMPTY if part is None else (yield from self._decoded(part))
        if text in (Text.FIELDS, Text.FIELDS_NOT):
            return (yield from self._fields())
        span = yield from (self._part_span() if self._section.path else self._message_span())
        if span is None:
            return _EMPTY
        offset = self._request.partial_offset
        size = partial_size(span.size, offset, self._request.partial_size)
        return Content(size, False, None, span.read(self._source, offset, size))

    def _root(self) -> Steps[Part]:
        if self._parsed is None:
            from dovecot_urlauth.message.tree import parse

            described = self._request.structure
            until = None if described else self._is_complete
            self._parsed = yield from parse(self._source, self._rules, fields=described, until=until)
        return self._parsed

    def _is_complete(self, root: Part) -> bool:
        """Whether so much of the tree is known that the wanted part is."""
        part = find(root, self._section.path)
        return part is not None and part.end is not None

    def _part(self) -> Steps[Part | None]:
        """The part that the section's number names, or the message inside it; None if there is none."""
        part = find((yield from self._root()), self._section.path)
        if part is not None and self._section.path and self._section.text in _INNER:
            return part.children[0] if part.rfc822 else None
        return part

    def _message_span(self) -> Steps[Span | None]:
        """A section of the message itself, for which no tree is needed."""
        if self._section.text is Text.WHOLE:
            size = yield from virtual_size(self._source, 0, self._source.size)
            return Span(0, self._source.size, size)
        end = yield from header_end(self._source, self._rules)
        if self._section.text is Text.HEADER:
            return Span(0, end.offset, end.offset + end.bare)
        size = yield from virtual_size(self._source, end.offset, self._source.size)
        return Span(end.offset, self._source.size, size)

    def _part_span(self) -> Steps[Span | None]:
        part = yield from self._part()
        if part is None:
            return None
        if self._section.text in (Text.MIME, Text.HEADER):
            return Span(part.start.offset, part.body.offset, part.header_size.virtual)
        return Span(part.body.offset, part.body_end, part.body_size.virtual)

    def _fields(self) -> Steps[Content]:
        """HEADER.FIELDS and HEADER.FIELDS.NOT."""
        from dovecot_urlauth.message.fields import FieldFilter

        section = self._section
        start = 0
        if section.path:
            part = yield from self._part()
            if part is None:
                return _EMPTY
            start = part.start.offset
        keep = section.text is Text.FIELDS
        wanted = FieldFilter(section.fields, keep=keep, cached=keep and not section.path)
        offset = self._request.partial_offset
        size = yield from total(wanted.read(self._source, start, self._rules))
        size = partial_size(size, offset, self._request.partial_size)
        chunks = without_nul(wanted.read(self._source, start, self._rules))
        return Content(size, False, None, partial(chunks, offset, size))

    def _decoded(self, part: Part) -> Steps[Content]:
        """The bytes of a decoded part.

        A message whose decoded structure was asked for as well is given as it was decoded for that, which
        shows when headers were rewritten and nothing else.
        """
        offset, limit = self._request.partial_offset, self._request.partial_size
        if self._section.text is not Text.WHOLE:
            decoder = yield from self._decode(part, with_header=False)
            return (yield from decoder.content(offset, limit, rewritten=False))
        decoder = self._decoder or (yield from self._decode(part, with_header=True))
        return (yield from decoder.content(offset, limit, rewritten=self._decoder is not None))

    def _decode(self, part: Part, *, with_header: bool) -> Steps[Decoder]:
        from dovecot_urlauth.message.binary import decode

        wanted = self._request.structure and with_header
        return decode(self._source, part, self._rules, with_header=with_header, lines=wanted)


def find(root: Part, path: tuple[int, ...]) -> Part | None:
    """Follow a section's numbers from the root part; None if they lead nowhere.

    In a multipart 0 means 1; of anything else there is only part 1, which is the part itself, and what follows
    is looked for in the message inside if the part is one.
    """
    part = root
    for position, number in enumerate(path):
        more = position + 1 < len(path)
        if part.multipart:
            index = max(number, 1) - 1
            if index >= len(part.children):
                return None
            part = part.children[index]
        elif number != 1 or (more and not part.rfc822):
            return None
        if more and part.rfc822:
            part = part.children[0]
    return part
