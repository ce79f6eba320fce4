"""What is read out of a trace, and the tables of two backends that share their storage."""

from __future__ import annotations

from collections import Counter

import pytest

from bench.asker import Asker, seconds_until_seen
from bench.filecalls import calls_in
from bench.sharedtable import OURS, STOCK, Found, report
from testing.oracle import Answer

TRACE = """\
101 openat(AT_FDCWD</>, "/srv/homes/alice", O_RDONLY|O_PATH) = 5</srv/homes/alice>
101 openat(5</srv/homes/alice>, "Maildir", O_RDONLY) = 6</srv/homes/alice/Maildir>
101 newfstatat(6</srv/homes/alice/Maildir>, "", {st_mode=S_IFDIR|0700, ...}, AT_EMPTY_PATH) = 0
102 pread64(7</srv/homes/alice/Maildir/cur/1>, "From"..., 4096, 0) = 4
102 close(7</srv/homes/alice/Maildir/cur/1>) = 0
102 fcntl(6</srv/homes/alice/Maildir>, F_GETFD) = 0
103 write(1</run/log>, "elsewhere"..., 9) = 9
103 write(4<socket:[77]>, "home=/srv/homes/alice"..., 21) = 21
102 fstat(7</srv/homes/alice/Maildir/cur/1>, {st_mode=S_IFREG|0600, ...}) = 0
103 +++ exited with 0 +++
"""


def test_calls_below_a_folder() -> None:
    """What only this machine hears of is left out, and other names of the same are counted together."""
    assert calls_in(TRACE.splitlines(), "/srv/homes") == Counter(open=2, stat=2, read=1)
    assert calls_in(TRACE.splitlines(), "/run/log") == Counter(write=1)


class Answering(Asker):
    """Says the given answers, the last one again and again."""

    def __init__(self, *answers: Answer) -> None:
        self._answers = list(answers)

    def fetch(self, url: bytes, *flags: bytes) -> Answer:
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


YES, NO = Answer((b"OK",), b"mail"), Answer((b"NO",))


def test_when_a_change_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    assert seconds_until_seen(Answering(YES), b"url", lambda answer: answer.ok) == 0.0
    assert 0.0 < seconds_until_seen(Answering(NO, NO, YES), b"url", lambda answer: answer.ok) < 5
    monkeypatch.setattr("bench.asker.PATIENCE", 0.01)
    assert seconds_until_seen(Answering(NO), b"url", lambda answer: answer.ok) >= 0.01


def test_the_tables() -> None:
    found = Found(
        unequal=["stock: imap://..."],
        asked=22,
        delays={"new mail": {OURS: [0.0, 0.0], STOCK: [0.0, 2.5]}},
        prices={"first fetch": {OURS: [0.010] * 3, STOCK: [0.020] * 3}, "25 MB": {OURS: [0.1]}},
        calls={"ours, repeated": Counter(stat=7, open=1)},
        stopped="OSError: no more",
        logged=Counter({"second: Error: ...": 3}),
    )
    lines = report(found).splitlines()
    assert "22 URLs asked of each worker: 1 answers unequal to the first backend's" in lines
    assert "- stock: imap://..." in lines
    assert "| new mail | ours: 2 of 2 | 0.00 s |" in lines
    assert "| new mail | stock: 1 of 2 | 2.50 s |" in lines
    assert "| first fetch, ours | 10.0 ms (10.0 to 10.0) |" in lines
    assert "| first fetch, ratio | 0.50 (0.50 to 0.50) |" in lines
    assert "| 25 MB, ours | 100.0 ms (100.0 to 100.0) |" in lines
    assert not any(line.startswith("| 25 MB, ratio") for line in lines), "one worker alone has none"
    assert "| ours, repeated | 8 | 7 stat, 1 open |" in lines
    assert lines[-3:] == ["- 3 times second: Error: ...", "", "stopped: OSError: no more"]
