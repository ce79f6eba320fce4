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
from tests.dovecot.differential.compare import CHANGED, UNEXPLAINED, judge
from tests.dovecot.differential.questions import QuestionMaker
from tests.dovecot.differential.reduce import reduced, report
from tests.dovecot.differential.stores import MAILDIR, STORES

if TYPE_CHECKING:
    from testing.executables import Installation
    from testing.versions import Version
    from tests.dovecot.differential.compare import Exchange
    from tests.dovecot.differential.stores import MailStore

#: Questions about one message.
PER_MESSAGE = 8

#: Failures that are shrunk, the first of each section, and the seconds that each may take.
SHRUNK = 10
SHRINKING = 12.0


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
    seconds: float = 0.0

    @property
    def name(self) -> str:
        return f"{self.version}/{self.store}/{self.seed}"

    @property
    def good(self) -> bool:
        return not self.counts[UNEXPLAINED]


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
    failed: list[Exchange] = []
    messages = [generator.message(seed, number) for number in range(max(count // PER_MESSAGE, 1))]
    with Arena(version, installation, store) as arena:
        stored = arena.put(messages)
        for number, question in enumerate(
            QuestionMaker(Random(seed), stored, arena.keys, store.prefix).make(count), 1
        ):
            exchange = arena.ask(question)
            rule = judge(exchange)
            if rule == UNEXPLAINED:
                again = arena.ask_again(question)
                if judge(again) != UNEXPLAINED and again.ours == exchange.ours:
                    outcome.notes.append(report(exchange))
                    rule = CHANGED
            outcome.counts[rule] += 1
            if rule == UNEXPLAINED:
                failed.append(exchange)
            if progress and number % 1000 == 0:
                print(f"{outcome.name}: {number} of {count}, {len(failed)} failed", file=sys.stderr)
        firsts = list({exchange.question.section: exchange for exchange in reversed(failed)}.values())[-SHRUNK:]
        for exchange in failed:
            outcome.reports.append(_shrunk(arena, exchange, SHRINKING if exchange in firsts else 0.0))
        outcome.complaints = arena.complaints()
    outcome.seconds = time.monotonic() - started
    return outcome


def _shrunk(arena: Arena, exchange: Exchange, seconds: float) -> str:
    """The report of a failure, about a smaller message if it is about one."""
    if exchange.message is None or not seconds:
        return report(exchange)
    small = reduced(arena, exchange.question, exchange.message, seconds)
    [where] = arena.put([small])
    question = exchange.question.about(where, arena.keys[where.mailbox])
    return report(arena.ask(question))
