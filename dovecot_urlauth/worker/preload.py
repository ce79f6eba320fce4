"""The modules that a child imports on use, imported once in the parent instead."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.dialect.dialect import Dialect

MODULES = (
    "_blake2",
    "dovecot_urlauth.message.fetch",
    "dovecot_urlauth.store.choose",
    "dovecot_urlauth.store.engine",
    "dovecot_urlauth.store.native",
    "encodings.utf_16_be",
)


def preload(dialect: Dialect) -> None:
    """Load everything that serving a URL takes in this dialect."""
    for name in MODULES:
        __import__(name)
    dialect.load_url_rules()
    dialect.load_message_rules()
