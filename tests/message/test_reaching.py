"""A source that has to go a long way is asked to do so in steps, before anything is read there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dovecot_urlauth.message.fetch import Request, fetch
from dovecot_urlauth.message.rules import RULES_2_4_5
from dovecot_urlauth.message.source import BytesSource, reaching
from dovecot_urlauth.message.steps import run_through

if TYPE_CHECKING:
    from dovecot_urlauth.message.steps import Steps

PART = (
    b"--b\nContent-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n\n=41 text\n"
    + b"line\n" * 20_000
)
MESSAGE = b"Subject: far\nContent-Type: multipart/mixed; boundary=b\n\n" + PART * 4 + b"--b--\n"
NEAR = 64 * 1024


class FarSource(BytesSource):
    """Reads only near a place that it was brought to, or behind what was read last."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._place = 0
        self.steps = 0

    def reach(self, offset: int) -> Steps[None]:
        while self._place != offset:
            self._place += max(-NEAR, min(offset - self._place, NEAR))
            self.steps += 1
            yield

    def read(self, offset: int, length: int) -> bytes:
        assert abs(offset - self._place) <= NEAR, (offset, self._place)
        self._place = min(offset + length, self.size)
        return super().read(offset, length)


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("structure", [False, True])
@pytest.mark.parametrize("section", ["", "HEADER", "TEXT", "1", "3", "4.MIME", "HEADER.FIELDS (Subject)"])
@pytest.mark.parametrize("offset", [0, 80_000])
def test_every_answer(section: str, structure: bool, binary: bool, offset: int) -> None:
    request = Request(
        section=section.encode(), structure=structure, binary=binary, body=not binary, partial_offset=offset
    )
    source = FarSource(MESSAGE)
    far, near = (fetch(each, request, RULES_2_4_5) for each in (source, BytesSource(MESSAGE)))
    assert (far.size, far.has_nuls, far.structure) == (near.size, near.has_nuls, near.structure)
    assert b"".join(far.chunks) == b"".join(near.chunks)
    assert source.steps or (section, structure) == ("HEADER", False) or offset


def test_other_sources_take_no_steps() -> None:
    run_through(reaching(BytesSource(MESSAGE), 99))
    assert next(iter(reaching(BytesSource(MESSAGE), 99)), "end") == "end"
