"""Messages with their transfer encodings undone: RFC 3516's BINARY.

lib-storage/index/index-mail-binary.c.  A message is cut into blocks: stored text that is copied, headers that lose
their Content-Transfer-Encoding, bodies that are decoded.  Dovecot's own oddities are kept, since its sizes show:

* an encoding is looked for in every part's header, MIME or not, up to an empty line, even one in the next part;
* if a header had to be rewritten but no body was decoded, the stored text is sent, cut to the rewritten size.
"""

from __future__ import annotations

from dovecot_urlauth.message.body import crlf, has_nul, partial, partial_size, raw, virtual_size, without_nul
from dovecot_urlauth.message.content import Content
from dovecot_urlauth.message.errors import TooLarge, Undecodable
from dovecot_urlauth.message.fields import FieldFilter
from dovecot_urlauth.message.header import HeaderReader
from dovecot_urlauth.message.lineends import completed, count_lines
from dovecot_urlauth.message.source import CHUNK, reaching
from dovecot_urlauth.message.steps import FEW, OFTEN
from dovecot_urlauth.message.tokens import MORE, Tokenizer
from dovecot_urlauth.message.transfer import Encoding, decoded
from dovecot_urlauth.message.window import Window
from dovecot_urlauth.start.frozen import Enum

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dovecot_urlauth.message.part import Part
    from dovecot_urlauth.message.rules import MessageRules
    from dovecot_urlauth.message.source import Source
    from dovecot_urlauth.message.steps import Steps

_ENCODINGS = {
    b"7bit": Encoding.IDENTITY,
    b"8bit": Encoding.IDENTITY,
    b"binary": Encoding.IDENTITY,
    b"quoted-printable": Encoding.QUOTED_PRINTABLE,
    b"base64": Encoding.BASE64,
}

#: As much decoded text as this is kept between finding its size and giving it.
KEPT_LIMIT = 8 * 1024 * 1024

#: Headers that run on behind their part are given for each part anew, but not to more than the message's own size
#: and this.
OVERRUN_LIMIT = 1024 * 1024

_FIELD = b"content-transfer-encoding"
_REPLACEMENT = b"Content-Transfer-Encoding: binary\r\n"
_REWRITTEN = FieldFilter(frozenset((_FIELD,)), keep=False, extra=_REPLACEMENT)


class BlockKind(Enum):
    """What is done with a range of the message."""

    COPY = "copy"
    HEADER = "header"
    BODY = "body"


class Block:
    """A range of the output: ``start`` and ``end`` are offsets in the message."""

    __slots__ = ("encoding", "end", "header", "kind", "part", "start")

    def __init__(
        self, kind: BlockKind, start: int, end: int, encoding: Encoding = Encoding.IDENTITY, part: int = -1
    ) -> None:
        self.kind = kind
        self.start = start
        self.end = end
        self.encoding = encoding
        #: Where the part begins that the block is of.
        self.part = part
        #: What a header block holds.
        self.header: _Header | None = None


class _Header:
    """A header block up to its empty line: what it says of the encoding (None: something unknown), and where.

    The offsets of the last Content-Transfer-Encoding and of the last NUL tell whether the rest of the block,
    which is another part's header, has them too; they are -1 if there is none.
    """

    __slots__ = ("complete", "encoding", "encoding_at", "encoding_end", "encodings", "end", "nul_at", "start")

    def __init__(self, start: int) -> None:
        self.start = self.end = start
        #: An empty line ends the block.
        self.complete = False
        self.encoding: Encoding | None = Encoding.IDENTITY
        #: How many Content-Transfer-Encoding fields there are, and where the last of them ends.
        self.encodings = 0
        self.encoding_at = self.encoding_end = -1
        self.nul_at = -1


class Survey:
    """What reading a block once told: its size, whether there are NULs, and how many LFs if that was asked."""

    __slots__ = ("has_nul", "lines", "size")

    def __init__(self, size: int, has_nul: bool, lines: int) -> None:
        self.size = size
        self.has_nul = has_nul
        self.lines = lines


class Conversion:
    """The blocks of one part, or of the whole message."""

    def __init__(self, source: Source, rules: MessageRules) -> None:
        self._source = source
        self._rules = rules
        self._copied = 0
        self._last_header: _Header | None = None
        #: Bytes of headers that run on behind their part, and are given twice.
        self._overrun = 0
        self._room = KEPT_LIMIT
        self._kept: dict[int, list[bytes]] = {}
        self.blocks: list[Block] = []
        #: Which blocks become the body of a part: the number of the first, and of the one behind the last.
        self.bodies: dict[Part, tuple[int, int]] = {}
        #: Some body is decoded, or some header is rewritten.
        self.converted = self.rewritten = False
        #: There are NULs in a header or in a body that is not decoded.
        self.has_nuls = False

    def add(self, part: Part, *, with_header: bool) -> Steps[None]:
        """Add a part and all that it contains, in steps; raises Undecodable."""
        yield
        start, body, end = part.start.offset, part.body.offset, part.body_end
        header = yield from self._header(start)
        encoding = header.encoding if header.encoding_at >= start else Encoding.IDENTITY
        if encoding is None:
            raise Undecodable(self._rules.unknown_encoding)
        self.has_nuls = self.has_nuls or header.nul_at >= start
        if with_header and encoding is not Encoding.IDENTITY:
            if self._copied:
                self._copy(start)
            self.blocks.append(Block(BlockKind.HEADER, start, header.end, encoding, start))
            self.blocks[-1].header = header
            self.rewritten = True
            self._overrun += max(header.end - body, 0)
            if self._overrun > self._source.size + OVERRUN_LIMIT:
                raise TooLarge("Message header is too large")
        elif with_header:
            self._copy(body)
        self._copied = body
        first = len(self.blocks)
        if part.children:
            for child in part.children:
                yield from self.add(child, with_header=True)
            self._copy(end)
        elif body != end:
            self.blocks.append(Block(BlockKind.BODY, body, end, encoding, start))
            if encoding is not Encoding.IDENTITY:
                self.converted = True
            elif not self.has_nuls:
                self.has_nuls = yield from has_nul(raw(self._source, body, end))
        self._copied = end
        self.bodies[part] = first, len(self.blocks)

    def read(self) -> Iterator[bytes]:
        """Yield what becomes of all blocks; raises Undecodable."""
        for number, block in enumerate(self.blocks):
            yield from self._kept.get(number) or self._read(block)

    def survey(self, *, lines: bool) -> Steps[list[Survey]]:
        """Read every block once, in steps, and count its LFs with ``lines``; raises Undecodable.

        A little decoded text is kept for ``read``.
        """
        surveys = []
        for number, block in enumerate(self.blocks):
            surveys.append((yield from self._survey(number, block, count=lines)))
            if not number & OFTEN:
                yield
        return surveys

    def _survey(self, number: int, block: Block, *, count: bool) -> Steps[Survey]:
        size = lines = 0
        nul = False
        kept: list[bytes] | None = [] if block.encoding is not Encoding.IDENTITY else None
        for chunks, chunk in enumerate(self._read(block), 1):
            size += len(chunk)
            nul = nul or b"\0" in chunk
            if count:
                lines += count_lines(chunk)
            if kept is not None:
                kept.append(chunk)
                if size > self._room:
                    kept = None
            if not chunks & FEW:
                yield
        if kept is not None:
            self._room -= size
            self._kept[number] = kept
        return Survey(size, nul, lines)

    def _read(self, block: Block) -> Iterator[bytes]:
        if block.header is not None:
            return self._rewritten(block.header, block.start)
        chunks = raw(self._source, block.start, block.end)
        return crlf(chunks) if block.encoding is Encoding.IDENTITY else decoded(chunks, block.encoding)

    def _rewritten(self, header: _Header, start: int) -> Iterator[bytes]:
        """The header from ``start`` on with another encoding."""
        size = header.end - start
        if header.encodings != 1 or size > CHUNK:
            return _REWRITTEN.read(self._source, start, self._rules)
        return self._with_field_cut_out(header, start)

    def _with_field_cut_out(self, header: _Header, start: int) -> Iterator[bytes]:
        """The usual header: it has the field once, and no other needs to be looked at again."""
        text = b"".join(raw(self._source, start, header.end))
        text = text[: header.encoding_at - start] + text[header.encoding_end - start :]
        yield completed(text)
        yield _REPLACEMENT + b"\r\n" if header.complete else b""

    def _copy(self, end: int) -> None:
        if end != self._copied:
            self.blocks.append(Block(BlockKind.COPY, self._copied, end))

    def _header(self, start: int) -> Steps[_Header]:
        """The header block at ``start``, which may be the rest of one that was read already."""
        header = self._last_header
        yield from reaching(self._source, max(start - 1, 0))
        if header is None or not header.start <= start < header.end or not self._begins_line(start):
            header = self._last_header = yield from _read_header(self._source, self._rules, start)
        return header

    def _begins_line(self, offset: int) -> bool:
        """Whether a line begins there; a part without room for its header begins at the line end before."""
        return offset == 0 or self._source.read(offset - 1, 1) == b"\n"


def _read_header(source: Source, rules: MessageRules, start: int) -> Steps[_Header]:
    reader = HeaderReader(Window(source, start), rules)
    header = _Header(start)
    position = start
    for field in reader.fields(start):
        if field is None:
            yield
            continue
        if field.name.lower() == _FIELD:
            header.encoding = None if field.is_folded else _encoding(field.value)
            header.encodings += 1
            header.encoding_at, header.encoding_end = position, field.end
        position = field.end
    header.end = position
    header.complete = reader.blank_line(position) > 0
    for number, chunk in enumerate(raw(source, start, position), 1):
        if not number & FEW:
            yield
        nul = chunk.rfind(b"\0")
        header.nul_at = start + nul if nul >= 0 else header.nul_at
        start += len(chunk)
    return header


def _encoding(value: bytes) -> Encoding | None:
    """The meaning of a Content-Transfer-Encoding; a folded one has none."""
    tokens = Tokenizer(value)
    tokens.skip()
    name = bytearray()
    if tokens.token(name) == MORE and tokens.next != 0x3B:
        return None
    return _ENCODINGS.get(bytes(name).lower())


class Decoder:
    """A part with all that it contains, decoded."""

    def __init__(self, source: Source, start: int, conversion: Conversion, surveys: list[Survey]) -> None:
        self._source = source
        self._start = start
        self.conversion = conversion
        self.surveys = surveys

    def content(self, offset: int, limit: int | None, *, rewritten: bool) -> Steps[Content]:
        """The wanted part of the bytes, in steps; ``rewritten`` gives the blocks even if no body is decoded."""
        size = sum(survey.size for survey in self.surveys)
        if self.conversion.converted or rewritten:
            return (yield from self._partial(self.conversion.read, size, offset, limit))
        if self.conversion.rewritten:
            stored = yield from virtual_size(self._source, self._start, self._source.size)
            size = min(size, stored)
        read = self._stored if self.conversion.has_nuls else self._stored_without_nul
        return (yield from self._partial(read, size, offset, limit))

    def _partial(
        self, read: Callable[[], Iterator[bytes]], whole: int, offset: int, limit: int | None
    ) -> Steps[Content]:
        size = partial_size(whole, offset, limit)
        # the blocks' surveys say nothing of a stored text that is given in their place
        stored = read == self._stored
        nuls = stored or (read == self.conversion.read and any(survey.has_nul for survey in self.surveys))
        if nuls and (stored or size != whole):
            nuls = yield from has_nul(partial(read(), offset, size))
        return Content(size, nuls, None, partial(read(), offset, size))

    def _stored(self) -> Iterator[bytes]:
        return crlf(raw(self._source, self._start, self._source.size))

    def _stored_without_nul(self) -> Iterator[bytes]:
        return without_nul(self._stored())


def decode(source: Source, part: Part, rules: MessageRules, *, with_header: bool, lines: bool) -> Steps[Decoder]:
    """Make the decoder of a part, in steps, and count its lines as well if they are wanted.

    Raises Undecodable if any of it cannot be decoded.
    """
    conversion = Conversion(source, rules)
    yield from conversion.add(part, with_header=with_header)
    surveys = yield from conversion.survey(lines=lines)
    return Decoder(source, part.start.offset if with_header else part.body.offset, conversion, surveys)
