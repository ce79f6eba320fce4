"""What the stock executables do wrong, by executable and version.

A scenario names the defects that would spoil it (`@pytest.mark.spoiled_by`), and is not run where a stock
executable brings one of them along; test_stock_defects.py asserts each of them there, save the one that is
a matter of luck, so that a defect that Dovecot mends is noticed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from testing.versions import Combination, Version

EVERYWHERE = frozenset({"bookworm", "trixie", "sid"})
ON_2_4 = frozenset({"trixie", "sid"})
BEFORE_2_4_3 = frozenset({"bookworm", "trixie"})


@dataclass(frozen=True)
class Defect:
    """A defect strikes when all of `pieces` are stock ones of one of `versions`."""

    pieces: frozenset[str]
    versions: frozenset[str]
    effect: str

    def strikes(self, version: Version, combination: Combination) -> bool:
        stock = all(not getattr(combination, piece) for piece in self.pieces)
        return stock and version.name in self.versions


DEFECTS = {
    "login-panics": Defect(
        frozenset({"login"}),
        frozenset({"bookworm"}),
        "auth announces DOVECOT-TOKEN without the flag that login insists on",
    ),
    "switch-breaks": Defect(
        frozenset({"worker"}),
        ON_2_4,
        "END shuts the connection down; imap waits two seconds and connects again",
    ),
    "session-leaks": Defect(
        frozenset({"urlauth", "worker"}),
        ON_2_4,
        "imap-urlauth stays after the session, since the worker ends without a word",
    ),
    "finish-overlooked": Defect(
        frozenset({"urlauth"}),
        ON_2_4,
        "FINISHED in one read with the OK before it is not acted upon, and the client waits; a matter of luck",
    ),
    "urlauth-is-root": Defect(
        frozenset({"urlauth"}),
        EVERYWHERE,
        "imap-urlauth keeps root although its service has another user",
    ),
    "anonymous-crashes": Defect(
        frozenset({"urlauth"}),
        EVERYWHERE,
        "an anonymous user's missing name goes into the process title",
    ),
    "anyone-is-the-user": Defect(
        frozenset({"worker"}),
        BEFORE_2_4_3,
        "user+bob lets every authenticated user in",
    ),
    "unknown-user-panics-imap": Defect(
        frozenset({"worker"}),
        EVERYWHERE,
        "NO to USER, at which imap panics",
    ),
    "undecodable-ends-worker": Defect(
        frozenset({"worker"}),
        EVERYWHERE,
        "a part that cannot be decoded ends the worker after its NO",
    ),
    "bad-section-ends-worker": Defect(
        frozenset({"worker"}),
        EVERYWHERE,
        "a section that cannot be parsed ends the session",
    ),
    "empty-result-hangs": Defect(
        frozenset({"worker"}),
        EVERYWHERE,
        "OK with size 0, after which imap forgets the end of the line",
    ),
    "expunged-ends-worker": Defect(
        frozenset({"worker"}),
        EVERYWHERE,
        "a message that was expunged meanwhile may end the session",
    ),
    "new-mail-unseen": Defect(
        frozenset({"worker"}),
        EVERYWHERE,
        "mail that came after the mailbox was first opened is not found in the same session",
    ),
    "long-url-ends-worker": Defect(
        frozenset({"worker"}),
        frozenset({"bookworm"}),
        "a line of more than 2048 bytes ends the session",
    ),
}


def of(version: Version, combination: Combination) -> set[str]:
    """The names of the defects that this Dovecot has with this combination."""
    return {name for name, defect in DEFECTS.items() if defect.strikes(version, combination)}
