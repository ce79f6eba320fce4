"""What expanding variables and finding the mail takes to know of a user."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Protocol

    from dovecot_urlauth.config.settings import Settings
else:
    Protocol = object


class MailUser(Protocol):
    """The target user, whose rights the process already has."""

    @property
    def name(self) -> bytes:
        """The name that the userdb gave, which variables expand to."""

    @property
    def uid(self) -> int: ...

    @property
    def gid(self) -> int: ...

    @property
    def home(self) -> bytes | None: ...

    @property
    def chroot(self) -> bytes | None: ...

    @property
    def fields(self) -> Mapping[str, str]:
        """The userdb's answer, which ``%{userdb:x}`` takes its values from."""

    @property
    def settings(self) -> Settings:
        """Explicit settings, the userdb's overrides applied."""

    @property
    def not_understood(self) -> str:
        """A setting of the user's that only Dovecot itself understands; empty if there is none."""
