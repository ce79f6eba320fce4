"""Submission with BURL (RFC 4468): the message is not sent, its URL is."""

from __future__ import annotations

import smtplib


class SubmissionClient(smtplib.SMTP):
    """A logged-in connection to Dovecot's submission service."""

    def __init__(self, port: int, user: str, password: str = "secret") -> None:
        super().__init__("127.0.0.1", port, timeout=30)
        self.ehlo_or_helo_if_needed()
        self.login(user, password)
        self.ehlo()

    def burl(self, url: bytes) -> tuple[int, bytes]:
        """Send what `url` names as the whole message; the code and text of the answer to BURL."""
        code, text = self.mail("a@example.test")
        assert code == 250, text
        code, text = self.rcpt("b@example.test")
        assert code == 250, text
        return self.docmd("BURL", f"{url.decode()} LAST")
