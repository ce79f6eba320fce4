"""The player of transcripts notices whatever a session does otherwise."""

from __future__ import annotations

import pytest

from dovecot_urlauth.service.connection import ConnectionLost
from dovecot_urlauth.service.loop import TimedOut
from tests.transcript import Transcript


async def echo(transcript: Transcript) -> None:
    """Sends each line back, says so, and leaves after three seconds of silence."""
    client = transcript.connection("client")
    line = b""
    try:
        while data := await client.read(seconds=3):
            line += data
            if line.endswith(b"\n"):
                client.send_now(line)
                transcript.log.info(line.decode().strip())
                line = b""
    except TimedOut:
        transcript.log.error("late")
    except ConnectionLost as lost:
        transcript.log.error(lost.text)
    client.close()


GOOD = r"""
    # a comment
    C: a\tb
    S: a\tb
    log: Info: a	b
    ..2s
    C: {value}
    S: {value}
    log: Info: x
    ..3s
    log: Error: late
    client !closed
    ended
"""


@pytest.mark.parametrize("bytewise", [False, True])
def test_a_session_that_keeps_to_it(bytewise: bool) -> None:
    transcript = Transcript(GOOD, values={"value": "x"}, bytewise=bytewise)
    transcript.play(echo(transcript))


@pytest.mark.parametrize(
    "text",
    [
        "C: a",
        "C: a\nS: b\nlog: Info: a",
        "C: a\nS: a",
        "C: a\nS: a\nlog: Error: a",
        "C: a\nS: +fd a\nlog: Info: a",
        "S: a",
        "..3s",
        "..2s\nclient !closed",
        "client !close\nclient !closed\nC: a",
        "client !lost ECONNRESET\nclient !closed",
        "ended",
        "what is that",
    ],
)
def test_one_that_does_not(text: str) -> None:
    transcript = Transcript(text)
    with pytest.raises((AssertionError, KeyError)):
        transcript.play(echo(transcript))


def test_a_connection_that_breaks() -> None:
    transcript = Transcript("client !lost ECONNRESET\nlog: Error: Connection reset by peer\nclient !closed\nended")
    transcript.play(echo(transcript))


async def call(transcript: Transcript) -> None:
    try:
        connection = await transcript.connect(transcript.loop, b"/run/worker", patience=1)
    except OSError as error:
        transcript.log.error(str(error.strerror))
        return
    await connection.send_descriptors(b"0", [5], seconds=1)
    _, descriptors = await connection.read_message()
    transcript.adopt(transcript.loop, descriptors[0]).send_now(b"hello\n")
    try:
        await connection.write(b"more", seconds=2)
    except TimedOut:
        transcript.log.error("stuck")


def test_descriptors_and_a_peer_that_takes_nothing() -> None:
    transcript = Transcript(r"""
        worker !connect
        worker> +fd 0\
        worker !stuck
        worker< +fd=given x
        given> hello
        ..2s
        log: Error: stuck
        ended
        """)
    transcript.play(call(transcript))


async def call_late(transcript: Transcript) -> None:
    await transcript.loop.sleep(1)
    await call(transcript)


@pytest.mark.parametrize(
    "text",
    [
        "worker !refuse ECONNREFUSED\n..1s\nlog: Error: Connection refused\nended",
        "worker !full\n..2s\nlog: Error: Resource temporarily unavailable\nended",
    ],
)
def test_connects_that_fail(text: str) -> None:
    transcript = Transcript(text)
    transcript.play(call_late(transcript))


def test_the_tests_own_actions() -> None:
    transcript = Transcript("!leave\nclient !closed\nended")
    transcript.actions["leave"] = lambda: transcript.cancel(TimedOut())

    async def wait() -> None:
        client = transcript.connection()
        try:
            await client.hung_up()
        except TimedOut:
            client.close()

    transcript.play(wait())
