r"""Recorded conversations of real Dovecots, as straces of one cross-user URLFETCH session each.

A line of a recording is a system call on a descriptor whose meaning is written beside it::

    +31.4 ms  imap-urlauth-login[13405]  fd12 to tokenlogin  write(12, "AUTH\t1\tDOVECOT-TOKEN...", 177) = 177

Here the calls on one descriptor of one process, from its connect or accept to its close, are one
conversation: a row of messages that this process said or heard.
"""

from __future__ import annotations

import lzma
import re
from dataclasses import dataclass, field
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "recordings"

_CALL = re.compile(
    r"\s+\+[\d.]+ ms\s+(?P<process>[\w-]+)\[(?P<pid>\d+)\]\s+fd(?P<fd>\d+) (?P<what>.*?)\s+"
    r"(?P<call>read|write|sendmsg|recvmsg|connect|accept|close)\((?P<rest>.*)"
)
_TEXT = re.compile(r'(?:^\d+(?:<[^>]*>)?, |iov_base=)"((?:[^"\\]|\\.)*)"')
_PASSED = re.compile(r"cmsg_type=SCM_RIGHTS, cmsg_data=\[(\d+)")
_ESCAPE = re.compile(rb"\\([0-7]{1,3}|.)", re.S)
_LETTERS = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"v": b"\v", b"f": b"\f", b"a": b"\a", b"b": b"\b"}
_SAID = {"write": True, "sendmsg": True, "read": False, "recvmsg": False}


@dataclass(frozen=True)
class Message:
    """Bytes that went over the descriptor in one call; ``fds`` as numbered in the recorded process."""

    said: bool
    data: bytes
    fds: tuple[int, ...] = ()


@dataclass
class Conversation:
    process: str
    pid: int
    what: str
    messages: list[Message] = field(default_factory=list)

    def said(self) -> bytes:
        return b"".join(message.data for message in self.messages if message.said)

    def heard(self) -> bytes:
        return b"".join(message.data for message in self.messages if not message.said)


def conversations(recording: str) -> list[Conversation]:
    """All conversations of the session in the recording of that name, in the order in which they began."""
    found: list[Conversation] = []
    current: dict[tuple[int, int], Conversation] = {}
    for line in lzma.decompress((FOLDER / f"{recording}.txt.xz").read_bytes()).decode("latin-1").splitlines():
        call = _CALL.match(line)
        if call is None:
            continue
        key = int(call["pid"]), int(call["fd"])
        if call["call"] in ("connect", "accept", "close"):
            current.pop(key, None)
        elif (message := _message(call["call"], call["rest"])) is not None:
            talk = current.get(key)
            if talk is None or talk.what != call["what"]:
                talk = current[key] = Conversation(call["process"], key[0], call["what"])
                found.append(talk)
            talk.messages.append(message)
    return found


def _message(call: str, rest: str) -> Message | None:
    text = _TEXT.search(rest)
    if text is None or not text[1]:
        return None
    return Message(_SAID[call], _plain(text[1]), tuple(int(fd) for fd in _PASSED.findall(rest)))


def _plain(text: str) -> bytes:
    def one(escape: re.Match[bytes]) -> bytes:
        code = escape[1]
        return bytes([int(code, 8)]) if code[:1].isdigit() else _LETTERS.get(code, code)

    return _ESCAPE.sub(one, text.encode("latin-1"))
