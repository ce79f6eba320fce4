"""``log_debug``: which debug lines are wanted, as a filter of events.

Of what a filter can ask about, our lines have one thing: the category ``service:<name>``.  They belong to no other
category, have no event's name and none of its fields, so that whatever else is asked for they are not.
"""

from __future__ import annotations

from dovecot_urlauth.wire.eventfilter import EventFilter, Facts, FilterError


def wants(text: str, service: str) -> bool:
    """Whether the filter lets the debug lines of ``service`` through; one that is not understood does."""
    try:
        return EventFilter(text).wants(Facts("", (f"service:{service}",), {})) is not False
    except FilterError:
        return True


__all__ = ["wants"]
