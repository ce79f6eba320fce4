"""Decimal fields of the wire: ids, process ids, sizes.

Every protocol here writes numbers as plain decimal digits.  ``int`` alone would also take signs, spaces,
underscores and other scripts' digits, and refuses very long strings with an error of its own; one function
keeps all parsers to what Dovecot's ``str_to_uint`` family accepts.
"""

from __future__ import annotations

UINT32_MAX = 0xFFFFFFFF
PID_MAX = 0x7FFFFFFF  # pid_t is a signed 32-bit number on Linux
UINT64_MAX = 0xFFFFFFFFFFFFFFFF

_MOST_DIGITS = 64  # leading zeros are legal, megabytes of them are not worth converting


def decimal(field: bytes, maximum: int = UINT32_MAX) -> int | None:
    """The value of a field made of ASCII digits only, or None if it is anything else or above ``maximum``."""
    if not field.isdigit() or len(field) > _MOST_DIGITS:
        return None
    value = int(field)
    return value if value <= maximum else None


__all__ = ["PID_MAX", "UINT32_MAX", "UINT64_MAX", "decimal"]
