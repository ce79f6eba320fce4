"""What a mailbox's attributes are to whoever reads them: values by key, in whichever dictionary they are kept."""

from __future__ import annotations

from dovecot_urlauth.config.attribute_dict import FsDictSettings, ProxyDictSettings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from dovecot_urlauth.config.attribute_dict import AttributeDict
    from dovecot_urlauth.service.loop import Loop
else:
    Protocol = object


class Attributes(Protocol):
    """One user's attribute dictionary, for as long as the user's mail is read.

    Keys are those of lib-dict, such as ``priv/<mailbox GUID>/vendor/vendor.dovecot/imap-urlauth``
    (lib-storage/index/index-attribute.c).
    """

    async def lookup(self, key: bytes) -> bytes | None:
        """The value of ``key`` as it is at this moment, None when there is none.

        Raises StoreFailure, or Unsupported for what only Dovecot itself can read.
        """

    def close(self) -> None:
        """Let go of files and connections; another lookup opens them anew."""


def open_attributes(settings: AttributeDict, loop: Loop) -> Attributes:
    """The dictionary that the settings name; nothing is opened before the first lookup."""
    if isinstance(settings, ProxyDictSettings):
        from dovecot_urlauth.store.native.attributes.proxy_dict import ProxyDict

        return ProxyDict(settings, loop)
    if isinstance(settings, FsDictSettings):
        from dovecot_urlauth.store.native.attributes.fs_dict import FsDict

        return FsDict(settings)
    from dovecot_urlauth.store.native.attributes.file_dict import FileDict

    return FileDict(settings.path)
