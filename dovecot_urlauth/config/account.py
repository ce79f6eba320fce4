"""From the userdb's answer to the person that the worker's child becomes.

Who is it (uid, gid, groups), where does it live (home, chroot), and which settings did the userdb override?
Nothing is changed here: privileges are dropped elsewhere, with the numbers found here.  The order of the
checks and their texts are those of lib-storage/mail-storage-service.c and lib/restrict-access.c.
"""

from __future__ import annotations

import os

from dovecot_urlauth.config.errors import UnsupportedSetting
from dovecot_urlauth.config.language import language_of
from dovecot_urlauth.config.settings import SettingsError
from dovecot_urlauth.start.frozen import frozen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dovecot_urlauth.config.settings import Settings
    from dovecot_urlauth.dialect.dialect import Dialect

CHROOT_MARK = "/./"
"""``/chroot/./home``: how a home says where its chroot ends."""

DEFAULT_FIRST_VALID_UID = 500
DEFAULT_FIRST_VALID_GID = 1

OWN = ("imap_urlauth_host",)
"""Texts that the worker itself goes by."""

UNSETTLED = ("uid", "gid", "hostname")
"""Variables that have no value, or another one, while home and ids are found out."""

NO_ID = (1 << 32) - 1
"""What setresuid(2) takes for "leave it as it is"."""
LONGEST_ID = 20
NICEST, LEAST_NICE = -20, 19
"""Priorities of setpriority(2), which takes others for these."""


class AccountRefused(Exception):
    """The mail of this user may not be opened; ``text`` goes to the log, never to the client."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


@frozen
class Account:
    """The target user, as the system knows it."""

    name: bytes
    """The name that auth returned, which may be spelled otherwise than the one that was asked for."""
    uid: int
    gid: int
    groups: tuple[int, ...]
    """Supplementary groups, the primary one first."""
    home: bytes | None
    """Absolute, inside the chroot if there is one."""
    chroot: bytes | None
    chdir: bytes | None
    """Where the userdb wants the process to be, instead of home."""
    nice: int | None
    settings: Settings
    """The settings with the userdb's overrides, those of the worker's own expanded."""
    fields: Mapping[str, str]
    """The userdb's answer."""
    not_understood: str = ""
    """A setting of the user's that only Dovecot itself understands: the home, then, is not known here."""


def resolve_account(
    name: bytes,
    fields: Mapping[bytes, bytes],
    settings: Settings,
    dialect: Dialect,
    extra_groups: tuple[int, ...] = (),
) -> Account:
    """Turn the fields of a userdb reply into an account; needs the system's passwd and group files.

    ``settings`` are the target user's before overrides, ``extra_groups`` those of RESTRICT_SETEXTRAGROUPS.
    Raises :class:`AccountRefused`.
    """
    try:
        return _Resolver(name, _decoded(fields), settings, dialect).account(extra_groups)
    except SettingsError as error:
        raise AccountRefused(f"Invalid settings in userdb: {error.text}") from None


def _decoded(fields: Mapping[bytes, bytes]) -> dict[str, str]:
    """The fields as text.  Raises SettingsError for a NUL, where a C string, a path for one, would end."""
    for key, value in fields.items():
        if b"\0" in value:
            raise SettingsError(f"Invalid userdb input '{os.fsdecode(key)}': Value has a NUL")
    return {os.fsdecode(key): os.fsdecode(value) for key, value in fields.items()}


def _number(text: str) -> int | None:
    """A uid or gid in decimal; None for any other text, and for -1, which no user can have."""
    if not (text.isascii() and text.isdigit()):
        return None
    number = int(text) if len(text) <= LONGEST_ID else NO_ID
    return number if number < NO_ID else None


class _Resolver:
    """One user's fields and settings, asked in Dovecot's order."""

    def __init__(self, name: bytes, fields: dict[str, str], settings: Settings, dialect: Dialect) -> None:
        self.name = name
        self.fields = fields
        self.language = language_of(dialect)
        self.settings = self.language.override(fields, settings, dialect)
        self.not_understood = ""

    def account(self, extra_groups: tuple[int, ...]) -> Account:
        if self._id_field("uid") == 0:
            raise SettingsError("userdb returned 0 as uid")
        home, chroot = self._directories()
        nice = self._nice()
        uid = self._id("uid", _uid_of, DEFAULT_FIRST_VALID_UID)
        gid = self._id("gid", _gid_of, DEFAULT_FIRST_VALID_GID)
        if home and not home.startswith("/"):
            raise AccountRefused(f"Relative home directory paths not supported: {home}")
        uid, gid = _complete(uid, gid)
        account = Account(
            name=self.name,
            uid=uid,
            gid=gid,
            groups=self._groups(gid, extra_groups),
            home=_path(home),
            chroot=_path(chroot),
            chdir=_path(self.fields.get("chdir", "")),
            nice=nice,
            settings=self.settings,
            fields=self.fields,
            not_understood=self.not_understood,
        )
        return _with_settings(account, self._own_settings(account))

    def _own_settings(self, account: Account) -> Settings:
        """The settings, those expanded that the worker itself reads."""
        values = self.language.variables_of(account)
        expanded = {
            name: self._expand(name, values)
            for name in OWN
            if name in self.language.EXPANDED and "%" in self.settings.get(name)
        }
        return self.settings.merged(expanded)

    def _directories(self) -> tuple[str, str]:
        """Home and chroot, either from the userdb or from mail_home and mail_chroot; "" is none."""
        home = self.fields.get("home", "")
        chroot = self.fields.get("chroot", "")
        allowed = self._valid_chroot_dirs()
        if not chroot and allowed and CHROOT_MARK in home:
            chroot, _, rest = home.partition(CHROOT_MARK)
            home = "/" + rest
        if chroot and not any(chroot.startswith(directory) for directory in allowed):
            raise SettingsError(
                f"userdb returned invalid chroot directory: {chroot} (see valid_chroot_dirs setting)"
            )
        home = home or self._home()
        chroot = chroot or self._expanded("mail_chroot")
        if len(chroot) > len("/.") and chroot.endswith("/."):
            chroot = chroot.removesuffix("/.")
            home = home.removeprefix(chroot)
        return home, chroot.rstrip("/")

    def _valid_chroot_dirs(self) -> tuple[str, ...]:
        return tuple(directory for directory in self.language.chroot_dirs(self.settings) if directory)

    def _home(self) -> str:
        """``mail_home``; one that only Dovecot understands is its to find, and the account says so."""
        try:
            return self._expanded("mail_home")
        except AccountRefused as refused:
            self.not_understood = refused.text
            return ""

    def _expanded(self, setting: str) -> str:
        """A setting with its variables replaced; home and ids are not settled yet, and no variables here."""
        nowhere = Account(self.name, 0, 0, (), None, None, None, None, self.settings, self.fields)
        values = self.language.variables_of(nowhere)
        return self._expand(setting, {name: values[name] for name in values if name not in UNSETTLED})

    def _expand(self, setting: str, values: Mapping[str, str]) -> str:
        template = self.settings.get(setting)
        try:
            return self.language.expand(template, values)
        except UnsupportedSetting as unknown:
            raise AccountRefused(f"Failed to expand {setting} '{template}': {unknown.reason}") from None

    def _nice(self) -> int | None:
        """The priority, if it makes sense; Dovecot too goes on without it."""
        text = self.fields.get("nice", "")
        if not (text.isascii() and text.removeprefix("-").isdigit() and len(text) <= LONGEST_ID):
            return None
        return max(NICEST, min(int(text), LEAST_NICE))

    def _id_field(self, kind: str) -> int | None:
        text = self.fields.get(kind)
        if text is None:
            return None
        number = _number(text)
        if number is None:
            raise SettingsError(f"Invalid userdb input '{kind}={text}': Not a valid number")
        return number

    def _id(self, kind: str, look_up: Callable[[str], int], default_first: int) -> int | None:
        """The uid or gid from the userdb, else from mail_uid or mail_gid; refused outside the valid range."""
        found, source = self._id_field(kind), "userdb lookup"
        if found is None:
            name = f"mail_{kind}"
            text = self._expanded(name) if name in self.language.EXPANDED else self.settings.get(name)
            source = f"{name} setting"
            if not text:
                return None
            try:
                found = _number(text)
                if found is None:
                    found = look_up(text)
            except (KeyError, ValueError):
                what = "UID user" if kind == "uid" else "GID group"
                raise AccountRefused(f"Unknown UNIX {what}: {text} (from {source})") from None
        first = self.settings.number(f"first_valid_{kind}", default_first)
        if not _within(found, first, self.settings.number(f"last_valid_{kind}", 0)):
            raise AccountRefused(
                f"Mail access for users with {kind.upper()} {found} not permitted "
                f"(see first_valid_{kind} in config file, {kind} from {source})."
            )
        return found

    def _groups(self, gid: int, extra_groups: tuple[int, ...]) -> tuple[int, ...]:
        """The primary group, the system's for system_groups_user, and the configured extra ones.

        Only the system's groups are held against first_valid_gid and last_valid_gid.
        """
        groups = [gid]
        system_user = self.fields.get("system_groups_user")
        if system_user:
            first = self.settings.number("first_valid_gid", DEFAULT_FIRST_VALID_GID)
            last = self.settings.number("last_valid_gid", 0)
            groups += [each for each in os.getgrouplist(system_user, gid) if _within(each, first, last)]
        groups += [self._access_group(word) for word in self.language.access_groups(self.settings)]
        groups += extra_groups
        return tuple(dict.fromkeys(groups))

    def _access_group(self, word: str) -> int:
        try:
            number = _number(word)
            return _gid_of(word) if number is None else number
        except (KeyError, ValueError):
            raise AccountRefused(f"unknown group name in extra_groups: {word}") from None


def _complete(uid: int | None, gid: int | None) -> tuple[int, int]:
    """Check that root has somebody to become; a process that is not root stays who it is."""
    if os.geteuid() != 0:
        return (os.geteuid() if uid is None else uid), (os.getegid() if gid is None else gid)
    if uid is None:
        raise AccountRefused("Couldn't drop privileges: User is missing UID (see mail_uid setting)")
    if gid is None:
        raise AccountRefused("Couldn't drop privileges: User is missing GID (see mail_gid setting)")
    if uid == 0:
        raise AccountRefused("Couldn't drop privileges: Mail access not allowed for root")
    return uid, gid


def _with_settings(account: Account, settings: Settings) -> Account:
    values = {name: getattr(account, name) for name in Account.__match_args__}
    return Account(**{**values, "settings": settings})


def _within(number: int, first: int, last: int) -> bool:
    """Whether an id is valid; a ``last`` of 0 sets no upper limit."""
    return first <= number and (last == 0 or number <= last)


def _path(text: str) -> bytes | None:
    return os.fsencode(text) if text else None


def _uid_of(user: str) -> int:
    import pwd

    return pwd.getpwnam(user).pw_uid


def _gid_of(group: str) -> int:
    import grp

    return grp.getgrnam(group).gr_gid
