"""BODYPARTSTRUCTURE (RFC 5524): a part's extended BODYSTRUCTURE as lib-imap/imap-bodystructure.c writes it."""

from __future__ import annotations

from dovecot_urlauth.message.contentfields import content_fields
from dovecot_urlauth.message.envelope import EnvelopeWriter
from dovecot_urlauth.message.errors import TooLarge
from dovecot_urlauth.message.part import Place
from dovecot_urlauth.message.quote import string, unfolded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.message.contentfields import ContentFields
    from dovecot_urlauth.message.decodedsizes import DecodedSizes
    from dovecot_urlauth.message.parameters import Parameters
    from dovecot_urlauth.message.part import Part
    from dovecot_urlauth.message.rules import MessageRules
    from dovecot_urlauth.message.steps import Steps

#: No structure is longer; the IMAP server would have to take it as one line.
STRUCTURE_LIMIT = 16 * 1024 * 1024

#: A multipart without parts is not allowed by RFC 3501, so it is given one.
_NO_PARTS = b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL)'


class StructureWriter:
    """Writes parts of one message; ``decoded`` replaces the stored sizes by those after decoding."""

    def __init__(self, rules: MessageRules) -> None:
        self._rules = rules
        self._written = 0
        self._first: Part | None = None
        self._envelopes = EnvelopeWriter(rules)
        self.decoded: DecodedSizes | None = None

    def write(self, part: Part) -> Steps[bytes]:
        """The structure of a part without its outer parentheses, in steps; raises TooLarge."""
        yield
        self._first = self._first or part
        content = yield from content_fields(part, self._rules)
        text = yield from (self._multipart if part.multipart else self._single)(part, content)
        self._written += len(text)
        if self._written > STRUCTURE_LIMIT:
            raise TooLarge("Message structure is too large")
        return text

    def _children(self, part: Part) -> Steps[bytes]:
        texts = []
        for child in part.children:
            text = yield from self.write(child)
            self._written -= len(text)
            texts.append(b"(%s)" % text)
        yield
        return b"".join(texts)

    def _multipart(self, part: Part, content: ContentFields) -> Steps[bytes]:
        children = yield from self._children(part)
        return b"%s %s %s %s" % (
            children or _NO_PARTS,
            string(content.subtype or b""),
            _parameters(content.parameters),
            _about(content),
        )

    def _single(self, part: Part, content: ContentFields) -> Steps[bytes]:
        kind, text = _kind(part, content)
        size, lines = self._size(part)
        encoding = content.encoding or b"7bit"
        if self.decoded is not None and self._rules.binary_encoding_shown:
            if self.decoded.binary(first=part is self._first):
                encoding = b"binary"
        fields = [
            kind,
            _parameters(content.parameters, charset=text),
            unfolded(content.id),
            unfolded(content.description),
            string(encoding),
            b"%d" % size,
        ]
        if text:
            fields.append(b"%d" % lines)
        elif part.rfc822:
            envelope = yield from self._envelopes.write(part.children[0].fields)
            children = yield from self._children(part)
            fields += [b"(%s)" % envelope, children, b"%d" % lines]
        fields += [unfolded(content.md5), _about(content)]
        return b" ".join(fields)

    def _size(self, part: Part) -> tuple[int, int]:
        if self.decoded is not None:
            return self.decoded.body(part)
        size = part.body_size
        return size.virtual, size.lines


def _kind(part: Part, content: ContentFields) -> tuple[bytes, bool]:
    """Type and subtype, and whether the part is a text."""
    if part.rfc822:
        return b'"message" "rfc822"', False
    if content.type is None:
        if part.place is Place.DIGEST:
            return b'"application" "octet-stream"', False
        return b'"text" "plain"', True
    main, subtype = content.type.lower(), (content.subtype or b"").lower()
    if main == b"multipart" or (main, subtype) == (b"message", b"rfc822"):
        return b'"application" "octet-stream"', False
    return b"%s %s" % (string(content.type), string(content.subtype or b"")), main == b"text"


def _parameters(parameters: Parameters, *, charset: bool = False) -> bytes:
    """A list of names and values; with ``charset`` one that has a charset, us-ascii if need be."""
    words = [b"%s %s" % (string(name), string(value)) for name, value in parameters]
    if charset and not any(name.lower() == b"charset" for name, _ in parameters):
        words.append(b'"charset" "us-ascii"')
    return b"(%s)" % b" ".join(words) if words else b"NIL"


def _about(content: ContentFields) -> bytes:
    """Disposition, language and location."""
    disposition = b"NIL"
    if content.disposition is not None:
        disposition = b"(%s %s)" % (string(content.disposition), _parameters(content.disposition_parameters))
    language = b"(%s)" % b" ".join(map(string, content.languages)) if content.languages else b"NIL"
    return b"%s %s %s" % (disposition, language, unfolded(content.location))
