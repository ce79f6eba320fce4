"""What a part's Content-* fields say: RFC 2045, 2183, 3282 and 2557, read as lib-mail/message-part-data.c does."""

from __future__ import annotations

from dovecot_urlauth.message.errors import TooLarge
from dovecot_urlauth.message.parameters import NUL_SHOWN, Parameters, field_tokens, parameters
from dovecot_urlauth.message.part import Place
from dovecot_urlauth.message.steps import OFTEN
from dovecot_urlauth.message.tokens import BROKEN, END

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.message.parameters import ContentType
    from dovecot_urlauth.message.part import Part
    from dovecot_urlauth.message.rules import MessageRules
    from dovecot_urlauth.message.steps import Steps

_COMMA = 0x2C
_MAX_LANGUAGES = 10_000
_LONG = 1024
"""Bytes of a field that is a step by itself."""


def content_fields(part: Part, rules: MessageRules) -> Steps[ContentFields]:
    """Read the fields of one part, in steps.  Raises TooLarge."""
    content = ContentFields(part.content_type, rules)
    if part.is_mime:
        for number, (name, value) in enumerate(part.fields, 1):
            if name in _FIELDS:
                _FIELDS[name](content, value)
            if len(value) > _LONG or not number & OFTEN:
                yield
    if part.place is Place.ROOT and part.text:
        content.forget_if_plain()
    return content


class ContentFields:
    """The fields of one part.

    Of fields that come twice the first sound one counts; a disposition can be replaced until it has parameters.
    """

    def __init__(self, content_type: ContentType | None, rules: MessageRules) -> None:
        self._rules = rules
        self._content_type = content_type
        self.type: bytes | None = None
        self.subtype: bytes | None = None
        self.parameters: Parameters = []
        self.encoding: bytes | None = None
        self.disposition: bytes | None = None
        self.disposition_parameters: Parameters = []
        self.languages: list[bytes] = []
        self.id: bytes | None = None
        self.description: bytes | None = None
        self.md5: bytes | None = None
        self.location: bytes | None = None

    def forget_if_plain(self) -> None:
        """Of a message that is nothing but us-ascii text Dovecot notes just that, and not how it was spelled."""
        if self._is_plain():
            self.type, self.subtype, self.parameters, self.encoding = None, None, [], None

    def _is_plain(self) -> bool:
        parameters = [(name.lower(), value.lower()) for name, value in self.parameters]
        return (
            (self.subtype is None or self.subtype.lower() == b"plain")
            and parameters in ([], [(b"charset", b"us-ascii")])
            and (self.encoding or b"7bit").lower() == b"7bit"
            and not self.languages
            and (self.id, self.description, self.md5, self.disposition, self.location) == (None,) * 5
        )

    def _take_type(self, value: bytes) -> None:
        if self.type is None and self._content_type is not None:
            self.type, _, self.subtype = self._content_type.text.partition(b"/")
            self.parameters = self._content_type.parameters

    def _take_encoding(self, value: bytes) -> None:
        if self.encoding is not None:
            return
        tokens = field_tokens(value)
        text = bytearray()
        if tokens.token(text) != BROKEN and tokens.skip() == END and text:
            self.encoding = bytes(text)

    def _take_disposition(self, value: bytes) -> None:
        if self.disposition_parameters:
            return
        tokens = field_tokens(value)
        text = bytearray()
        if tokens.token(text) != BROKEN:
            self.disposition = bytes(text)
            self.disposition_parameters = parameters(tokens, self._rules)

    def _take_languages(self, value: bytes) -> None:
        if self.languages:
            return
        tokens = field_tokens(value)
        while True:
            text = bytearray()
            if tokens.atom(text) == BROKEN:
                return
            self.languages.append(bytes(text))
            if tokens.next != _COMMA:
                return
            if len(self.languages) > _MAX_LANGUAGES:
                raise TooLarge("Message header is too large")
            tokens.position += 1
            tokens.skip()

    def _take_id(self, value: bytes) -> None:
        self.id = _first(self.id, value)

    def _take_description(self, value: bytes) -> None:
        self.description = _first(self.description, value)

    def _take_md5(self, value: bytes) -> None:
        self.md5 = _first(self.md5, value)

    def _take_location(self, value: bytes) -> None:
        self.location = _first(self.location, value)


_FIELDS = {
    b"content-type": ContentFields._take_type,
    b"content-transfer-encoding": ContentFields._take_encoding,
    b"content-disposition": ContentFields._take_disposition,
    b"content-language": ContentFields._take_languages,
    b"content-id": ContentFields._take_id,
    b"content-description": ContentFields._take_description,
    b"content-md5": ContentFields._take_md5,
    b"content-location": ContentFields._take_location,
}


def _first(known: bytes | None, value: bytes) -> bytes:
    return value.replace(b"\0", NUL_SHOWN) if known is None else known
