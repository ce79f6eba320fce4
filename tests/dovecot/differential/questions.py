"""Seeded questions: parts of the generated messages, URLs bent in the grammar's joints, odd mailbox names.

Every URL that is meant to reach mail is signed after it was bent: a token that fits keeps the worker from
stopping at the token.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from dovecot_urlauth.url.access import Accessor
from dovecot_urlauth.wire.tabescape import escape
from testing.instance import HOST
from testing.oracle import sign
from tests.dovecot.differential.names import Names
from tests.url.urls import URLMaker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

    from testing.scene import Stored

BOB = Accessor(b"bob", b"imap")

#: Who asks the questions that are about URLs, and how often.
ACCESSORS = {
    BOB: 10,
    Accessor(b"Bob", b"submission"): 2,
    Accessor(None, b"imap"): 1,
    Accessor(b"submitsrv", b"imap", (b"submit+",)): 2,
    Accessor(b"streamsrv", b"imap", (b"stream",)): 2,
}

#: The usual sections first; a message is asked for those more often.
SECTIONS = (
    "", "", "", "TEXT", "HEADER", "1", "1", "2", "2", "3", "1.1", "1.2", "2.1", "2.2", "1.MIME", "2.MIME",
    "1.1.MIME", "1.HEADER", "2.HEADER", "1.TEXT", "2.TEXT", "1.1.1", "2.1.1", "1.1.HEADER", "1.1.TEXT", "1.2.1",
    "1.1.1.1", "HEADER.FIELDS (subject from content-transfer-encoding)", 'HEADER.FIELDS.NOT (Content-Type "to")',
    "1.HEADER.FIELDS (Subject)", "2.HEADER.FIELDS.NOT (to)",
)  # fmt: skip
ODD_SECTIONS = (
    "0", "4294967297", "1.0", "1.", ".1", "01", "1.1.", "MIME", "text", "1.mime", "1MIME", "HEADER.FIELDS",
    "HEADER.FIELDS ()", "HEADER.FIELDS (a", "HEADER.FIELDS(a)", "HEADER.FIELDS  (a)", "HEADER.FIELDS (a) ", "1..2",
    "HEADER.FIELDS.NOT (Subject)", 'HEADER.FIELDS ("")', "HEADER.FIELDS (a  b)", "HEADER.FIELDS (X-Foo X-FOO)",
    "HEADER.FOO", "TEXT.1", "1.2.3.4.5.6", "99", "1.TEXT.1", "1.HEADER.FIELDS.NOT ()", "HEADER.FIELDS ({1}\r\na)",
    'HEADER.FIELDS ("a\\"b" \\)', "2.0", "0.1", "18446744073709551617", "HEADER ", " 1", "1.HEADER.FIELDS",
)  # fmt: skip

OFFSETS = (0, 0, 1, 3, 5, 10, 20, 100, 1000)
SIZES = (None, None, 1, 2, 7, 50, 1000, 100_000)

ITEMS = ((b"body",), (b"binary",), (b"bpstruct",), (b"body", b"bpstruct"), (b"binary", b"bpstruct"))
ODD_ITEMS = ((b"body", b"binary"), (b"BINARY",), (b"bpstruct", b"bpstruct"), (b"bpstruct", b"binary", b"body"))

MESSAGES = 5 / 6
"""Of the questions that are not about names, so many are about messages."""


@dataclass(frozen=True)
class Question:
    """One URL command; `stored` is the message that it is about, if a generated one."""

    kind: str
    url: bytes
    items: tuple[bytes, ...]
    accessor: Accessor = BOB
    stored: Stored | None = None
    section: str = ""
    partial: str = ""

    @property
    def line(self) -> bytes:
        """The URL as the command carries it."""
        return escape(self.url)

    def about(self, stored: Stored, key: bytes) -> Question:
        """The same question about another message."""
        return replace(self, url=_url(stored, self.section, self.partial, key), stored=stored)

    def whole(self, key: bytes) -> Question:
        """The same question without its partial range."""
        assert self.stored
        return replace(self, url=_url(self.stored, self.section, "", key), partial="")

    def slice(self, content: bytes) -> bytes:
        """What the partial range takes of the whole content."""
        offset, _, size = self.partial.partition(".")
        end = int(offset) + int(size) if size else None
        return content[int(offset) : end]


@dataclass(frozen=True)
class QuestionMaker:
    """Makes questions over `messages`; `keys` are those of the mailboxes, INBOX's among them."""

    random: Random
    messages: list[Stored]
    keys: dict[str, bytes]
    names: Names = field(default_factory=Names)

    def make(self, count: int) -> Iterator[Question]:
        """Make so many: most about messages, the rest about URLs and mailbox names."""
        urls = URLMaker(self.random, self.keys["INBOX"])
        for place in range(count):
            kind = self.random.random()
            if kind < MESSAGES * (1 - self.names.share):
                yield self._about(self.messages[place % len(self.messages)])
            elif kind < 1 - self.names.share:
                yield Question("url", urls.make(), self._items(), self._accessor())
            else:
                yield self._about_mailbox()

    def _about(self, stored: Stored) -> Question:
        odd = self.random.random() < 0.1
        section = self.random.choice(ODD_SECTIONS if odd else SECTIONS)
        partial = self._partial() if self.random.random() < 0.2 else ""
        url = _url(stored, section, partial, self.keys[stored.mailbox])
        return Question("message", url, self._items(), BOB, stored, section, partial)

    def _about_mailbox(self) -> Question:
        """A mailbox that exists, with its own key as a rule, or one that hardly can."""
        real = self.names.spelled
        name = self.names.any(self.random)
        rump = f"imap://alice@{HOST}/{name}/;UID=1;URLAUTH=user+bob".encode()
        odd = name not in real or self.random.random() < 0.2
        key = self.random.choice(list(self.keys.values())) if odd else self.keys[real[name]]
        return Question("mailbox", sign(rump, key), self._items())

    def _partial(self) -> str:
        offset, size = self.random.choice(OFFSETS), self.random.choice(SIZES)
        return str(offset) if size is None else f"{offset}.{size}"

    def _items(self) -> tuple[bytes, ...]:
        return self.random.choice(ODD_ITEMS if self.random.random() < 0.02 else ITEMS)

    def _accessor(self) -> Accessor:
        return self.random.choices(list(ACCESSORS), list(ACCESSORS.values()))[0]


def _url(stored: Stored, section: str, partial: str, key: bytes) -> bytes:
    encoded = "".join(char if char.isalnum() or char in ".-_" else f"%{ord(char):02X}" for char in section)
    return sign(stored.rump(section=encoded, partial=partial).encode(), key)
