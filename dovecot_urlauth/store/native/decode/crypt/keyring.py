"""Where private keys are: in the settings, or in attributes of mailboxes (plugins/mail-crypt/mail-crypt-key.c).

A folder's key is an attribute of the folder, encrypted for the user's key; the user's key is an attribute of
INBOX, plain or encrypted with a password, or for a key that the settings or the userdb give.
"""

from __future__ import annotations

from dovecot_urlauth.store.errors import StoreFailure, Unsupported
from dovecot_urlauth.store.native.decode.crypt.private_key import (
    KeyMissing,
    KeyProblem,
    encrypted_for,
    load,
    load_setting,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from dovecot_urlauth.config.crypt_settings import CryptSettings, SetKey
    from dovecot_urlauth.store.native.attributes.attributes import Attributes
    from dovecot_urlauth.store.native.decode.crypt.header import KeySlot
    from dovecot_urlauth.store.native.decode.crypt.private_key import PrivateKey

FOLDER_KEY = b"priv/%s/vendor/vendor.dovecot/pvt/crypt/privkeys/%s"
USER_KEY = b"priv/%s/vendor/vendor.dovecot/pvt/server/vendor/vendor.dovecot/pvt/crypt/privkeys/%s"
"""Attributes by the mailbox's GUID and the key's id."""
MOST_KNOWN = 100


class Keyring:
    """The private keys of one user."""

    def __init__(self, settings: CryptSettings, attributes: Attributes, inbox_guid: Callable[[], bytes]) -> None:
        self._settings = settings
        self._attributes = attributes
        self._inbox_guid = inbox_guid
        self._global_keys: list[PrivateKey] | None = None
        self._known: dict[str, PrivateKey] = {}
        """By the text that they were read from."""

    async def find_any(self, slots: tuple[KeySlot, ...], guid: bytes) -> tuple[KeySlot, PrivateKey]:
        """A key that opens a mail of the mailbox ``guid``, and which of its ``slots`` it is for.

        Raises StoreFailure when nobody has one, and Unsupported for keys that we do not understand.
        """
        why = "no key opens it"
        for slot in slots:
            key_id = slot.digest.hex()
            try:
                return slot, self._global(key_id) or await self._folder_key(key_id, guid)
            except KeyMissing as missing:
                why = missing.text
            except KeyProblem as problem:
                raise Unsupported(f"mail_crypt: {problem.text}") from None
        raise StoreFailure(f"mail_crypt: {why}")

    def _global(self, key_id: str) -> PrivateKey | None:
        if self._global_keys is None:
            self._global_keys = [load_setting(key.text, key.password) for key in self._settings.global_keys]
        return _with_id(self._global_keys, key_id)

    async def _folder_key(self, key_id: str, guid: bytes) -> PrivateKey:
        text = await self._attribute(FOLDER_KEY, guid, key_id)
        if text is None:
            raise KeyMissing(f"the private key {key_id} is not to be had")
        owner_id = encrypted_for(text)
        owner = None if owner_id is None else await self._user_key(owner_id)
        return self._loaded(text, owner)

    async def _user_key(self, key_id: str) -> PrivateKey | None:
        text = await self._attribute(USER_KEY, self._inbox_guid(), key_id)
        if text is None:
            return self._set_user_key(key_id)
        owner_id = encrypted_for(text)
        return self._loaded(text, None if owner_id is None else self._set_user_key(owner_id))

    def _set_user_key(self, key_id: str) -> PrivateKey | None:
        """A key that is set for users' keys; one that cannot be read is passed over, as in Dovecot."""
        return _with_id([key for each in self._settings.user_keys if (key := _readable(each))], key_id)

    async def _attribute(self, form: bytes, guid: bytes, key_id: str) -> str | None:
        text = await self._attributes.lookup(form % (guid, key_id.encode()))
        return None if text is None else text.decode("ascii", "replace")

    def _loaded(self, text: str, owner: PrivateKey | None) -> PrivateKey:
        if text not in self._known:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            self._known[text] = load(text, self._settings.password, lambda _: owner)
        return self._known[text]


def _readable(key: SetKey) -> PrivateKey | None:
    try:
        return load_setting(key.text, key.password)
    except KeyProblem:
        return None


def _with_id(keys: list[PrivateKey], key_id: str) -> PrivateKey | None:
    return next((key for key in keys if key_id in (key.id, key.old_id)), None)
