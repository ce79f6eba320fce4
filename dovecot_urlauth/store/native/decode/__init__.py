"""From stored bytes to the message: what was compressed or encrypted on its way to the disk.

    compression.py        which format it is, by its first bytes
    measured.py           what is known of one that was read before
    compressed_source.py  any offset of a stream that can only be read forwards
    inflating.py          gz; whole_streams.py: bz2, xz; zstd.py; lz4.py
    crypt/                what mail_crypt encrypted

A decoder is asked for each mail, knows its own mark, and leaves alone what does not bear it: mailboxes hold plain
mail beside the rest.  Libraries that are not CPython's own are imported when their mark is first met.
"""

from __future__ import annotations

from dovecot_urlauth.store.errors import StoreFailure, Unsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from dovecot_urlauth.config.crypt_settings import CryptSettings
    from dovecot_urlauth.config.native_settings import NativeSettings
    from dovecot_urlauth.message.source import Source
    from dovecot_urlauth.message.steps import Pace
    from dovecot_urlauth.store.native.attributes.attributes import Attributes
    from dovecot_urlauth.store.native.decode.crypt.keyring import Keyring
    from dovecot_urlauth.store.native.decode.measured import MeasuredMails


class Decoding:
    """How the mails of one user are stored: what his plugins would undo, in their order."""

    def __init__(self, settings: NativeSettings, attributes: Attributes, inbox_guid: Callable[[], bytes]) -> None:
        """``inbox_guid()``: users' keys are attributes of INBOX; it raises what opening a mailbox does."""
        self._compressions = settings.compressions
        self._crypt = settings.crypt
        self._attributes = attributes
        self._inbox_guid = inbox_guid
        self._keyring: Keyring | None = None
        self.is_plain = not self._compressions and self._crypt is None
        """Whether there is nothing that he would have undone."""
        self._measured: MeasuredMails | None = None
        if not self.is_plain:
            from dovecot_urlauth.start.distribution import add_distribution

            add_distribution()

    async def decoded(self, stored: Source, pace: Pace, guid: Callable[[], bytes]) -> Source:
        """The message that is stored like this in the mailbox with this ``guid()``.

        Raises StoreFailure for what bears a mark and cannot be decoded, Unsupported when a library or a key is
        missing.
        """
        if self._crypt is not None:
            stored = await self._decrypted(stored, pace, guid, self._crypt)
        if self._compressions:
            from dovecot_urlauth.store.native.decode.compression import decompressed
            from dovecot_urlauth.store.native.decode.measured import MeasuredMails

            self._measured = self._measured or MeasuredMails()
            stored = await pace.run(decompressed(stored, self._compressions, self._measured))
        return stored

    async def _decrypted(
        self, stored: Source, pace: Pace, guid: Callable[[], bytes], settings: CryptSettings
    ) -> Source:
        from dovecot_urlauth.store.native.decode.crypt.header import LARGEST, MAGIC, BadHeader, parse

        if stored.read(0, len(MAGIC)) != MAGIC:
            return stored
        try:
            header = parse(stored.read(0, LARGEST))
        except BadHeader:
            raise StoreFailure("mail_crypt: Corrupted header") from None
        try:
            from dovecot_urlauth.store.native.decode.crypt.decrypted import check_supported, decrypted
            from dovecot_urlauth.store.native.decode.crypt.keyring import Keyring
        except ImportError:
            raise Unsupported("a mail is encrypted, and Python's cryptography is missing") from None
        check_supported(header)
        if self._keyring is None:
            self._keyring = Keyring(settings, self._attributes, self._inbox_guid)
        slot, key = await self._keyring.find_any(header.slots, guid())
        return await pace.run(decrypted(stored, header, slot, key))
