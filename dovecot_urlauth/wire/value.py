"""The old names of start/frozen.py, for what has not moved yet."""

from dovecot_urlauth.start.frozen import Enum, frozen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dataclasses import dataclass as record
else:

    def record(**options):
        return frozen


__all__ = ["Enum", "record"]
