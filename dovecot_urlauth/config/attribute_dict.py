"""Where mailbox attributes are kept: ``mail_attribute_dict`` of Dovecot 2.3, ``mail_attribute { }`` of 2.4.

Matches lib-dict/dict-client.c (``proxy:``), dict-fs.c with lib-fs/fs-posix.c (``fs:``) and dict-file.c
(``file:``); every other dictionary is Dovecot's own to ask.
"""

from __future__ import annotations

import os

from dovecot_urlauth.config.errors import UnsupportedSetting
from dovecot_urlauth.config.mail_location import to_path
from dovecot_urlauth.start.frozen import frozen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from dovecot_urlauth.config.mail_user import MailUser

    Expand = Callable[[str], str]

BASE_DIR = "/run/dovecot"
"""Where Dovecot's sockets are unless ``base_dir`` says something else."""
DEFAULT_SOCKET = "dict"

CLIENT_OPTIONS = ("idle_msecs=", "warn_slow_msecs=")
"""What 2.3's ``proxy:`` may begin with; neither changes an answer."""
POSIX_OPTIONS = ("lock=", "mode=", "dirs", "no-fsync", "accurate-mtime")
"""Arguments of the posix file system about writing."""


@frozen
class FileDictSettings:
    """A dictionary in one file."""

    path: bytes


@frozen
class FsDictSettings:
    """A dictionary with a file for each key: ``prefix`` and the key together are the file's path."""

    prefix: bytes
    user: bytes
    """The target user; private keys begin with the name."""


@frozen
class ProxyDictSettings:
    """A dictionary of Dovecot's dict service."""

    socket: bytes
    name: bytes
    user: bytes
    """The target user, whose private keys are meant."""
    major: int
    """Major version of the protocol."""


if TYPE_CHECKING:
    AttributeDict = FileDictSettings | FsDictSettings | ProxyDictSettings


def parse_attribute_dict(text: str, user: MailUser, major: int) -> AttributeDict:
    """2.3: ``driver:text``, variables expanded.  Raises UnsupportedSetting."""
    driver, _, rest = text.partition(":")
    if driver == "file":
        return FileDictSettings(to_path(rest.partition(":")[0], user.home))
    if driver == "fs":
        return _parse_posix(rest, user)
    if driver == "proxy":
        return _parse_proxy(rest, user, major)
    raise _unsupported(driver)


def attribute_dict_of(user: MailUser, expand: Expand, major: int) -> AttributeDict:
    """2.4: the blocks ``mail_attribute { dict x { } }``.  Raises UnsupportedSetting."""
    settings = user.settings
    name = settings.get("mail_attribute/dict")
    path = f"mail_attribute/dict/{name}"
    driver = settings.get(f"{path}/driver", name)

    def get(key: str, default: str = "") -> str:
        return expand(settings.get(f"{path}/{key}", default))

    if driver == "file":
        return FileDictSettings(to_path(get("path"), user.home))
    if driver == "fs":
        inner = settings.get(f"{path}/fs")
        if settings.get(f"{path}/fs/{inner}/driver", inner) != "posix":
            raise UnsupportedSetting("mail attributes are in a dictionary fs that is not posix")
        return _posix(get(f"fs/{inner}/prefix"), user)
    if driver == "proxy":
        return _proxy(get("socket_path", DEFAULT_SOCKET), get("name"), user, major)
    raise _unsupported(driver)


def _unsupported(driver: str) -> UnsupportedSetting:
    return UnsupportedSetting(
        f"mail attributes are in a dictionary {driver}:" if driver else "no mail_attribute_dict"
    )


def _parse_proxy(text: str, user: MailUser, major: int) -> ProxyDictSettings:
    """``[idle_msecs=<n>:][warn_slow_msecs=<n>:][<socket>]:<name>``."""
    while text.startswith(CLIENT_OPTIONS):
        text = text.partition(":")[2]
    socket, colon, name = text.partition(":")
    if not colon:
        raise UnsupportedSetting("mail_attribute_dict is proxy: without a name")
    return _proxy(socket or DEFAULT_SOCKET, name, user, major)


def _proxy(socket: str, name: str, user: MailUser, major: int) -> ProxyDictSettings:
    base_dir = user.settings.get("base_dir") or BASE_DIR
    path = to_path(os.path.join(base_dir, socket), user.home)
    return ProxyDictSettings(path, os.fsencode(name), user.name, major)


def _parse_posix(text: str, user: MailUser) -> FsDictSettings:
    """``posix:<argument>:<argument>...``; the last ``prefix=`` stands."""
    driver, *arguments = text.split(":")
    if driver != "posix":
        raise UnsupportedSetting(f"mail attributes are in a dictionary fs:{driver}:")
    prefix = ""
    for argument in filter(None, arguments):
        if argument.startswith("prefix="):
            prefix = argument.removeprefix("prefix=")
        elif not argument.startswith(POSIX_OPTIONS):
            raise UnsupportedSetting(f"mail_attribute_dict has {argument}")
    return _posix(prefix, user)


def _posix(prefix: str, user: MailUser) -> FsDictSettings:
    path = os.fsencode(prefix)
    if not path.startswith(b"/") or b"\0" in path:
        raise UnsupportedSetting(f"mail attributes are in files below {prefix or 'nothing'}")
    if user.name.startswith(b".") or b"/" in user.name:
        raise UnsupportedSetting("mail attributes are in files, and the user's name is no file's")
    return FsDictSettings(path, user.name)
