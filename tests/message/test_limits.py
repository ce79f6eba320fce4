"""Hostile messages: each is answered or refused in little time and memory, as a worker has it (RLIMIT_AS)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dovecot_urlauth.message.tree import MAX_NESTED, MAX_PARTS

pytestmark = pytest.mark.limits

ROOT = Path(__file__).parents[2]

#: Runs requests over a message that is made while it is read: PIECES is a list of (bytes, how often).
PROGRAM = """
import resource, sys, time
sys.path.insert(0, {root!r})
resource.setrlimit(resource.RLIMIT_AS, (256 << 20, 256 << 20))
from dovecot_urlauth.message.fetch import MessageError, Request, fetching
from dovecot_urlauth.message.rules import RULES_2_3_13, RULES_2_4_5

class Repeated:
    def __init__(self, pieces):
        self.pieces = pieces
        self.size = sum(len(text) * times for text, times in pieces)

    def read(self, offset, length):
        found = b""
        start = 0
        for text, times in self.pieces:
            end = start + len(text) * times
            if offset < end and length > 0:
                first = (offset - start) // len(text)
                count = min(length // len(text) + 2, times - first)
                piece = (text * count)[(offset - start) % len(text) :][:length]
                found += piece
                offset += len(piece)
                length -= len(piece)
            start = end
        return found

class Sum:
    size = 0
    def append(self, chunk):
        self.size += len(chunk or b"")

source = Repeated({pieces})
first = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
slowest = largest = 0

def take(steps, widest):
    last = time.process_time()
    try:
        while True:
            found.append(next(steps))
            now = time.process_time()
            widest[0], last = max(widest[0], now - last), now
    except StopIteration as end:
        widest[0] = max(widest[0], time.process_time() - last)
        return end.value

def answer(wishes, rules, widest):
    global found
    try:
        found = Sum()
        content = take(fetching(source, Request(*wishes), rules), widest)
        found = Sum()
        take(iter(content.chunks), widest)
        assert found.size == content.size
    except MessageError as error:
        return error.text
    return f"OK {{content.size}} {{len(content.structure or b'')}}"

def slowness():
    # how much more than {quick} seconds of CPU time this machine now takes for the work that takes so much on one
    # that does nothing else; memory is read and written, as the answers do
    began = time.process_time()
    text = b"ab " * 100_000
    for _ in range(5):
        len(b" ".join(text.split()))
    return max(1.0, (time.process_time() - began) / {quick})

for rules in (RULES_2_3_13, RULES_2_4_5):
    for wishes in {requests}:
        gap = seconds = 99
        for _ in range(3):
            before = slowness()
            started, widest = time.process_time(), [0]
            said = answer(wishes, rules, widest)
            took = time.process_time() - started
            slow = max(before, slowness())
            gap, seconds = min(gap, widest[0] / slow), min(seconds, took / slow)
            if gap < {allowed}:
                break
        print(said)
        slowest, largest = max(slowest, seconds), max(largest, gap)
print(slowest, largest, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - first)
"""

#: CPU time for one answer, and from one of its steps to the next, on a machine as quick as QUICK says.
SECONDS = 10.0
GAP = 0.05
#: CPU time of some other work there, which is done beside each answer: a slow or busy machine is given more.
QUICK = 0.030

WHOLE = (b"", 0, None, True)
DECODED = (b"", 0, None, False, True)
STRUCTURE = (b"", 0, None, False, False, True)
BOTH = (b"", 0, None, False, True, True)
FIRST = (b"1", 0, None, True)
LAST = (b"10000", 0, None, True)
FIELDS = (b"HEADER.FIELDS (SUBJECT)", 0, None, True)

MULTIPART = b"MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n"
#: Multiparts in each other, as many as are divided.
NESTED = b"".join(b"Content-Type: multipart/mixed; boundary=%d\n\n--%d\n" % (n, n) for n in range(99))
ENCODED = b"Content-Transfer-Encoding: base64\n"
FORWARDED = b"Content-Type: message/rfc822\n\n"

HOSTILE = {
    "boundaries": [(MULTIPART, 1), (b"--b\n\nx\n", 100_000)],
    "parts": [(MULTIPART, 1), (b"--b\nContent-Type: text/plain; name=x\n\nx\n", 10_001)],
    "messages": [(MULTIPART, 1), (b"--b\n" + FORWARDED + b"From: a@b\n\nx\n", 5_001)],
    "no boundary": [(MULTIPART.replace(b"=b", b'=""'), 1), (b"--\n", 100_000)],
    "parts in parts": [(NESTED, 1), (b"--98\n\nx\n", 100_000)],
    "boundaries of many parts": [(NESTED, 1), (b"--x\n", 500_000)],
    "multiparts in parts": [(NESTED, 1), (b"--98\n" + MULTIPART.replace(b"=b", b"=" + b"z" * 80), 10_000)],
    "endless headers": [(MULTIPART, 1), (b"--b\n" + ENCODED, 100_000)],
    "nearly boundaries": [(MULTIPART, 1), (b"--b\n\n", 1), (b"--c\n", 500_000)],
    "line": [(b"Subject: ", 1), (b"x" * 1000, 50_000), (b"\nTo: a\n\nx\n", 1)],
    "forwarded line": [(FORWARDED + b"Subject: ", 1), (b"x" * 1000, 50_000), (b"\n\nx\n", 1)],
    "forwarded words": [(FORWARDED + b"Subject: ", 1), (b"a ", 4_000_000), (b"\n\nx\n", 1)],
    "name": [(b"x" * 1000, 50_000), (b": y\n\nx\n", 1)],
    "parameters": [(b"Content-Type: a/b", 1), (b";a=b", 2_000_000), (b"\n\nx\n", 1)],
    "languages": [(b"Content-Type: a/b\nContent-Language: ", 1), (b"a,", 2_000_000), (b"\n\nx\n", 1)],
    "addresses": [(FORWARDED + b"To: ", 1), (b"a,", 100_000), (b"\n\nx\n", 1)],
    "words": [(FORWARDED + b"To: ", 1), (b"a ", 500_000), (b"\n\nx\n", 1)],
    "comments": [(FORWARDED + b"To: ", 1), (b"(", 1_000_000), (b"\n\nx\n", 1)],
    "comments in a type": [(b"Content-Type: a/b; ", 1), (b"(a) ", 1_000_000), (b"\n\nx\n", 1)],
    "pairs in a type": [(b'Content-Type: a/b; a="', 1), (b"\\a", 1_000_000), (b'"\n\nx\n', 1)],
    "short types": [(b"MIME-Version: 1\n", 1), (b"Content-Type: " + b"(a) " * 15_000 + b"\n", 160), (b"\nx\n", 1)],
    "dispositions": [
        (b"MIME-Version: 1\n", 1),
        (b"Content-Disposition: a" + b"(a) " * 15_000 + b"\n", 160),
        (b"\nx\n", 1),
    ],
    "address fields": [(FORWARDED, 1), (b"To: a\n", 100_000), (b"\nx\n", 1)],
    "content fields": [(b"MIME-Version: 1\n", 1), (b"Content-ID: a\n", 100_000), (b"\nx\n", 1)],
    "blanks": [(b"Content-Transfer-Encoding: quoted-printable\n\n", 1), (b" " * 1000, 20_000)],
    "padding": [(b"Content-Transfer-Encoding: base64\n\nQQ", 1), (b"=" * 1000, 20_000)],
    "folds": [(b"Subject: x\n", 1), (b" y\n", 100_000), (b"\nx\n", 1)],
}


def run(pieces: Any, *requests: Any) -> tuple[list[str], int]:
    """The answers, each within the seconds allowed, and by how many bytes the process grew."""
    program = PROGRAM.format(root=str(ROOT), pieces=pieces, requests=list(requests), allowed=GAP, quick=QUICK)
    done = subprocess.run([sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=True)
    *answers, used = done.stdout.splitlines()
    seconds, gap, kibibytes = used.split()
    assert float(seconds) < SECONDS
    assert float(gap) < GAP
    return answers, int(kibibytes) * 1024


@pytest.mark.parametrize("name", HOSTILE)
def test_answered_or_refused(name: Any) -> None:
    requests = (STRUCTURE, FIRST, LAST, FIELDS, DECODED, BOTH)
    answers, _ = run(HOSTILE[name], *requests)
    assert len(answers) == 2 * len(requests)


def test_deep_nesting() -> None:
    nested = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(300))
    answers, _ = run([(nested, 1), (b"\nx\n", 1)], STRUCTURE, DECODED, (b".".join([b"1"] * 99), 0, None, True))
    assert all(answer.startswith("OK") for answer in answers)
    answers, _ = run([(FORWARDED, 5_000)], STRUCTURE, DECODED)
    assert all(answer.startswith("OK") for answer in answers)
    assert (MAX_NESTED, MAX_PARTS) == (100, 10_000)


def test_memory_does_not_grow_with_the_message() -> None:
    line = b"A" * 76 + b"\n"
    pieces = [(MULTIPART + b"--b\nContent-Transfer-Encoding: base64\n\n", 1), (line, 1_500_000), (b"\n--b--\n", 1)]
    answers, growth = run(pieces, STRUCTURE, WHOLE, DECODED, (b"1", 0, None, False, True), (b"TEXT", 7, 9, True))
    assert all(answer.startswith("OK") for answer in answers)
    assert growth < 20 * 1024 * 1024
