"""The collection of broken messages: our answers are those that each version's imap gave."""

from __future__ import annotations

import json
import lzma
from typing import TYPE_CHECKING, Any

import pytest

from dovecot_urlauth.message.errors import Undecodable
from dovecot_urlauth.message.rules import RULES_2_3_13, RULES_2_3_19_DEBIAN, RULES_2_4_1, RULES_2_4_5
from tests.message.asking import body_of, decoded, structure_of

if TYPE_CHECKING:
    from pathlib import Path

RULES = {
    "2.3.13": RULES_2_3_13,
    "2.3.19.1": RULES_2_3_19_DEBIAN,
    "2.4.1": RULES_2_4_1,
    "2.4.5": RULES_2_4_5,
}

#: imap's tagged answers where a literal was expected, without the time that it took, and the worker's words.
REFUSALS = {
    "NO [PARSE] Invalid data in MIME part": "Invalid data in MIME part",
    "NO [UNKNOWN-CTE] Unknown Content-Transfer-Encoding": "Unknown Content-Transfer-Encoding",
}


@pytest.fixture(scope="module", params=RULES)
def version(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    return chosen


@pytest.fixture(scope="module")
def goldens(nasty: Path, version: str) -> dict[str, dict[str, Any]]:
    recorded: dict[str, dict[str, Any]] = json.loads(
        lzma.decompress((nasty / f"golden-{version}.json.xz").read_bytes())
    )
    assert len(recorded) == 52
    return recorded


@pytest.fixture(scope="module")
def messages(nasty: Path) -> dict[str, bytes]:
    return {path.stem: path.read_bytes() for path in nasty.glob("*.eml")}


def test_sections(goldens: dict[str, dict[Any, Any]], messages: dict[str, bytes], version: str) -> None:
    compared = 0
    for name, golden in goldens.items():
        for key, recorded in golden.items():
            if key[0] == "B" and recorded is not None:
                ours = body_of(messages[name], key[1:].encode(), rules=RULES[version])
                assert ours in (recorded.encode(), recorded.encode("latin-1", "replace")), (name, key)
                compared += 1
    assert compared > 400


def test_decoded(goldens: dict[str, dict[Any, Any]], messages: dict[str, bytes], version: str) -> None:
    compared = 0
    for name, golden in goldens.items():
        for key, recorded in golden.items():
            if key[0] != "X" or recorded.startswith("OK "):
                continue
            section = key[1:].encode()
            refusal = REFUSALS.get(recorded.partition(" (")[0])
            if refusal:
                with pytest.raises(Undecodable, match=refusal):
                    decoded(messages[name], section, rules=RULES[version])
            else:
                ours = decoded(messages[name], section, rules=RULES[version])
                assert ours in (recorded.encode(), recorded.encode("latin-1", "replace")), (name, key)
            compared += 1
    assert compared > 130


def test_structures(goldens: dict[str, dict[Any, Any]], messages: dict[str, bytes], version: str) -> None:
    for name, golden in goldens.items():
        recorded = "".join(golden["fetch"]).partition("BODYSTRUCTURE (")[2].removesuffix("))")
        ours = structure_of(messages[name], rules=RULES[version])
        assert plain(ours.decode("latin-1")) == plain(recorded), name


def plain(structure: str) -> str:
    """A structure without what makes its strings quoted strings or literals.

    The recordings have literals without their sizes, and imap writes some as literals that the worker quotes.
    """
    for mark in ('"', "\\"):
        structure = structure.replace(mark, "")
    words = []
    for piece in structure.split("{"):
        digits, brace, rest = piece.partition("}\r\n")
        words.append(rest if brace and digits.isdigit() else piece)
    return "".join(words)
