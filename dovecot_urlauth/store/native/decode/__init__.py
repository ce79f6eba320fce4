"""From stored bytes to the message: what was compressed or encrypted on its way to the disk.

    compression.py        which format it is, by its first bytes
    compressed_source.py  any offset of a stream that can only be read forwards
    inflating.py          gz; whole_streams.py: bz2, xz; zstd.py; lz4.py

A decoder is asked for each mail, knows its own mark, and leaves alone what does not bear it: mailboxes hold plain
mail beside the rest.  Libraries that are not CPython's own are imported when their mark is first met.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.message.source import Source
    from dovecot_urlauth.message.steps import Pace


class Decoding:
    """How the mails of one user are stored: what his plugins would undo, in their order."""

    def __init__(self, compressions: tuple[str, ...]) -> None:
        """``compressions``: the formats to look for; none without the plugin."""
        self._compressions = compressions

    async def decoded(self, stored: Source, pace: Pace) -> Source:
        """The message that is stored like this.

        Raises StoreFailure for what bears a mark and cannot be decoded, Unsupported when a library is missing.
        """
        if self._compressions:
            from dovecot_urlauth.store.native.decode.compression import decompressed

            return await pace.run(decompressed(stored, self._compressions))
        return stored
