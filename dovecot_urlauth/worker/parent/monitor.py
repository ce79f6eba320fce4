"""What a child may say when: each word is legal in one state, so often, so long, with so many descriptors.

A child that serves is the target user's, and may be anybody's one day; one that breaks a rule here is ended at
once, whatever it meant.  No I/O: the pool tells what arrived and what it did itself.
"""

from __future__ import annotations

from dovecot_urlauth.start.frozen import Enum, frozen
from dovecot_urlauth.worker.parent.protocol import (
    ACCEPTED,
    CLIENT_GONE,
    GONE_SIZE,
    KEY_SIZE,
    MESSAGE_LIMIT,
    NAMES,
    NOT_SHARED,
    OFFER,
    RESTING,
    parse_gone,
)


class State(Enum):
    """What a child is doing."""

    SPARE = "spare"
    SELECTING = "selecting"
    OFFERED = "waiting for an answer"
    SERVING = "serving"
    UNSHARED = "serving alone"
    RESTED = "ending"


class OutOfTurn(Exception):
    """The child broke the rules; the text says which."""


@frozen
class Rule:
    """A word that is legal in a state, and the state that it leads to."""

    becomes: State
    shortest: int = 1
    longest: int = 1
    descriptors: tuple[int, ...] = (0,)


OFFER_RULE = Rule(State.OFFERED, shortest=1 + KEY_SIZE + 1, longest=MESSAGE_LIMIT, descriptors=(2, 3))

RULES = {
    State.SPARE: {},
    State.SELECTING: {OFFER: OFFER_RULE, NOT_SHARED: Rule(State.UNSHARED)},
    State.OFFERED: {},
    State.SERVING: {
        ACCEPTED: Rule(State.SERVING),
        CLIENT_GONE: Rule(State.SERVING, shortest=GONE_SIZE, longest=GONE_SIZE + 1),
        NOT_SHARED: Rule(State.UNSHARED),
        RESTING: Rule(State.RESTED, longest=2),
    },
    State.UNSHARED: {
        ACCEPTED: Rule(State.UNSHARED),
        CLIENT_GONE: Rule(State.UNSHARED, shortest=GONE_SIZE, longest=GONE_SIZE + 1),
        RESTING: Rule(State.RESTED, longest=2),
    },
    State.RESTED: {},
}
"""ACCEPTED for each client that was sent, CLIENT_GONE for each that was accepted, as :class:`Monitor` counts."""


class Monitor:
    """One child's state, and the clients that it may still speak of."""

    __slots__ = ("accepted", "is_awake", "newest", "sent", "state")

    def __init__(self) -> None:
        self.state = State.SPARE
        self.accepted: set[int] = set()
        """Clients that it serves, each a number."""
        self.newest = 0
        """The number of the one that it accepted last."""
        self.is_awake = False
        """Whether it was told to say no RESTING."""
        self.sent = 0
        """Clients that it was sent while it served others, and has not accepted."""

    def received(self, message: bytes, descriptors: int) -> bytes:
        """The word that came with so many descriptors. Raises OutOfTurn."""
        word = message[:1]
        rule = RULES[self.state].get(word)
        if rule is None:
            raise OutOfTurn(f"{_readable(word)} while {self.state.value}")
        if not rule.shortest <= len(message) <= rule.longest:
            raise OutOfTurn(f"{_readable(word)} of {len(message)} bytes")
        if descriptors not in rule.descriptors:
            raise OutOfTurn(f"{_readable(word)} with {descriptors} descriptors")
        if word == ACCEPTED:
            self._count_accepted()
        elif word == CLIENT_GONE:
            self._count_gone(message)
        elif word == RESTING and self.is_awake:
            raise OutOfTurn("RESTING that was forbidden")
        elif rule.becomes is State.UNSHARED and self.state is State.SELECTING:
            self.answered_keep(is_awake=True)
        self.state = rule.becomes
        return word

    def given(self) -> None:
        """A spare child was given a client."""
        self.state = State.SELECTING

    def answered_taken(self) -> None:
        """Its client is another's."""
        self.state = State.SPARE

    def answered_keep(self, *, is_awake: bool) -> None:
        """It serves the client that it has, and does not rest if ``is_awake``."""
        self.state = State.SERVING
        self.accepted = {0}
        self.newest = 0
        self.is_awake = is_awake

    def client_sent(self) -> None:
        """A serving child was sent one more client."""
        self.sent += 1

    def client_taken_back(self) -> None:
        """One of those has not been read, and is another's now."""
        self.sent -= 1

    def _count_accepted(self) -> None:
        if not self.sent:
            raise OutOfTurn("ACCEPTED without a client")
        self.sent -= 1
        self.newest += 1
        self.accepted.add(self.newest)

    def _count_gone(self, message: bytes) -> None:
        number, _ = parse_gone(message)
        if number not in self.accepted:
            raise OutOfTurn("CLIENT_GONE without a client")
        self.accepted.remove(number)


def _readable(word: bytes) -> str:
    return NAMES.get(word, "an unknown word" if word else "nothing")
