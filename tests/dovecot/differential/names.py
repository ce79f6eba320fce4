"""Names of mailboxes: those that exist, as URLs and as IMAP have them, and names that hardly can exist."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

MAILBOX = "Differential"
"""Where the generated messages are."""

MAILBOXES = {
    "INBOX": "INBOX",
    MAILBOX: MAILBOX,
    "a%20b": "a b",
    "%C3%A4": "&AOQ-",
    "a%26b": "a&-b",
    "Deep.er": "Deep.er",
}
"""As URLs name them, and as IMAP does (RFC 3501, 5.1.3)."""
SPELLINGS = {"inbox": "INBOX", "%49NBOX": "INBOX", "Deep%2Eer": "Deep.er", "/a%20b": "a b"}
ODD = (
    "Inbox", "INBOX.", "INBOX.x", "a%2520b", "%26AOQ-", "%C3", "%E4", "a.", ".a", "a..b", "..", "Deep",
    "Deep%2Fer", "Deep/er", "deep.er", "~alice", "%7Ealice", "*", "a%25", "%5C", "a%01b", "%7F", "x" * 255,
    "x" * 256, "a%09b", ".%2E", "%2Fetc", "cur", "new", "dovecot-uidlist", "a%20b%20", "%20a%20b", "A%20b",
    "%EF%BF%BD", "a%CC%88", "a%0Ab", "a%5Eb", "Differential.", "Differential%2F", "%2FDifferential", "a%26b%2F..",
    "%F0%9F%98%80",
)  # fmt: skip
BITS = (
    ".", ".", "/", "/", "%2F", "^", "%5E", "%5C", "%7C", "%25", "%26", "-", "a", "b", "~", "%7E", "%C3%A4", "%E4",
    "2e", "2f", "5e", "5E", "26", "e4", "c3", "INBOX", "Deep", "er", "Sent", "%20", "cur", "..", "&AOQ-",
)  # fmt: skip
"""What names are put together from where stores write them in an odd way."""


@dataclass(frozen=True)
class Names:
    """The mailboxes of one store."""

    prefix: str = ""
    """Of the namespace that all but INBOX are in."""
    more: dict[str, str] = field(default_factory=dict)
    """Mailboxes beside the usual ones."""
    spellings: dict[str, str] = field(default_factory=lambda: SPELLINGS)
    """Other names in URLs, and the mailbox that each may mean."""
    share: float = 0.04
    """Of the questions that are about a mailbox's name; where they are many, most names are put together."""

    @property
    def mailbox(self) -> str:
        """Where the generated messages are."""
        return self.prefix + MAILBOX

    @property
    def existing(self) -> dict[str, str]:
        """Each mailbox, as URLs and as IMAP name it."""
        return self._prefixed(MAILBOXES | self.more)

    @property
    def spelled(self) -> dict[str, str]:
        """The same, and their other names."""
        return self._prefixed(MAILBOXES | self.more | self.spellings)

    def any(self, random: Random) -> str:
        """A name in a URL: of a mailbox that exists, or of one that hardly can."""
        odd: tuple[str, ...] = ODD
        if self.share > Names.share:
            odd += tuple("".join(random.choices(BITS, k=random.randint(1, 5))) for _ in ODD)
        return random.choice((*self.spelled, *(self.prefix + name for name in odd)))

    def _prefixed(self, mailboxes: dict[str, str]) -> dict[str, str]:
        return {
            name if known == "INBOX" else self.prefix + name: known if known == "INBOX" else self.prefix + known
            for name, known in mailboxes.items()
        }
