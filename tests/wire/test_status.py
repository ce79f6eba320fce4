from __future__ import annotations

import struct

import pytest

from dovecot_urlauth.wire.status import NEVER_AGAIN, STATUS_SIZE, pack_status


def test_recorded_message() -> None:
    assert pack_status(6221, 10, 1) == bytes.fromhex("4d180000 0a000000 01000000")


def test_never_again_fills_its_field() -> None:
    assert pack_status(1, 2, NEVER_AGAIN)[8:] == b"\xff" * 4
    assert len(pack_status(1, 2, 0)) == STATUS_SIZE


@pytest.mark.parametrize("numbers", [(1 << 31, 0, 0), (1, -1, 0), (1, 0, 1 << 32)])
def test_numbers_that_do_not_fit(numbers: tuple[int, int, int]) -> None:
    with pytest.raises(struct.error):
        pack_status(*numbers)
