"""Ask one version so many questions of one seed, and count what explains each pair of answers."""

from __future__ import annotations

import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

from tests.dovecot.differential import generator
from tests.dovecot.differential.arena import Arena
from tests.dovecot.differential.compare import CHANGED, LOST, UNEXPLAINED, judge
from tests.dovecot.differential.mail_store import MAILDIR
from tests.dovecot.differential.questions import QuestionMaker
from tests.dovecot.differential.reduce import reduced, report
from tests.dovecot.differential.stores import STORES

if TYPE_CHECKING:
    from testing.executables import Installation
    from testing.versions import Version
    from tests.dovecot.differential.compare import Exchange
    from tests.dovecot.differential.mail_store import MailStore

#: Questions about one message.
PER_MESSAGE = 8

#: Failures that are shrunk, the first of each section, and the seconds that each may take.
SHRUNK = 10
SHRINKING = 12.0


#: How often a question is put again if the mailbox changes meanwhile.
AGAIN_BESIDE_A_WRITER = 5


@dataclass
class Outcome:
    """How one campaign ended."""

    version: str
    store: str
    seed: int
    counts: Counter[str] = field(default_factory=Counter)
    reports: list[str] = field(default_factory=list)
    #: What the stock worker answered differently when it was asked once more.
    notes: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    changes: Counter[str] = field(default_factory=Counter)
    """What the writer did meanwhile."""
    writer_failed: str = ""
    seconds: float = 0.0

    @property
    def name(self) -> str:
        return f"{self.version}/{self.store}/{self.seed}"

    @property
    def good(self) -> bool:
        return not self.counts[UNEXPLAINED] and not self.writer_failed


def run(
    version: Version,
    installation: Installation,
    seed: int,
    count: int,
    store: MailStore = STORES[MAILDIR],
    progress: bool = False,
) -> Outcome:
    """Ask `count` questions; failures are collected, the first of them shrunk."""
    outcome = Outcome(version.name, store.name, seed)
    started = time.monotonic()
    messages = [generator.message(seed, number) for number in range(max(count // store.per_message, 1))]
    if store.is_rewritten:
        messages = [generator.with_plain_names(message) for message in messages]
    if store.loses_returns:
        messages = [generator.without_spare_returns(message) for message in messages]
    with Arena(version, installation, store) as arena:
        maker = QuestionMaker(Random(seed), arena.put(messages), arena.keys, store.names)
        if store.has_writer:
            with arena.writer(Random(seed)) as writer:
                failed = _ask(arena, maker, count, outcome, progress)
            outcome.changes, outcome.writer_failed = writer.done, writer.failure
        else:
            failed = _ask(arena, maker, count, outcome, progress)
        firsts = list({exchange.question.section: exchange for exchange in reversed(failed)}.values())[-SHRUNK:]
        for exchange in failed:
            # a smaller message would need the same change at the same time
            is_shrunk = exchange in firsts and not store.has_writer
            outcome.reports.append(_shrunk(arena, exchange, SHRINKING if is_shrunk else 0.0))
        outcome.complaints = arena.complaints()
    outcome.seconds = time.monotonic() - started
    return outcome


def _ask(arena: Arena, maker: QuestionMaker, count: int, outcome: Outcome, progress: bool) -> list[Exchange]:
    """Ask so many questions, and count; what is unexplained."""
    failed: list[Exchange] = []
    for number, question in enumerate(maker.make(count), 1):
        exchange = arena.ask(question)
        rule = judge(exchange)
        if rule == UNEXPLAINED or (arena.store.has_writer and rule == LOST):
            rule = _once_more(arena, exchange)
            outcome.notes += [report(exchange)] * (rule == CHANGED)
        outcome.counts[rule] += 1
        if rule == UNEXPLAINED:
            failed.append(exchange)
            if progress:
                print(f"{outcome.name}: {report(exchange)}", file=sys.stderr)
        if progress and number % 1000 == 0:
            print(f"{outcome.name}: {number} of {count}, {len(failed)} failed", file=sys.stderr)
    return failed


def _once_more(arena: Arena, exchange: Exchange) -> str:
    """The rule for a stock answer that may be another one in a new session; a writer needs several."""
    rule = judge(exchange)
    for _ in range(AGAIN_BESIDE_A_WRITER if arena.store.has_writer else 1):
        again = arena.ask_again(exchange.question)
        if again.ours != exchange.ours:
            return UNEXPLAINED
        if again.stock is not None and judge(again) != UNEXPLAINED:
            return CHANGED
        if rule != UNEXPLAINED:
            return rule
    return rule


def _shrunk(arena: Arena, exchange: Exchange, seconds: float) -> str:
    """The report of a failure, about a smaller message if it is about one."""
    if exchange.message is None or not seconds:
        return report(exchange)
    small = reduced(arena, exchange.question, exchange.message, seconds)
    [where] = arena.put([small])
    question = exchange.question.about(where, arena.keys[where.mailbox])
    return report(arena.ask(question))
