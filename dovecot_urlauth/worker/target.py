"""USER: from a name to the mail that may be read, root given up in between.

Whatever goes wrong, the client is told OK and each of its URLs NO: a NO to USER makes imap panic, and
would say who exists.  Such a target has no store, and the process becomes nobody all the same.
"""

from __future__ import annotations

import os

from dovecot_urlauth.service.privileges import Identity, drop_privileges, forbid_new_privileges
from dovecot_urlauth.service.settings import SettingsError
from dovecot_urlauth.store.choose import open_before_chroot, open_store
from dovecot_urlauth.store.errors import StoreFailure
from dovecot_urlauth.wire.value import record
from dovecot_urlauth.worker.account import AccountRefused, resolve_account
from dovecot_urlauth.worker.userdb import LookupFailed, UserdbConnection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.dialect.dialect import Dialect
    from dovecot_urlauth.service.log import Log
    from dovecot_urlauth.service.settings import Settings
    from dovecot_urlauth.store.engine_start import EngineStart
    from dovecot_urlauth.store.store import Store
    from dovecot_urlauth.wire.authmaster import UserReply
    from dovecot_urlauth.worker.account import Account

NOBODY = Identity(uid=65534, gid=65534, groups=(65534,))
DEFAULT_PORT = 143


@record(frozen=True, slots=True)
class WorkerConfig:
    """What the worker's parent found out as root, once, for all its children."""

    dialect: Dialect
    settings: Settings
    engine: EngineStart
    store_mode: str
    extra_groups: tuple[int, ...]
    """RESTRICT_SETEXTRAGROUPS: groups that every target user gets on top of its own."""
    base_dir: bytes
    userdb_path: bytes


@record(frozen=True, slots=True)
class Target:
    """The selected user: ``store`` is None when there is nothing to serve."""

    name: bytes
    settings: Settings
    store: Store | None

    @property
    def host(self) -> str:
        return self.settings.get("imap_urlauth_host")

    @property
    def port(self) -> int:
        return self.settings.number("imap_urlauth_port", DEFAULT_PORT)


def select_target(name: bytes, config: WorkerConfig, userdb: UserdbConnection, log: Log) -> Target:
    """Look the user up, become that user for good, and open the store. Raises PrivilegesKept only."""
    text = os.fsdecode(name)
    try:
        reply = userdb.lookup(name, debug=log.pipe.debugging)
    except LookupFailed as error:
        log.error(f"Failed to lookup user {text}: {error}")
        return _nobody(name, config)
    if reply is None:
        log.debug(f"User {text} doesn't exist")
        return _nobody(name, config)
    try:
        account = resolve_account(
            reply.name, reply.fields, config.settings, config.dialect, config.extra_groups
        )
    except (AccountRefused, SettingsError) as error:
        log.error(f"Failed to lookup user {text}: {error.text}")
        return _nobody(name, config)
    return _serve(reply, account, config, log)


def _serve(reply: UserReply, account: Account, config: WorkerConfig, log: Log) -> Target:
    if not account.settings.get("imap_urlauth_host"):
        log.error(f"imap_urlauth_host setting is not configured for user {os.fsdecode(reply.name)}")
        return _nobody(reply.name, config)
    try:
        store = None
        if account.chroot is not None:
            store = open_before_chroot(account, config.store_mode, config.engine, log.debug)
        _become(account)
        if store is None:
            store = open_store(account, config.dialect, config.store_mode, config.engine, log.debug)
    except StoreFailure as error:
        log.error(f"Failed to lookup user {os.fsdecode(reply.name)}: {error.text}")
        return _nobody(reply.name, config)
    return Target(reply.name, account.settings, store)


def _become(account: Account) -> None:
    if account.nice:
        os.setpriority(os.PRIO_PROCESS, 0, account.nice)
    if account.chroot is not None:
        "".encode("utf-16-be")  # mailbox names need the codec, and the chroot does not hold it
    drop_privileges(Identity(account.uid, account.gid, account.groups, account.chroot))
    forbid_new_privileges()
    for directory in (account.chdir, account.home, b"/"):
        if directory:
            try:
                os.chdir(directory)
                return
            except OSError:
                continue  # as Dovecot: a missing home is no reason to refuse


def _nobody(name: bytes, config: WorkerConfig) -> Target:
    if os.getuid() == 0:
        drop_privileges(NOBODY)
        forbid_new_privileges()
        os.chdir(b"/")
    return Target(name, config.settings, None)
