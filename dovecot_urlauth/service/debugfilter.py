"""``log_debug``: which debug lines are wanted, as a filter of events (lib/event-filter).

Master hands the filter on as text: comparisons joined by ``AND``, ``OR`` and ``NOT``, with parentheses.  Of what
a filter can ask about, our lines have one thing: the category ``service:<name>``.  They belong to no other
category, have no event's name and none of its fields, so that whatever else is asked for they are not.
"""

from __future__ import annotations

CATEGORY = "category"


class _Unreadable(Exception):
    """Not a filter that we understand."""


def wants(text: str, service: str) -> bool:
    """Whether the filter lets the debug lines of ``service`` through; one that is not understood does."""
    words = _words(text)
    if not words:
        return False
    try:
        wanted = _alternatives(words, f"service:{service}")
    except _Unreadable:
        return True
    return wanted or bool(words)  # something is left over


def _words(text: str) -> list[str]:
    for sign in "()":
        text = text.replace(sign, f" {sign} ")
    return text.split()


def _alternatives(words: list[str], category: str) -> bool:
    wanted = _all_of(words, category)
    while words and words[0].upper() == "OR":
        words.pop(0)
        # no short cut: the words have to be taken
        wanted = _all_of(words, category) or wanted
    return wanted


def _all_of(words: list[str], category: str) -> bool:
    wanted = _one(words, category)
    while words and words[0].upper() == "AND":
        words.pop(0)
        wanted = _one(words, category) and wanted
    return wanted


def _one(words: list[str], category: str) -> bool:
    if not words:
        raise _Unreadable
    word = words.pop(0)
    if word.upper() == "NOT":
        return not _one(words, category)
    if word == "(":
        wanted = _alternatives(words, category)
        if not words or words.pop(0) != ")":
            raise _Unreadable
        return wanted
    name, equals, value = word.partition("=")
    if not equals or not name or not value:
        raise _Unreadable
    return name == CATEGORY and value.strip('"').lower() == category


__all__ = ["wants"]
