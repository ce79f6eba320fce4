"""Every word in every state: each is legal in one place, so often, so long, with so many descriptors."""

from __future__ import annotations

import pytest

from dovecot_urlauth.worker.parent.monitor import Monitor, OutOfTurn, State
from dovecot_urlauth.worker.parent.protocol import (
    ACCEPTED,
    CLIENT,
    CONNECTION,
    KEEP,
    KEEP_AWAKE,
    KEY_SIZE,
    MESSAGE_LIMIT,
    NOT_SHARED,
    OFFER,
    RESTING,
    TAKEN,
    pack_gone,
)

OFFERING = OFFER + bytes(KEY_SIZE) + b"\0\0ACCESS\tbob\timap\n"
WORDS = {
    "OFFER": OFFERING,
    "NOT_SHARED": NOT_SHARED,
    "ACCEPTED": ACCEPTED,
    "CLIENT_GONE": pack_gone(0),
    "RESTING": RESTING,
    "TAKEN": TAKEN,
    "KEEP": KEEP,
    "KEEP_AWAKE": KEEP_AWAKE,
    "CONNECTION": CONNECTION,
    "CLIENT": CLIENT,
    "an unknown word": b"?",
    "nothing": b"",
}


def monitor(state: State, sent: int = 1) -> Monitor:
    made = Monitor()
    made.answered_keep(is_awake=False)
    made.state = state
    made.sent = sent
    return made


LEGAL = {
    (State.SELECTING, "OFFER"): State.OFFERED,
    (State.SELECTING, "NOT_SHARED"): State.UNSHARED,
    (State.SERVING, "ACCEPTED"): State.SERVING,
    (State.SERVING, "CLIENT_GONE"): State.SERVING,
    (State.SERVING, "NOT_SHARED"): State.UNSHARED,
    (State.SERVING, "RESTING"): State.RESTED,
    (State.UNSHARED, "RESTING"): State.RESTED,
    (State.UNSHARED, "ACCEPTED"): State.UNSHARED,
    (State.UNSHARED, "CLIENT_GONE"): State.UNSHARED,
}


@pytest.mark.parametrize("descriptors", [0, 1, 2, 3, 4, 253])
@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("state", list(State))
def test_every_word_in_every_state(state: State, word: str, descriptors: int) -> None:
    watched = monitor(state)
    allowed = (2, 3) if word == "OFFER" else (0,)
    if (state, word) in LEGAL and descriptors in allowed:
        assert watched.received(WORDS[word], descriptors) == WORDS[word][:1]
        assert watched.state is LEGAL[state, word]
    else:
        with pytest.raises(OutOfTurn, match=word):
            watched.received(WORDS[word], descriptors)
        assert watched.state is state


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("state", list(State))
def test_no_word_is_longer_than_it_is(state: State, word: str) -> None:
    for message in (WORDS[word] + b"x", WORDS[word] + bytes(MESSAGE_LIMIT), OFFERING[: KEY_SIZE + 1]):
        if message[:1] == OFFER and KEY_SIZE + 1 < len(message) <= MESSAGE_LIMIT:
            continue
        if state in (State.SERVING, State.UNSHARED) and message in (pack_gone(0) + b"x", RESTING + b"x"):
            continue  # which may name a format
        with pytest.raises(OutOfTurn):
            monitor(state).received(message, 2 if message[:1] == OFFER else 0)


@pytest.mark.parametrize("state", [State.SERVING, State.UNSHARED])
def test_each_client_is_accepted_once_and_gone_once(state: State) -> None:
    watched = monitor(state, sent=0)
    with pytest.raises(OutOfTurn, match="ACCEPTED without a client"):
        watched.received(ACCEPTED, 0)
    for _ in range(2):
        watched.client_sent()
    watched.client_taken_back()
    watched.received(ACCEPTED, 0)
    with pytest.raises(OutOfTurn, match="ACCEPTED without a client"):
        watched.received(ACCEPTED, 0)
    for number in (1, 0):
        watched.received(pack_gone(number), 0)
        with pytest.raises(OutOfTurn, match="CLIENT_GONE without a client"):
            watched.received(pack_gone(number), 0)


def test_a_spare_is_given_one_client_and_then_another() -> None:
    watched = Monitor()
    watched.given()
    watched.received(OFFERING, 2)
    with pytest.raises(OutOfTurn, match="OFFER while waiting for an answer"):
        watched.received(OFFERING, 2)
    watched.answered_taken()
    assert watched.state is State.SPARE
    watched.given()
    watched.received(OFFERING, 3)
    watched.answered_keep(is_awake=False)
    assert (watched.state, watched.accepted, watched.sent) == (State.SERVING, {0}, 0)


def test_who_has_to_be_awake_says_no_resting() -> None:
    watched = monitor(State.OFFERED)
    watched.answered_keep(is_awake=True)
    with pytest.raises(OutOfTurn, match="RESTING that was forbidden"):
        watched.received(RESTING, 0)


def test_a_process_for_one_client_has_one() -> None:
    watched = Monitor()
    watched.given()
    watched.received(NOT_SHARED, 0)
    with pytest.raises(OutOfTurn, match="RESTING that was forbidden"):
        watched.received(RESTING, 0)
    watched.received(pack_gone(0), 0)
    with pytest.raises(OutOfTurn):
        watched.received(pack_gone(0), 0)
    with pytest.raises(OutOfTurn):
        watched.received(NOT_SHARED, 0)
