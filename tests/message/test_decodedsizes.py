"""BODYPARTSTRUCTURE with BINARY: the sizes and lines that a client counts in what it gets decoded."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, NamedTuple

import pytest

from dovecot_urlauth.message.errors import MessageError
from dovecot_urlauth.message.rules import RULES_2_3_19_DEBIAN, RULES_2_4_5
from tests.message.asking import body_of, decoded, structure_of
from tests.message.imaplist import read
from tests.message.messages import MessageMaker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dovecot_urlauth.message.rules import MessageRules
    from tests.message.imaplist import Item

CASES = Path(__file__).parents[1] / "messages" / "cases"

ENCODED_TEXT = b"""Content-Type: multipart/mixed; boundary=b

--b
Content-Transfer-Encoding: base64

%s
--b
Content-Type: message/rfc822

Subject: inside
Content-Transfer-Encoding: quoted-printable

=61=0A=62
c

--b--
"""


class Described(NamedTuple):
    """What a structure says of a part; of others than texts and messages it gives no lines."""

    size: int
    lines: int | None
    is_message: bool = False


def described(message: bytes, rules: MessageRules) -> dict[bytes, Described]:
    """What is said of each part that is not divided, by its section."""
    return dict(_described(read(structure_of(message, binary=True, rules=rules)), b""))


def _described(items: list[Item], section: bytes) -> Iterator[tuple[bytes, Described]]:
    if isinstance(items[0], list):
        for number, child in enumerate(items, 1):
            if not isinstance(child, list):
                return
            yield from _described(child, b"%s.%d" % (section, number) if section else b"%d" % number)
        return
    main, size = items[0], items[6]
    assert isinstance(main, bytes)
    assert isinstance(size, int)
    is_message = items[:2] == [b"message", b"rfc822"]
    lines = items[9] if is_message else items[7] if main.lower() == b"text" else None
    assert not isinstance(lines, bytes | list)
    yield section or b"1", Described(size, lines, is_message)


@pytest.mark.parametrize("rules", [RULES_2_3_19_DEBIAN, RULES_2_4_5])
def test_a_size_that_wrapped_below_zero(rules: MessageRules) -> None:
    message = (CASES / "wrapped-size.eml").read_bytes()
    sizes = described(message, rules)
    assert sizes == {
        b"1": Described(len(decoded(message, b"1")), 60),
        b"2": Described(len(decoded(message, b"2")), None),
    }


def test_lines_of_encoded_texts() -> None:
    message = ENCODED_TEXT % b"YQ0KYg0KYw=="
    assert described(message, RULES_2_4_5) == {
        b"1": Described(7, 2),
        b"2": Described(len(decoded(message, b"2")), 6, is_message=True),
    }


def test_every_part_has_the_size_that_it_is_given_with() -> None:
    random = Random(7)
    maker = MessageMaker(random)
    compared = 0
    for _ in range(400):
        message = maker.make()
        rules = random.choice([RULES_2_3_19_DEBIAN, RULES_2_4_5])
        try:
            sizes = described(message, rules) if message else {}
        except MessageError:
            continue
        for section, part in sizes.items():
            given = decoded(message, section, rules=rules)
            assert part.size == len(given), (message, section)
            # alone, an inner message whose header is rewritten is given as it is stored if no body is decoded
            if not part.is_message and part.lines is not None:
                assert part.lines == given.count(b"\n"), (message, section)
            compared += 1
    assert compared > 200


@pytest.mark.parametrize("binary", [False, True])
def test_lines_of_an_inner_message_whose_body_is_binary(binary: bool) -> None:
    """Dovecot's number depends on what was asked of the mailbox before."""
    message = (CASES / "rfc822-binary-lines.eml").read_bytes()
    inner = body_of(message, b"1.1")
    items = read(structure_of(message, b"1.HEADER", binary=binary))
    assert items[6] == len(inner)
    assert items[9] == inner.count(b"\n")
