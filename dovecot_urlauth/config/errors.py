"""What can be wrong with settings for the native store."""

from __future__ import annotations


class UnsupportedSetting(Exception):
    """The native store does not understand a setting of this installation; Dovecot's own imap has to serve it.

    ``reason`` says what was met, in the words of Dovecot's settings; it goes to the debug log.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
