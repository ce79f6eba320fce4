"""Seeded messages: well formed at heart, with what makes parsers disagree in every joint."""

from __future__ import annotations

import base64
import quopri
from typing import TYPE_CHECKING

from tests.message import words

if TYPE_CHECKING:
    from random import Random

_PEOPLE = [b"From", b"To", b"Cc", b"Bcc", b"Sender", b"Reply-To"]
_TEXTS = [b"Subject", b"Date", b"Message-ID", b"In-Reply-To"]
_CONTENT = {
    b"Content-ID": words.TEXTS,
    b"Content-Description": words.TEXTS,
    b"Content-MD5": words.TEXTS,
    b"Content-Location": words.TEXTS,
    b"Content-Language": words.LANGUAGES,
    b"Content-Disposition": words.DISPOSITIONS,
    b"X-Foo": words.TEXTS,
}
_COLONS = [b": "] * 14 + [b":", b" : ", b":\t  ", b":\n ", b"\0: ", b" "]


class MessageMaker:
    """Makes messages; the same random numbers make the same ones."""

    def __init__(self, random: Random) -> None:
        self._random = random

    def make(self) -> bytes:
        """The next message, some of them damaged."""
        message = self._part(0)
        kind = self._random.random()
        if kind < 0.25:
            message = message.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        elif kind < 0.35:
            message = b"".join(line + self._one([b"\n", b"\r\n"]) for line in message.split(b"\n"))
        return self._damaged(message) if self._chance(0.15) else message

    def _one(self, choices: list[bytes]) -> bytes:
        return self._random.choice(choices)

    def _chance(self, probability: float) -> bool:
        return self._random.random() < probability

    def _damaged(self, message: bytes) -> bytes:
        damaged = bytearray(message)
        for _ in range(self._random.choice([1, 2, 5])):
            place = self._random.randrange(len(damaged) + 1)
            kind = self._random.random()
            if kind < 0.3:
                del damaged[place : place + 1]
            elif kind < 0.8:
                damaged[place:place] = self._one(words.INSERTIONS)
            else:
                del damaged[place:]
        return bytes(damaged)

    # -- headers

    def _field(self, name: bytes, value: bytes) -> bytes:
        if self._chance(0.2):
            name = self._random.choice([name.upper(), name.lower()])
        if self._chance(0.1):
            value = value.replace(b" ", b"\n ", 1)
        return name + self._one(_COLONS) + value + b"\n"

    def _envelope(self) -> bytes:
        fields = b""
        for name in _PEOPLE:
            for _ in range(self._random.choice([0, 0, 1, 1, 2])):
                number = self._random.choice([1, 1, 2, 3])
                fields += self._field(name, b", ".join(self._one(words.ADDRESSES) for _ in range(number)))
        for name in _TEXTS:
            for _ in range(self._random.choice([0, 1, 1, 2])):
                fields += self._field(name, self._one(words.TEXTS))
        return fields

    def _type(self, name: bytes, boundary: bytes | None = None) -> bytes:
        parameters = [self._one(words.PARAMETERS) for _ in range(self._random.choice([0, 0, 0, 1, 1, 2, 4]))]
        if boundary is not None:
            form = self._one([b'boundary="%s"', b"boundary=%s", b'Boundary="%s" (c)'])
            place = self._random.randint(0, len(parameters)) if self._chance(0.3) else 0
            parameters.insert(place, form % boundary)
        separator = self._one([b"; ", b";", b" ; ", b";\n "])
        return self._field(b"Content-Type", separator.join([name, *parameters]))

    def _content_fields(self) -> bytes:
        fields = b""
        for name, values in _CONTENT.items():
            if self._chance(0.15):
                fields += self._field(name, self._one(values))
        if self._chance(0.03):
            fields += self._one(words.ODD_LINES) + b"\n"
        return fields

    # -- parts

    def _part(self, depth: int) -> bytes:
        header = self._envelope() if self._chance(0.6 if depth == 0 else 0.2) else b""
        if self._chance(0.5):
            header += self._field(b"MIME-Version", b"1.0")
        kind = self._random.random() + (1 if depth > 3 else 0)
        encoding = self._one(words.ENCODINGS) if self._chance(0.12) else b""
        if kind < 0.35:
            boundary = self._one(words.BOUNDARIES)
            header += self._type(self._one(words.MULTIPARTS), boundary)
            body = self._multipart(boundary, depth)
        elif kind < 0.5:
            header += self._type(b"message/rfc822")
            body = self._envelope() + self._part(depth + 1)
        else:
            header += self._type(self._one(words.TYPES)) if self._chance(0.75) else b""
            encoding = self._one([b"", b"base64", b"quoted-printable", *words.ENCODINGS])
            body = self._leaf(encoding)
        if encoding:
            header += self._field(b"Content-Transfer-Encoding", encoding)
        end = b"\n" if self._chance(0.95) else b""
        return header + self._content_fields() + end + body

    def _multipart(self, boundary: bytes, depth: int) -> bytes:
        line = b"--" + boundary
        body = self._one([b"", b"", b"preamble\n", b"\n", b"pre\0amble\n", b"--\n", b"-- x\n"])
        for _ in range(self._random.choice([0, 1, 1, 2, 2, 3])):
            body += line + self._one([b"", b"", b"", b" ", b"x", b"-", b" \t"]) + b"\n"
            body += self._part(depth + 1) + self._one([b"\n", b"\n", b"\n", b"", b"\n\n"])
        if self._chance(0.75):
            body += line + b"--" + self._one([b"\n", b"\n", b"", b"x\n", b"-\n", b" \n"])
        if self._chance(0.3):
            body += self._one([b"epilogue\n", b"epi", b"\n", line + b"\n\nagain\n", line + b"--\n"])
        return body

    def _leaf(self, encoding: bytes) -> bytes:
        text = b"".join(self._one(words.BODIES) for _ in range(self._random.randint(0, 12)))
        name = encoding.lower()
        if b"base64" in name:
            if self._chance(0.2):
                return self._one(words.BROKEN_BASE64)
            encoded = base64.encodebytes(text + self._random.randbytes(40))
            return encoded + self._one([b"", b"", b"", b"\n", b"!", b"QQ==", b" \t"])
        if b"quoted" in name:
            if self._chance(0.4):
                return b"".join(self._one(words.QUOTED_PRINTABLE) for _ in range(self._random.randint(0, 8)))
            return quopri.encodestring(text)
        return text
