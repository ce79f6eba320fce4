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


@dataclass(frozen=True)
class Defect:
    """A defect strikes when all of `pieces` are stock ones, of a version from `since` to before `mended`."""

    pieces: frozenset[str]
    effect: str
    since: tuple[int, ...] = (2, 3)
    mended: tuple[int, ...] | None = None

    def strikes(self, version: Version, combination: Combination) -> bool:
        stock = all(not getattr(combination, piece) for piece in self.pieces)
        return stock and self.since <= version.number and (self.mended is None or version.number < self.mended)


DEFECTS = {
    "login-panics": Defect(
        frozenset({"login"}),
        "auth announces DOVECOT-TOKEN without the flag that login insists on",
        mended=(2, 4),
    ),
    "switch-breaks": Defect(
        frozenset({"worker"}),
        "END shuts the connection down; imap waits two seconds and connects again",
        since=(2, 4),
    ),
    "session-leaks": Defect(
        frozenset({"urlauth", "worker"}),
        "imap-urlauth stays after the session, since the worker ends without a word",
        since=(2, 4),
    ),
    "finish-overlooked": Defect(
        frozenset({"urlauth"}),
        "FINISHED in one read with the OK before it is not acted upon, and the client waits; a matter of luck",
        since=(2, 4),
    ),
    "urlauth-is-root": Defect(
        frozenset({"urlauth"}),
        "imap-urlauth keeps root although its service has another user",
    ),
    "anonymous-crashes": Defect(
        frozenset({"urlauth"}),
        "an anonymous user's missing name goes into the process title",
    ),
    "anyone-is-the-user": Defect(
        frozenset({"worker"}),
        "user+bob lets every authenticated user in",
        mended=(2, 4, 3),
    ),
    "unknown-user-panics-imap": Defect(
        frozenset({"worker"}),
        "NO to USER, at which imap panics",
    ),
    "undecodable-ends-worker": Defect(
        frozenset({"worker"}),
        "a part that cannot be decoded ends the worker after its NO",
    ),
    "bad-section-ends-worker": Defect(
        frozenset({"worker"}),
        "a section that cannot be parsed ends the session",
    ),
    "empty-result-hangs": Defect(
        frozenset({"worker"}),
        "OK with size 0, after which imap forgets the end of the line",
    ),
    "expunged-ends-worker": Defect(
        frozenset({"worker"}),
        "a message that was expunged meanwhile may end the session",
    ),
    "new-mail-unseen": Defect(
        frozenset({"worker"}),
        "mail that came after the mailbox was first opened is not found in the same session",
    ),
    "long-url-ends-worker": Defect(
        frozenset({"worker"}),
        "a line of more than 2048 bytes ends the session",
        mended=(2, 4),
    ),
}


def of(version: Version, combination: Combination) -> set[str]:
    """The names of the defects that this Dovecot has with this combination."""
    return {name for name, defect in DEFECTS.items() if defect.strikes(version, combination)}
