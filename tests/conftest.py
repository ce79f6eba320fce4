"""What all tests share."""

from __future__ import annotations

from hypothesis import settings

# two busy cores say nothing about a parser
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
