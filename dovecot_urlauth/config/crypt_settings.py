"""What the settings of mail_crypt say about private keys; reading needs nothing else of them.

2.3: entries of ``plugin { }``, numbered from the second one on.  2.4: blocks with names; a file comes as its path,
LF and its content, and ``inline:`` without the path.
"""

from __future__ import annotations

from dovecot_urlauth.config.errors import UnsupportedSetting
from dovecot_urlauth.start.frozen import frozen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from dovecot_urlauth.config.language import Expand
    from dovecot_urlauth.config.settings import Settings


@frozen
class SetKey:
    """A private key as it is set."""

    text: str
    password: str


@frozen
class CryptSettings:
    """Keys and passwords."""

    global_keys: tuple[SetKey, ...]
    user_keys: tuple[SetKey, ...]
    """What users' keys may be encrypted for."""
    password: str
    """What users' keys may be encrypted with."""


def crypt_settings_2_3(settings: Settings, expand: Expand) -> CryptSettings:
    """From ``plugin/mail_crypt_...`` (mail-crypt-userenv.c).  Raises UnsupportedSetting."""

    def get(name: str) -> str:
        return _expanded(settings.get(f"plugin/{name}"), expand)

    def keys(name: str) -> Iterator[SetKey]:
        number, numbered = 1, name
        while f"plugin/{numbered}" in settings:
            yield SetKey(get(numbered), get(f"{numbered}_password"))
            number += 1
            numbered = f"{name}{number}"

    return CryptSettings(
        tuple(keys("mail_crypt_global_private_key")),
        tuple(keys("mail_crypt_private_key")),
        get("mail_crypt_private_password"),
    )


def crypt_settings_2_4(settings: Settings, expand: Expand) -> CryptSettings:
    """From ``crypt_...`` (crypt-settings.c).  Raises UnsupportedSetting."""

    def keys(kind: str) -> Iterator[SetKey]:
        for block in settings.blocks(kind):
            path, line_feed, content = settings.get(f"{kind}/{block}/crypt_private_key_file").partition("\n")
            if path and not line_feed:
                raise UnsupportedSetting(f"{kind} {block} has the content of no file")
            password = settings.get(f"{kind}/{block}/crypt_private_key_password")
            yield SetKey(content, _expanded(password, expand))

    return CryptSettings(
        tuple(keys("crypt_global_private_key")),
        tuple(keys("crypt_user_key_encryption_key")),
        _expanded(settings.get("crypt_user_key_password"), expand),
    )


def _expanded(text: str, expand: Expand) -> str:
    return expand(text) if "%" in text else text
