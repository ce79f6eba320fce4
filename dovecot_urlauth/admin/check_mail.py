"""One real user beside the configuration: may it come in, has its mailboxes' keys a place, how is its mail read.

Asked of the running Dovecot's userdb, in the words and by the code by which the worker itself decides.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass

from dovecot_urlauth.admin.check_dictionary import attribute_dictionary
from dovecot_urlauth.admin.check_services import LIBEXEC_DIR, WORKER
from dovecot_urlauth.admin.check_sockets import LOGIN_SOCKET
from dovecot_urlauth.admin.doveconf import Configuration
from dovecot_urlauth.admin.executables import Maker, find_executable
from dovecot_urlauth.admin.findings import Finding, fail, note, ok
from dovecot_urlauth.admin.live.account import all_users, userdb_fields
from dovecot_urlauth.admin.live.backend import OPTION, asks_backends, backend_of
from dovecot_urlauth.admin.live.failure import LiveFailure
from dovecot_urlauth.admin.live.identity import lent
from dovecot_urlauth.admin.master import running_master
from dovecot_urlauth.config.account import Account, AccountRefused, resolve_account
from dovecot_urlauth.config.errors import UnsupportedSetting
from dovecot_urlauth.config.imapc_settings import ImapcSettings, imapc_settings
from dovecot_urlauth.config.language import language_of
from dovecot_urlauth.config.mail_location import to_path
from dovecot_urlauth.config.native_settings import native_settings
from dovecot_urlauth.config.read import read_settings
from dovecot_urlauth.config.settings import Settings, SettingsError
from dovecot_urlauth.config.wanted import TARGET_USER
from dovecot_urlauth.dialect.choose import choose_dialect
from dovecot_urlauth.dialect.dialect import Dialect
from dovecot_urlauth.service.environment import read_environment

DICT_SOCKET = "dict"

#: how the settings name a home
_HOME = re.compile(r"%\{?(?:home\b|\d*h)|^~/")


@dataclass(frozen=True)
class _Resident:
    """A user, and the Dovecot whose it is."""

    name: str
    account: Account
    configuration: Configuration
    dialect: Dialect

    def may(self, path: str, what: int) -> bool:
        """Whether the kernel lets the user do ``what`` (os.W_OK and the like) with ``path``."""
        with lent(self.account.uid, self.account.gid, self.account.groups):
            return os.access(path, what, effective_ids=True)


def check_mail(configuration: Configuration, user: str | None) -> Iterator[Finding]:
    """What ``user`` meets, or whom the userdb lists first."""
    if os.geteuid() != 0:
        yield note("not run as root: what users meet was not looked at")
        return
    if running_master(configuration.base_dir) is None:
        yield note(f"no Dovecot runs in {configuration.base_dir}: what its userdb says of users was not looked at")
        return
    try:
        name = user or _first_user(configuration)
        if name is None:
            yield note("the userdb lists no user: name one with --user, and what that one meets is looked at")
            return
        yield from _check_user(_find(configuration, name))
    except LiveFailure as failure:
        yield fail(str(failure))
    except (AccountRefused, SettingsError) as error:
        yield fail(f"the mail of {name} cannot be opened: {error.text}")


def _first_user(configuration: Configuration) -> str | None:
    anonymous = configuration.everything.get("auth_anonymous_username", "anonymous")
    return next((name for name in all_users(configuration.file) if name != anonymous), None)


def _find(configuration: Configuration, name: str) -> _Resident:
    """Raises LiveFailure, AccountRefused, SettingsError."""
    dialect, _ = choose_dialect({"DOVECOT_VERSION": configuration.version})
    environment = read_environment({"CONFIG_FILE": configuration.file}, WORKER)
    settings = read_settings(environment, dialect.config_source, TARGET_USER)
    fields = {key.encode(): value.encode() for key, value in userdb_fields(name, configuration.file).items()}
    return _Resident(name, resolve_account(name.encode(), fields, settings, dialect), configuration, dialect)


def _check_user(resident: _Resident) -> Iterator[Finding]:
    yield from _check_way_in(resident)
    elsewhere = list(_check_backend(resident))
    if not elsewhere:  # keys are where the mail is
        yield from _check_keys(resident)
    yield from _check_store(resident, elsewhere)


def _check_way_in(resident: _Resident) -> Iterator[Finding]:
    base_dir = resident.configuration.base_dir
    path = os.path.join(base_dir, LOGIN_SOCKET)
    if not resident.may(base_dir, os.X_OK):
        yield fail(f"base_dir {base_dir} is closed to {resident.name}, whose imap looks for {LOGIN_SOCKET} in it")
    elif os.path.exists(path) and not resident.may(path, os.W_OK):
        yield fail(f"socket {LOGIN_SOCKET} is closed to {resident.name}, as whom imap connects to it")


def _check_keys(resident: _Resident) -> Iterator[Finding]:
    """Whether this user's mailboxes have somewhere to keep keys."""
    dictionary = attribute_dictionary(resident.configuration, resident.configuration.as_worker)
    if dictionary is None:
        return
    if dictionary.driver == "proxy":
        path = os.path.join(resident.configuration.base_dir, DICT_SOCKET)
        if os.path.exists(path) and not resident.may(path, os.W_OK) and not _in_group_of(resident, path):
            yield fail(f"socket {DICT_SOCKET} is closed to {resident.name}, so that no key can be kept or read")
        return
    if dictionary.driver != "file":
        return
    text = dictionary.option("path", "dict_file_path") or dictionary.text
    if _HOME.search(text) and resident.account.home is None:
        consequence = ": nobody like this can use IMAP at all" if resident.configuration.is_2_3 else ""
        yield fail(
            f"{resident.name} has no home in the userdb, and the attribute dictionary is in it{consequence}"
        )
        return
    language = language_of(resident.dialect)
    try:
        expanded = language.expand(text, language.variables_of(resident.account))
    except UnsupportedSetting:
        return
    path = os.fsdecode(to_path(expanded, resident.account.home))
    folder = _nearest_folder(path)
    if not resident.may(folder, os.W_OK | os.X_OK):
        yield fail(f"{resident.name} may not write to {folder}, so that no key can be kept in {path}")
    elif os.path.exists(path) and not resident.may(path, os.R_OK):  # it is written anew, beside it
        yield fail(f"{resident.name} may not read {path}, where the keys of its mailboxes are")


def _nearest_folder(path: str) -> str:
    """The folder of ``path``, or what of the way to it is there: Dovecot makes the rest."""
    folder = os.path.dirname(path)
    while not os.path.isdir(folder) and folder not in ("", "/"):
        folder = os.path.dirname(folder)
    return folder or "/"


def _in_group_of(resident: _Resident, path: str) -> bool:
    """Whether mail processes get the socket's group on top of the user's own (``extra_groups``)."""
    import grp

    found = os.stat(path)
    extra = resident.configuration.service("imap").get("extra_groups").replace(",", " ").split()
    names = {resident.configuration.value_of(name) for name in extra}
    try:
        return found.st_mode & 0o020 != 0 and grp.getgrgid(found.st_gid).gr_name in names
    except KeyError:
        return False


def _check_store(resident: _Resident, elsewhere: list[Finding]) -> Iterator[Finding]:
    """Which of the two stores of our worker reads this user's mail, and why; or where else it is read."""
    words = resident.configuration.service(WORKER).get("executable", WORKER)
    try:
        executable = find_executable(words, resident.configuration.everything.get("libexec_dir", LIBEXEC_DIR))
    except OSError:
        return
    if executable.maker is not Maker.OURS:
        return
    if elsewhere:
        yield from elsewhere
        return
    only_native = "--store=native" in words.split()
    if "--store=dovecot" in words.split():
        yield ok(f"mail of {resident.name} is read through Dovecot's imap: --store=dovecot")
    elif not (reason := _why_not_native(resident)):
        yield ok(f"mail of {resident.name} is read natively")
    elif only_native:
        yield fail(
            f"mail of {resident.name} cannot be read natively, and --store=native allows nothing else: {reason}"
        )
    else:
        yield ok(f"mail of {resident.name} is read through Dovecot's imap: {reason}")


def _check_backend(resident: _Resident) -> Iterator[Finding]:
    """Where the mail is, if it is not here."""
    name, asks = resident.name, asks_backends(resident.configuration)
    if asks and (imapc := _imapc(resident)) is not None:
        if not imapc.host or not imapc.password:
            yield fail(f"mail of {name} is imapc's, and imapc_host or imapc_password is not set for {name}")
        else:
            yield ok(f"mail of {name} is on backend {imapc.host}, which imapc reads: the worker asks it itself")
        return
    backend = backend_of(name, resident.configuration.file)
    if backend is None:
        return
    if not asks:
        yield note(
            f"mail of {name} is on backend {backend.host}: who asks for it here is refused, unless "
            f"{WORKER} has {OPTION}"
        )
    elif not backend.has_password:
        yield fail(f"mail of {name} is on backend {backend.host}, and the passdb gives no pass to log in with")
    else:
        who = f"as {backend.master}" if backend.master else f"as {name}, without a master user"
        yield ok(f"mail of {name} is on backend {backend.host}, where the worker logs in {who}")


def _imapc(resident: _Resident) -> ImapcSettings | None:
    try:
        return imapc_settings(resident.account, Settings({}), resident.dialect)
    except UnsupportedSetting:
        return None  # Dovecot's own imap reads it


def _why_not_native(resident: _Resident) -> str:
    try:
        settings = native_settings(resident.account, resident.dialect)
    except UnsupportedSetting as error:
        return error.reason
    return next((namespace.why_not for namespace in settings.namespaces if namespace.inbox), "")
