"""From stored bytes to the message: what was compressed or encrypted on its way to the disk.

Each decoder knows its own mark and gives back a source of what is inside, or the source as it is.  They are asked
in order, so that one finds what another has unwrapped.  Today there is none: zlib and mail_crypt are left to the
dovecot engine by their settings.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from dovecot_urlauth.message.source import Source

    Decoder: TypeAlias = Callable[[Source], Source]
    """Raises StoreFailure for what bears its mark and cannot be decoded."""

DECODERS: tuple[Decoder, ...] = ()


def decoded(stored: Source, decoders: tuple[Decoder, ...] = DECODERS) -> Source:
    """The message that is stored like this."""
    for decoder in decoders:
        stored = decoder(stored)
    return stored
