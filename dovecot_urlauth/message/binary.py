"""Messages with their transfer encodings undone: RFC 3516's BINARY.

lib-storage/index/index-mail-binary.c.  A message is cut into blocks: stored text that is copied, headers that lose
their Content-Transfer-Encoding, bodies that are decoded.  Dovecot's own oddities are kept, since its sizes show:

* an encoding is looked for in every part's header, MIME or not, up to an empty line, even one in the next part;
* if a header had to be rewritten but no body was decoded, the stored text is sent, cut to the rewritten size.
"""

from __future__ import annotations

from dovecot_urlauth.message.body import count, crlf, has_nul, partial, partial_size, raw, without_nul
from dovecot_urlauth.message.errors import Undecodable
from dovecot_urlauth.message.fields import FieldFilter
from dovecot_urlauth.message.header import HeaderReader
from dovecot_urlauth.message.request import Content
from dovecot_urlauth.message.tokens import MORE, Tokenizer
from dovecot_urlauth.message.transfer import Encoding, decoded
from dovecot_urlauth.message.window import Window
from dovecot_urlauth.wire.value import Enum, record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from dovecot_urlauth.message.part import Part
    from dovecot_urlauth.message.rules import MessageRules
    from dovecot_urlauth.message.source import Source

_ENCODINGS = {
    b"7bit": Encoding.IDENTITY,
    b"8bit": Encoding.IDENTITY,
    b"binary": Encoding.IDENTITY,
    b"quoted-printable": Encoding.QUOTED_PRINTABLE,
    b"base64": Encoding.BASE64,
}

_FIELD = b"content-transfer-encoding"
_REWRITTEN = FieldFilter(
    frozenset((_FIELD,)), keep=False, extra=b"Content-Transfer-Encoding: binary\r\n"
)


class BlockKind(Enum):
    """What is done with a range of the message."""

    COPY = "copy"
    HEADER = "header"
    BODY = "body"


@record(frozen=True, slots=True)
class Block:
    """A range of the output: ``start`` and ``end`` are offsets in the message (a header finds its own end)."""

    kind: BlockKind
    start: int
    end: int
    encoding: Encoding
    #: Where the part begins that the block is of.
    part: int


class Conversion:
    """The blocks of one part, or of the whole message."""

    def __init__(self, source: Source, rules: MessageRules) -> None:
        self._source = source
        self._rules = rules
        self._copied = 0
        self.blocks: list[Block] = []
        #: Some body is decoded.
        self.converted = False
        #: There are NULs in a header or in a body that is not decoded.
        self.has_nuls = False

    def add(self, part: Part, *, with_header: bool) -> None:
        """Add a part and all that it contains; raises Undecodable."""
        start, body, end = part.start.offset, part.body.offset, part.body_end
        encoding, nuls = self._read_header(start)
        self.has_nuls = self.has_nuls or nuls
        if with_header and encoding is not Encoding.IDENTITY:
            if self._copied:
                self._copy(start)
            self.blocks.append(Block(BlockKind.HEADER, start, body, encoding, start))
        elif with_header:
            self._copy(body)
        self._copied = body
        if part.children:
            for child in part.children:
                self.add(child, with_header=True)
            self._copy(end)
        elif body != end:
            self.blocks.append(Block(BlockKind.BODY, body, end, encoding, start))
            if encoding is not Encoding.IDENTITY:
                self.converted = True
            elif not self.has_nuls:
                self.has_nuls = has_nul(self._source, body, end)
        self._copied = end

    def read(self, block: Block) -> Iterator[bytes]:
        """Yield what becomes of a block; raises Undecodable."""
        if block.kind is BlockKind.HEADER:
            return _REWRITTEN.read(self._source, block.start, self._rules)
        chunks = raw(self._source, block.start, block.end)
        return crlf(chunks) if block.encoding is Encoding.IDENTITY else decoded(chunks, block.encoding)

    def _copy(self, end: int) -> None:
        if end != self._copied:
            self.blocks.append(Block(BlockKind.COPY, self._copied, end, Encoding.IDENTITY, -1))

    def _read_header(self, start: int) -> tuple[Encoding, bool]:
        """The encoding that the header block at ``start`` names last, and whether there are NULs in it."""
        window = Window(self._source, start)
        reader = HeaderReader(window, self._rules)
        encoding: Encoding | None = Encoding.IDENTITY
        position = start
        while field := reader.field(position):
            if field.name.lower() == _FIELD:
                encoding = _encoding(field.value)
            position = field.end
        if encoding is None:
            raise Undecodable(self._rules.unknown_encoding)
        return encoding, has_nul(self._source, start, position)


def _encoding(value: bytes) -> Encoding | None:
    """The meaning of a Content-Transfer-Encoding; a folded one is not understood."""
    tokens = Tokenizer(value)
    tokens.skip()
    name = bytearray()
    if b"\n" in value or (tokens.token(name) == MORE and tokens.next != 0x3B):
        return None
    return _ENCODINGS.get(bytes(name).lower())


@record(frozen=True, slots=True)
class Decoded:
    """A decoded part, ready to be read as often as needed."""

    source: Source
    conversion: Conversion
    start: int
    size: int
    #: The blocks are given, not the stored text.
    rewritten: bool
    #: NULs are kept.
    binary: bool

    def content(self, offset: int, limit: int | None) -> Content:
        """The wanted part of it; reads it once to see whether there are NULs."""
        size = partial_size(self.size, offset, limit)
        has_nuls = self.binary and any(b"\0" in chunk for chunk in partial(self._chunks(), offset, size))
        return Content(size, has_nuls, None, partial(self._chunks(), offset, size))

    def _chunks(self) -> Iterator[bytes]:
        if not self.rewritten:
            chunks = crlf(raw(self.source, self.start, self.source.size))
            return chunks if self.binary else without_nul(chunks)
        return self._converted()

    def _converted(self) -> Iterator[bytes]:
        for block in self.conversion.blocks:
            yield from self.conversion.read(block)


def decode(
    source: Source, part: Part, rules: MessageRules, *, with_header: bool, described: bool = False
) -> Decoded:
    """Decode a part and all that it contains; raises Undecodable if any of it cannot be.

    A message whose decoded structure was asked for as well (``described``) is given as it was decoded for that,
    which shows when headers were rewritten and nothing else.
    """
    conversion = Conversion(source, rules)
    conversion.add(part, with_header=with_header)
    start = part.start.offset if with_header else part.body.offset
    size = sum(len(chunk) for block in conversion.blocks for chunk in conversion.read(block))
    rewritten = conversion.converted or (described and with_header)
    if not rewritten:
        size = min(size, count(source, start, source.size))
    return Decoded(source, conversion, start, size, rewritten, rewritten or conversion.has_nuls)
