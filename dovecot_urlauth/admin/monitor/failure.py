"""Why there is no monitor."""

from __future__ import annotations


class MonitorFailure(Exception):
    """The text is for the administrator."""
