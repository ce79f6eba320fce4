"""Seeded messages: trees of parts, well-formed as a rule, and then bent.

A message depends on its seed and its number alone, so that a finding can be made again.
"""

from __future__ import annotations

import base64
import quopri
import re
from collections.abc import Sequence
from random import Random
from typing import TypeVar

from tests.dovecot.differential import vocabulary as words

T = TypeVar("T")

NUL_IN_NAME = re.compile(rb"(?m)^([^:\r\n\0]*)\0[^:\r\n]*(?=:)")

DEEPEST = 4

#: How often a message is bent, and how often it is one of those that only a size makes interesting.
BENT = 0.2
LARGE = 0.004


def message(seed: int, number: int) -> bytes:
    """Message `number` of a seed."""
    random = Random(f"{seed}/{number}")
    if random.random() < LARGE:
        return random.choice(LARGE_ONES)(random)
    made = _line_ends(random, Tree(random).part())
    return _bend(random, made) if random.random() < BENT else made


def without_spare_returns(message: bytes) -> bytes:
    """The message with one CR at most before each LF, and none behind another."""
    return re.sub(rb"\r\r+", b"\r", message)


def with_plain_names(message: bytes) -> bytes:
    """The message without NULs in the names of its own header's fields.

    Dovecot spoils such a header when it rewrites an mbox file: it leaves the NUL out, and moves what follows to a
    wrong place. What is right of such a file nobody can say.
    """
    end = min(
        (place for blank in (b"\n\n", b"\n\r\n") if (place := message.find(blank)) >= 0), default=len(message)
    )
    return NUL_IN_NAME.sub(rb"\1", message[:end]) + message[end:]


class Tree:
    """Makes one message, remembering which boundaries are open."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._open: list[bytes] = []

    def part(self, depth: int = 0, envelope: bool = True) -> bytes:
        """A header, its end (as a rule) and a body that suits it (as a rule)."""
        kind = self._random.random() if depth < DEEPEST else 1.0
        header = self._envelope() if envelope and self._chance(0.6) else b""
        if self._chance(0.5):
            header += self._field(b"MIME-Version", b"1.0")
        if kind < 0.35:
            more, body = self._multipart(depth)
        elif kind < 0.5:
            more, body = self._rfc822(depth)
        else:
            more, body = self._leaf()
        header += more + self._part_fields()
        if self._chance(0.05):
            header = self._shuffled(header)
        return header + (b"\n" if self._chance(0.95) else b"") + body

    # -- bodies, each with the fields that announce it

    def _multipart(self, depth: int) -> tuple[bytes, bytes]:
        boundary = self._pick(words.BOUNDARIES)
        header = self._content_type(self._pick(words.MULTIPARTS), boundary) + self._encoding(0.1)
        body = self._pick(words.AROUND_PARTS) if self._chance(0.3) else b""
        self._open.append(boundary)
        for _ in range(self._pick((0, 1, 1, 2, 2, 3))):
            body += b"--" + boundary + self._pick(words.AFTER_BOUNDARY) + b"\n"
            body += self.part(depth + 1, self._chance(0.2)) + self._pick((b"\n", b"\n", b"\n", b"", b"\n\n"))
        self._open.pop()
        if self._chance(0.75):
            body += b"--" + boundary + b"--" + self._pick((b"\n", b"\n", b"\n", b"", b"x\n", b"-\n", b" \n"))
        if self._chance(0.3):
            again = (b"--" + boundary + b"\n\nagain\n", b"--" + boundary + b"--\n")
            body += self._pick(words.AROUND_PARTS + again)
        return header, body

    def _rfc822(self, depth: int) -> tuple[bytes, bytes]:
        encoding = self._encoding(0.15)
        body = self.part(depth + 1)
        if b"base64" in encoding.lower() and self._chance(0.5):
            body = base64.encodebytes(body)
        return self._content_type(b"message/rfc822") + encoding, body

    def _leaf(self) -> tuple[bytes, bytes]:
        header = self._content_type(self._pick(words.TYPES)) if self._chance(0.75) else b""
        if self._chance(0.05):
            header += self._content_type(self._pick(words.TYPES))
        encoding = b""
        if self._chance(0.5):
            encoding = self._pick((b"base64", b"quoted-printable") * 6 + words.ENCODINGS)
            header += self._field(b"Content-Transfer-Encoding", encoding)
        header += self._encoding(0.03)
        body = self._content(encoding.lower())
        if self._open and self._chance(0.1):
            body += b"\n--" + self._pick(self._open) + self._pick((b"", b"--")) + b"\n"
        return header, body

    def _content(self, encoding: bytes) -> bytes:
        raw = self._joined(words.TEXT_BITS, 12)
        if b"base64" in encoding:
            return self._base64(raw) if self._chance(0.8) else self._joined(words.BASE64_BITS, 3)
        if b"quoted" in encoding:
            return quopri.encodestring(raw) if self._chance(0.6) else self._joined(words.QUOTED_PRINTABLE_BITS, 8)
        return raw

    def _base64(self, raw: bytes) -> bytes:
        good = base64.encodebytes(raw + self._random.randbytes(self._random.randrange(60)))
        damaged = (
            good.replace(b"\n", b" \t\n"), good.rstrip(b"=\n"), good + b"!", good + good, b"\n" + good + b"\n\n",
            good.replace(b"=", b" =\n"), good.replace(b"\n", b""), good[1:],
        )  # fmt: skip
        return self._pick(damaged) if self._chance(0.3) else good

    # -- header fields

    def _envelope(self) -> bytes:
        fields = b""
        for name in words.ADDRESS_FIELDS:
            for _ in range(self._pick((0, 0, 0, 1, 1, 2))):
                listed = [self._pick(words.ADDRESSES) for _ in range(self._pick((1, 1, 2, 3)))]
                fields += self._field(name, b", ".join(listed))
        for name in words.TEXT_FIELDS:
            for _ in range(self._pick((0, 0, 1, 1, 2))):
                fields += self._field(name, self._pick(words.TEXTS))
        return fields

    def _part_fields(self) -> bytes:
        fields = b""
        for name, texts in words.PART_FIELDS:
            if self._chance(0.15):
                fields += b"".join(self._field(name, self._pick(texts)) for _ in range(self._pick((1, 1, 2))))
        return fields + (self._pick(words.ODD_LINES) if self._chance(0.04) else b"")

    def _content_type(self, kind: bytes, boundary: bytes | None = None) -> bytes:
        parameters = [self._pick(words.PARAMETERS) for _ in range(self._pick((0, 0, 0, 1, 1, 2, 4)))]
        if boundary is not None:
            place = self._random.randint(0, len(parameters)) if self._chance(0.3) else 0
            spelled = (b'boundary="%s"', b'boundary="%s"', b"boundary=%s", b'Boundary="%s" (c)')
            parameters.insert(place, self._pick(spelled) % boundary)
        value = kind + b"".join(self._pick((b"; ", b";", b" ; ", b";\n ")) + each for each in parameters)
        return self._field(b"Content-Type", value)

    def _encoding(self, chance: float) -> bytes:
        if not self._chance(chance):
            return b""
        return self._field(b"Content-Transfer-Encoding", self._pick(words.ENCODINGS))

    def _field(self, name: bytes, value: bytes) -> bytes:
        name = self._pick((name,) * 8 + (name.upper(), name.lower()))
        if self._chance(0.1):
            value = value.replace(b" ", b"\n ", 1)
        return name + self._pick(words.SEPARATORS) + value + b"\n"

    def _shuffled(self, header: bytes) -> bytes:
        lines = [line for line in header.split(b"\n") if line]
        self._random.shuffle(lines)
        return b"\n".join(lines) + b"\n"

    # -- chance

    def _pick(self, choices: Sequence[T]) -> T:
        return self._random.choice(choices)

    def _chance(self, probability: float) -> bool:
        return self._random.random() < probability

    def _joined(self, bits: tuple[bytes, ...], most: int) -> bytes:
        return b"".join(self._random.choices(bits, k=self._random.randint(0, most)))


def _line_ends(random: Random, made: bytes) -> bytes:
    """LF as it was made, CRLF throughout, or a mixture."""
    kind = random.random()
    if kind < 0.25:
        return made.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    if kind < 0.35:
        return b"".join(line + random.choice((b"\n", b"\r\n")) for line in made.split(b"\n"))
    return made


def _bend(random: Random, made: bytes) -> bytes:
    bent = bytearray(made)
    for _ in range(random.choice((1, 2, 5))):
        at = random.randrange(len(bent) + 1)
        kind = random.random()
        if kind < 0.3:
            del bent[at : at + random.choice((1, 1, 4, 40))]
        elif kind < 0.6:
            bent[at:at] = random.choice(words.INSERTS)
        elif kind < 0.75:
            bent[at : at + 1] = random.randbytes(1)
        elif kind < 0.9:
            bent[at:at] = bent[: random.randrange(len(bent) + 1)][-60:]
        else:
            del bent[at:]
    return bytes(bent)


# -- messages beyond a limit of the parser, or near one


def _deep_multiparts(random: Random) -> bytes:
    depth = random.choice((99, 100, 101, 130))
    opened = [b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (level, level) for level in range(depth)]
    return b"".join(opened) + b"\ninnermost\n"


def _deep_messages(random: Random) -> bytes:
    depth = random.choice((98, 99, 100, 101, 130))
    return b"Content-Type: message/rfc822\n\n" * depth + b"Subject: x\n\ninnermost\n"


def _many_parts(random: Random) -> bytes:
    part = b"--b\n\n" if random.random() < 0.5 else b"--b\nContent-Type: text/plain\n\nx\n"
    return b"Content-Type: multipart/mixed; boundary=b\n\n" + part * random.choice((2000, 9998, 10000, 10002))


def _long_lines(random: Random) -> bytes:
    """A line near or beyond the 8192 bytes that Dovecot's parser has at hand, in one of several places."""
    name = random.choice(words.LONG_NAMES)
    separator = random.choice((b": ", b": ", b":", b":  ", b" \t: \t", b":" + b" " * 9000, b" " * 9000 + b":"))
    long = random.choice((b"word ", b"x", b"a@b, ", b"\n ", b"("))
    if random.random() < 0.5:
        value = long * random.choice((1000, 10_000, 20_000))
    else:
        value = (long * 8192)[: 8192 - len(name) - len(separator) - random.randrange(6)]
    value += random.choice((b"", b"", b"\n folded", b"  ", b"; a=b", b"\r"))
    field = name + separator + value + random.choice((b"\n", b"\n", b"\r\n"))
    header = b"MIME-Version: 1.0\nSubject: before\n" + field + b"To: after\n\nbody\n"
    return random.choice(words.AROUND_LONG_LINES) + header


def _many_fields(random: Random) -> bytes:
    field = random.choice((b"To: a@b\n", b"X-A: b\n", b"Content-Type: text/plain\n", b"Subject: s\n"))
    return field * random.choice((500, 5000)) + b"\nbody\n"


def _many_parameters(random: Random) -> bytes:
    count = random.choice((126, 127, 128, 129, 200))
    parameters = (random.choice((b";p%d=v", b";p*%d=v", b";;%d")) % place for place in range(count))
    return b"Content-Type: text/plain" + b"".join(parameters) + b"\n\nbody\n"


def _large_body(random: Random) -> bytes:
    raw = random.randbytes(random.choice((8191, 65_536, 300_000)))
    if random.random() < 0.5:
        return b"Content-Transfer-Encoding: base64\n\n" + base64.encodebytes(raw)
    return b"Content-Transfer-Encoding: quoted-printable\n\n" + quopri.encodestring(raw)


LARGE_ONES = (
    _deep_multiparts, _deep_messages, _many_parts, _long_lines, _many_fields, _many_parameters, _large_body,
)  # fmt: skip
