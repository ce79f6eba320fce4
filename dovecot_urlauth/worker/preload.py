"""The modules that a child imports on use, imported once in the parent instead."""

from __future__ import annotations

MODULES = (
    "dovecot_urlauth.message.fetch",
    "dovecot_urlauth.store.choose",
    "dovecot_urlauth.store.engine",
    "dovecot_urlauth.store.native",
    "dovecot_urlauth.worker.session",
    "hashlib",
    "hmac",
)


def touch() -> None:
    for name in MODULES:
        __import__(name)
