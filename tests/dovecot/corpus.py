"""Messages for the oracle tests: those in tests/messages that break MIME readers, and generated MIME trees.

The generated ones are the same in every run. They mix what real mail mixes: depths, encodings, line ends,
missing final boundaries, headers that are folded, repeated, empty or in 8 bits.
"""

from __future__ import annotations

import base64
import quopri
import random
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "messages" / "nasty"
GENERATED = 200

HEADERS = (
    b"Subject: plain",
    b"Subject: =?utf-8?q?gr=C3=BC=C3=9Fe?=",
    b"Subject: folded\n  over\n\tlines",
    b"Subject:",
    b"From: A <a@example.test>",
    b'From: "quoted, name" <b@example.test>, group: c@example.test, d@example.test;',
    b"To: undisclosed-recipients:;",
    b"Cc: e@example.test (comment)",
    b"Date: Mon, 2 Mar 2026 10:00:00 +0100",
    b"Message-ID: <x@example.test>",
    b"In-Reply-To: <y@example.test> <z@example.test>",
    b"X-Raw: \xc3\xa4\xff",
    b"X-Long: " + b"word " * 200,
)
TYPES = (
    b"text/plain",
    b"text/plain; charset=utf-8; format=flowed",
    b'TEXT/HTML; charset="iso-8859-1"',
    b'application/octet-stream; name="a b.bin"',
    b"image/png; name*=utf-8''%C3%A4.png",
    b'application/pdf; name=plain.pdf; x="q\\"uoted"',
)
MULTIPARTS = (b"mixed", b"alternative", b'related; type="text/html"', b"digest", b"x-unheard-of")


@dataclass(frozen=True)
class Specimen:
    """One message with the name under which a failure reports it."""

    name: str
    content: bytes


def specimens() -> list[Specimen]:
    """The whole corpus, in a fixed order."""
    collected = [Specimen(path.stem, path.read_bytes()) for path in sorted(FOLDER.glob("*.eml"))]
    return collected + [Specimen(f"generated-{seed}", _generate(seed)) for seed in range(GENERATED)]


def _generate(seed: int) -> bytes:
    choose = random.Random(seed)
    message = _headers(choose) + b"MIME-Version: 1.0\n" + _entity(choose, choose.randrange(4))
    return message.replace(b"\n", b"\r\n") if choose.random() < 0.5 else message


def _headers(choose: random.Random) -> bytes:
    return b"".join(line + b"\n" for line in choose.sample(HEADERS, choose.randrange(len(HEADERS))))


def _entity(choose: random.Random, depth: int) -> bytes:
    kind = choose.random() if depth else 0.0
    if kind > 0.4:
        return _multipart(choose, depth)
    if kind > 0.2:
        inner = _headers(choose) + _entity(choose, depth - 1)
        return b"Content-Type: message/rfc822\n\n" + inner
    return _leaf(choose)


def _multipart(choose: random.Random, depth: int) -> bytes:
    boundary = b"b%d%s" % (depth, choose.choice((b"", b"=_", b".x y"))) + b"%d" % choose.randrange(1000)
    parts = [_entity(choose, depth - 1) for _ in range(choose.randrange(4))]
    lines = [b'Content-Type: multipart/%s; boundary="%s"\n\n' % (choose.choice(MULTIPARTS), boundary)]
    if choose.random() < 0.5:
        lines.append(b"a preamble\n")
    lines += [b"--%s\n%s\n" % (boundary, part) for part in parts]
    if choose.random() < 0.8:
        lines.append(b"--%s--\n" % boundary)
    if choose.random() < 0.3:
        lines.append(b"an epilogue\n")
    return b"".join(lines)


def _leaf(choose: random.Random) -> bytes:
    body = choose.randbytes(choose.randrange(200))
    text = b"line one\nline two with trailing space \n\n.\nFrom here\n"[: choose.randrange(60)]
    encoding, content = choose.choice(
        (
            (b"7bit", text),
            (b"8bit", text + b"\xc3\xa4\n"),
            (b"base64", base64.encodebytes(body)),
            (b"BASE64", base64.b64encode(body)),
            (b"quoted-printable", quopri.encodestring(body)),
            (b"quoted-printable", text + b"=\nsoft =3D=\n"),
            (b"", text),
        )
    )
    lines = [b"Content-Type: " + choose.choice(TYPES)] if choose.random() < 0.9 else []
    if encoding:
        lines.append(b"Content-Transfer-Encoding: " + encoding)
    if choose.random() < 0.3:
        lines.append(b'Content-Disposition: attachment; filename="f"')
    if choose.random() < 0.2:
        lines.append(b"Content-ID: <part@example.test>\nContent-Language: en, de\nContent-Location: x")
    return b"".join(line + b"\n" for line in lines) + b"\n" + content
