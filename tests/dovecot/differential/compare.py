"""Whether two answers are the same to the byte, and if not, which of the meant differences it is.

A rule has a name, the sentence that justifies it, and a test of both answers; whatever no rule explains
is a failure. The order matters: the first rule that applies is the one that is counted.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dovecot_urlauth.wire.tabescape import unescape
from testing.instance import HOST

if TYPE_CHECKING:
    from collections.abc import Callable

    from testing.oracle import Answer
    from tests.dovecot.differential.questions import Question

HAS_NULS = b"hasnuls"
CUT_NAME = re.compile(rb"(?m)^([^:\r\n\0\x80]*)[\0\x80][^:\r\n]*:")
"""A field's name with a NUL in it, as the wire shows it, up to its colon."""
UNDECODABLE = {"Invalid data in MIME part", "Unknown Content-Transfer-Encoding."}
HOST_IN_URL = re.compile(rb"(?i)(?:imap:)?//(?:[^/@]*@)?([^/:]*)")
AT_HAND = 8192
"""Bytes of a line that Dovecot's parser of messages has at hand."""
NUMBER = re.compile(rb" [0-9]+(?=[ )]|\Z)")
"""A size or a number of lines in a structure."""
SAME = "same bytes"
UNEXPLAINED = "unexplained"
LOST = "stock lost, ours OK"

#: Not a rule about two answers, but about the stock worker's first and second.
CHANGED = "stock changed its answer"
WHY_CHANGED = "asked once more the stock worker gives another answer, which ours explains; ours is the same twice"


@dataclass(frozen=True)
class Exchange:
    """One question with both answers; None for a worker that ended or fell silent instead of answering.

    `message` is the one that the question is about, if a generated one; `stock_whole` is what the stock worker
    says without the partial range, asked for when the slices differ.
    """

    question: Question
    stock: Answer | None
    ours: Answer | None
    message: bytes | None = None
    stock_whole: Answer | None = None
    is_imaps: bool = False
    """Whether ours is what Dovecot's own imap says, which may see a NUL where none is."""

    @property
    def both(self) -> tuple[Answer, Answer]:
        """The two answers, where there are two."""
        assert self.stock is not None
        assert self.ours is not None
        return self.stock, self.ours


@dataclass(frozen=True)
class Rule:
    """A difference that is meant, and why."""

    name: str
    why: str
    applies: Callable[[Exchange], bool]


def judge(exchange: Exchange) -> str:
    """The name of the rule that explains this exchange: SAME, one of RULES, or UNEXPLAINED."""
    if exchange.ours is None or not _says_nuls_exactly(exchange):
        return UNEXPLAINED
    if exchange.stock == exchange.ours:
        return SAME
    if _differ_in_decoded_sizes_only(exchange):
        return DECODED_SIZES.name
    settled = _with_ours_in_stock_sizes(exchange)
    return next((rule.name for rule in RULES if rule.applies(settled)), UNEXPLAINED)


def _says_nuls_exactly(exchange: Exchange) -> bool:
    ours = exchange.ours
    assert ours is not None
    return (HAS_NULS in ours.words) == (b"\0" in ours.content) or (exchange.is_imaps and HAS_NULS in ours.words)


def _reason(answer: Answer) -> str:
    """The text of a NO, empty if it has none."""
    if answer.ok or len(answer.words) < 2:
        return ""
    return unescape(answer.words[1]).decode(errors="surrogateescape").removeprefix("error=")


def _behind_url(answer: Answer) -> str:
    """The reason that follows the quoted URL."""
    return _reason(answer).rpartition('": ')[2]


# -- the tests of the rules


def _wants_data(exchange: Exchange) -> bool:
    return any(item.lower() in (b"body", b"binary") for item in exchange.question.items)


def _stock_is_lost_at_a_no(exchange: Exchange) -> bool:
    return exchange.stock is None and exchange.ours is not None and not exchange.ours.ok


def _stock_is_lost(exchange: Exchange) -> bool:
    return exchange.stock is None


def _is_empty(exchange: Exchange) -> bool:
    stock, ours = exchange.both
    return stock.ok and not stock.content and ours.words == (b"NO",) and _wants_data(exchange)


def _differ_in_nuls_only(exchange: Exchange) -> bool:
    stock, ours = exchange.both
    return stock.content == ours.content and _without_nuls(stock) == _without_nuls(ours)


def _without_nuls(answer: Answer) -> list[bytes]:
    return [word for word in answer.words if word != HAS_NULS]


def _is_denied(exchange: Exchange) -> bool:
    """Ours stops at the access identifier, where the stock worker went on."""
    _, ours = exchange.both
    return not ours.ok and _behind_url(ours).startswith("No '") and "access allowed for" in _behind_url(ours)


def _is_denied_without_words(exchange: Exchange) -> bool:
    stock, ours = exchange.both
    return exchange.question.accessor.user is None and stock.ok and ours.words == (b"NO",)


def _is_internal_error(exchange: Exchange) -> bool:
    stock, ours = exchange.both
    says_why = exchange.is_imaps or bool(_reason(ours))
    return _behind_url(stock).startswith("Internal error occurred") and not ours.ok and says_why


def _differ_in_why_undecodable(exchange: Exchange) -> bool:
    reasons = {_behind_url(answer) for answer in exchange.both}
    return exchange.is_imaps and reasons <= UNDECODABLE and not any(answer.ok for answer in exchange.both)


def _stock_contradicts_itself(exchange: Exchange) -> bool:
    """Ours is the right slice of what the stock worker says without the partial range."""
    stock, ours = exchange.both
    whole = exchange.stock_whole
    if whole is None or _without_nuls(stock) != _without_nuls(ours):
        return False
    return stock.ok and ours.content == exchange.question.slice(whole.content)


def _stock_overlooks_a_lone_nul(exchange: Exchange) -> bool:
    """A header that is one NUL, at the end of the message; no other difference, and no other NUL."""
    message = exchange.message
    if message is None or message.count(b"\0") != 1 or not (b"\n" + message).endswith(b"\n\0"):
        return False
    stock, ours = exchange.both
    return _with_nul_overlooked(stock) == _with_nul_overlooked(ours)


def _with_nul_overlooked(answer: Answer) -> tuple[list[bytes], bytes]:
    words = [word.replace(b'"binary"', b'"7bit"') for word in _without_nuls(answer)]
    return words, answer.content.replace(b"\0", b"\x80")


def _stock_shows_a_cut_name(exchange: Exchange) -> bool:
    """HEADER.FIELDS: cut each name at its NUL, and stock's answer is ours."""
    stock, ours = exchange.both
    if not exchange.question.section.upper().startswith(("HEADER.FIELDS", "1.HEADER.FIELDS", "2.HEADER.FIELDS")):
        return False
    if not (stock.ok and ours.ok) or _without_nuls(stock) != _without_nuls(ours):
        return False
    if not exchange.question.partial:
        return _with_cut_names(stock.content) == ours.content
    return exchange.stock_whole is not None and ours.content == exchange.question.slice(
        _with_cut_names(exchange.stock_whole.content)
    )


def _stock_ends_an_open_header(exchange: Exchange) -> bool:
    """HEADER.FIELDS of a message that has no empty line: stock's answer is ours with one."""
    message = exchange.message
    if message is None or b"\n\n" in b"\n" + message.replace(b"\r\n", b"\n"):
        return False
    stock, ours = exchange.both
    if not exchange.question.section.upper().startswith("HEADER.FIELDS"):
        return False
    is_refused = ours.words == (b"NO",) and stock.ok
    if not is_refused and _without_nuls(stock) != _without_nuls(ours):
        return False
    if not exchange.question.partial:
        # the first time; a CR at the end is then part of the text, and later of the line end
        cold = ours.content[:-1] + b"\r\n\r\n" if message.endswith(b"\r") else ours.content + b"\r\n"
        return stock.content == cold
    whole = exchange.stock_whole
    return whole is not None and ours.content == exchange.question.slice(whole.content.removesuffix(b"\r\n"))


def _stock_had_more_of_a_line(exchange: Exchange) -> bool:
    """Another structure of a message with a line that is longer than what is read at once."""
    message = exchange.message
    if message is None or max(map(len, message.split(b"\n"))) < AT_HAND - 1:
        return False
    stock, ours = exchange.both
    words = [
        [word for word in _without_nuls(answer) if not word.startswith(b"bpstruct=")] for answer in (stock, ours)
    ]
    return stock.ok and ours.ok and words[0] == words[1] and stock.content == ours.content


def _differ_in_decoded_sizes_only(exchange: Exchange) -> bool:
    """BODYPARTSTRUCTURE with BINARY: the same structure but for its numbers."""
    return exchange.stock is not None and exchange.stock == _with_ours_in_stock_sizes(exchange).ours


def _with_ours_in_stock_sizes(exchange: Exchange) -> Exchange:
    """The same exchange, in which ours has the sizes of the stock's structure if nothing else of it differs."""
    items = {item.lower() for item in exchange.question.items}
    if exchange.stock is None or not items >= {b"binary", b"bpstruct"}:
        return exchange
    stock, ours = exchange.both
    if _without_numbers(stock) != _without_numbers(ours):
        return exchange
    words = _without_nuls(stock) + [HAS_NULS] * (HAS_NULS in ours.words)
    if Counter(words) == Counter(stock.words):
        words = list(stock.words)
    return replace(exchange, ours=replace(ours, words=tuple(words)))


def _without_numbers(answer: Answer) -> list[bytes]:
    return [NUMBER.sub(b" #", word) if word.startswith(b"bpstruct=") else word for word in _without_nuls(answer)]


def _is_too_large(exchange: Exchange) -> bool:
    """Ours refuses the structure of a message that has a header of more than 16 KiB."""
    message = exchange.message
    stock, ours = exchange.both
    if message is None or len(message) < 2 * AT_HAND:
        return False
    return stock.ok and not ours.ok and _behind_url(ours).endswith("too large")


def _compares_case(exchange: Exchange) -> bool:
    """The URL's host is ours in other letters, and stock refuses it for that alone."""
    stock, _ = exchange.both
    host = HOST_IN_URL.match(exchange.question.url)
    if host is None or _behind_url(stock) != "Invalid URL: Inappropriate host name":
        return False
    return host[1] != HOST.encode() and host[1].lower() == HOST.encode()


def _is_a_refused_name(exchange: Exchange) -> bool:
    """The stock worker finds fault with the mailbox's name, which ours does without words."""
    stock, ours = exchange.both
    return ours.words == (b"NO",) and _behind_url(stock).startswith("Invalid URLAUTH: ")


def _with_cut_names(header: bytes) -> bytes:
    return CUT_NAME.sub(rb"\1:", header)


DECODED_SIZES = Rule(
    "decoded sizes",
    "stock counts no lines in what it decodes, and its sizes wrap below zero; ours are the decoded part's own",
    _differ_in_decoded_sizes_only,
)

RULES = (
    DECODED_SIZES,
    Rule(
        "stock lost, ours NO",
        "the stock worker ended or hung instead of completing an answer; a failure that can be said is a NO",
        _stock_is_lost_at_a_no,
    ),
    Rule(
        LOST,
        "the stock worker announced more bytes than it had, and hung; ours sends what it announces",
        _stock_is_lost,
    ),
    Rule(
        "empty result",
        "imap forgets the line end behind an empty literal; a NO is a NIL to its client",
        _is_empty,
    ),
    Rule(
        "exact hasnuls",
        "the stock flag is often set without a NUL; ours says whether there is one",
        _differ_in_nuls_only,
    ),
    Rule(
        "refused name",
        "an explanation would tell that the URL's user exists, since there is none for one who does not",
        _is_a_refused_name,
    ),
    Rule(
        "host in other letters",
        "RFC 3986, 6.2.2.1: a host's name is the same in upper case",
        _compares_case,
    ),
    Rule(
        "user+X is X",
        "RFC 4467: before 2.4.3 anyone passed for X, and applications by a prefix",
        _is_denied,
    ),
    Rule(
        "anonymous is nobody",
        "the same refusal, of which the anonymous user hears no words",
        _is_denied_without_words,
    ),
    Rule(
        "internal error",
        "the stock text is an internal error with a date; ours names the cause, or as imap none",
        _is_internal_error,
    ),
    Rule(
        "why undecodable",
        "2.3's imap dies of it, and asked again says what is wrong with the part, not with a piece of it",
        _differ_in_why_undecodable,
    ),
    Rule(
        "slice of the whole",
        "the stock slice is off by one where it begins within a line end; ours is the slice of the stock's whole",
        _stock_contradicts_itself,
    ),
    Rule(
        "header of one NUL",
        "whether stock sees a NUL that is all of the last header depends on what was asked before",
        _stock_overlooks_a_lone_nul,
    ),
    Rule(
        "name cut at a NUL",
        "whether stock shows what follows a NUL in a field's name depends on its cache; ours never does",
        _stock_shows_a_cut_name,
    ),
    Rule(
        "header without an end",
        "whether stock adds the empty line that a message lacks depends on its cache, which has what imap stored; "
        "ours never does",
        _stock_ends_an_open_header,
    ),
    Rule(
        "line of 8 KiB",
        "stock 2.4 divides no line of a mail that imap has stored, whose structure it keeps; where it reads the "
        "mail itself it does, and so does ours",
        _stock_had_more_of_a_line,
    ),
    Rule(
        "too large",
        "one address of more than 16 KiB, or one field of more than 64: nobody waits while that is read",
        _is_too_large,
    ),
)
