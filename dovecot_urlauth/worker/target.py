"""From a name to the mail that may be read: who it is and which store, found out as root; then root given up.

Whatever goes wrong, the client is told OK and each of its URLs NO: a NO to USER makes imap panic, and
would say who exists.  Such a target has no store, and the process becomes nobody all the same.
"""

from __future__ import annotations

import os

from dovecot_urlauth.config.account import AccountRefused, resolve_account
from dovecot_urlauth.config.native_settings import native_settings
from dovecot_urlauth.config.settings import SettingsError
from dovecot_urlauth.service import sandbox
from dovecot_urlauth.service.privileges import Identity, drop_privileges, forbid_new_privileges
from dovecot_urlauth.start.digest import blake2b
from dovecot_urlauth.start.frozen import frozen
from dovecot_urlauth.store.errors import StoreFailure
from dovecot_urlauth.store.fallback import DOVECOT, NATIVE, open_store
from dovecot_urlauth.wire.tabescape import join
from dovecot_urlauth.worker.owners import owner_finder
from dovecot_urlauth.worker.parent.protocol import KEY_SIZE
from dovecot_urlauth.worker.userdb import LookupFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from dovecot_urlauth.config.account import Account
    from dovecot_urlauth.config.settings import Settings
    from dovecot_urlauth.dialect.dialect import Dialect
    from dovecot_urlauth.service.log import Log
    from dovecot_urlauth.service.loop import Loop
    from dovecot_urlauth.store.engine.engine_start import EngineStart
    from dovecot_urlauth.store.store import Store
    from dovecot_urlauth.wire.authmaster import UserReply
    from dovecot_urlauth.wire.control import Access
    from dovecot_urlauth.worker.userdb import Userdb

NOBODY = Identity(uid=65534, gid=65534, groups=(65534,))
DEFAULT_PORT = 143
ANONYMOUS = "anonymous"
"""The userdb's field for users whom nobody has authenticated (lib-storage/mail-storage-service.c)."""
SHARED_SECONDS = 60.0
"""How long new clients come to a process that found a user's mail on another backend."""


@frozen
class WorkerConfig:
    """What the worker's parent found out as root, once, for all its children."""

    dialect: Dialect
    settings: Settings
    engine: EngineStart
    store_mode: str
    sandbox: sandbox.Mode
    """For a process that never starts an engine: it reads natively alone, on another backend, or not at all."""
    extra_groups: tuple[int, ...]
    """RESTRICT_SETEXTRAGROUPS: groups that every target user gets on top of its own."""
    base_dir: bytes
    userdb_path: bytes
    backends: Settings | None = None
    """Settings of TLS to other backends; None when nobody is asked on which of them a target user's mail is."""
    overrides: frozenset[str] = frozenset()
    """Settings that the worker's ``-o`` names, which no userdb changes (mail-storage-service.c)."""
    audit: bool = False
    """Whether each URL is written into the log with its outcome."""


@frozen
class OpenedTarget:
    """The selected user: ``store`` is None when there is nothing to serve."""

    name: bytes
    settings: Settings
    store: Store | None
    asked_for: bytes = b""
    """The name that the clients gave, for which the userdb answered with ``name``."""
    is_anonymous: bool = False
    """Whether the userdb says so of the target user, nobody's mail then being fetched."""

    def for_session(self) -> OpenedTarget:
        """The same for one more session, with a store that is its own."""
        store = None if self.store is None else self.store.share()
        return OpenedTarget(self.name, self.settings, store, self.asked_for, self.is_anonymous)

    @property
    def host(self) -> str:
        return self.settings.get("imap_urlauth_host")

    @property
    def port(self) -> int:
        return self.settings.number("imap_urlauth_port", DEFAULT_PORT)


@frozen
class TargetUser:
    """Whose mail is asked for: ``account`` is None when the mail of such a user cannot be served."""

    name: bytes
    """The userdb's spelling, if there is such a user."""
    asked_for: bytes
    """The client's."""
    account: Account | None
    key: bytes | None
    """What stands for this user and this access in every detail; None when the process is for one client only."""


async def find_target(name: bytes, access: Access, config: WorkerConfig, userdb: Userdb, log: Log) -> TargetUser:
    """Ask the userdb and the settings about ``name``, as root.  What is wrong goes to the log."""
    user = await _find_here(name, access, config, userdb, log)
    if user.account is None and config.backends is not None:
        # nobody here has to know a user whose mail is elsewhere
        return TargetUser(user.name, name, None, _key_of(name, access, None, None, log.pipe.debugging))
    return user


async def _find_here(name: bytes, access: Access, config: WorkerConfig, userdb: Userdb, log: Log) -> TargetUser:
    text = os.fsdecode(name)
    try:
        reply = await userdb.ask(name, debug=log.pipe.debugging)
    except LookupFailed as error:
        log.error(f"Failed to lookup user {text}: {error}")
        return TargetUser(name, name, None, None)
    if reply is None:
        log.debug(f"User {text} doesn't exist")
        return TargetUser(name, name, None, None)
    try:
        fields = {
            name: value
            for name, value in reply.fields.items()
            if os.fsdecode(name).removeprefix("set/") not in config.overrides
        }
        account = resolve_account(reply.name, fields, config.settings, config.dialect, config.extra_groups)
    except (AccountRefused, SettingsError) as error:
        log.error(f"Failed to lookup user {text}: {error.text}")
        return TargetUser(name, name, None, None)
    if not account.settings.get("imap_urlauth_host"):
        log.error(f"imap_urlauth_host setting is not configured for user {os.fsdecode(reply.name)}")
        return TargetUser(reply.name, name, None, None)
    is_shared = account.chroot is None and config.store_mode != DOVECOT
    key = _key_of(name, access, reply, account, log.pipe.debugging) if is_shared else None
    return TargetUser(reply.name, name, account, key)


def _key_of(
    name: bytes, access: Access, reply: UserReply | None, account: Account | None, debugging: bool
) -> bytes:
    """A digest of all that a user's process is made from, and of who asks: what code that took the process over
    could get at are the sockets of this very user's other sessions.
    """
    details = [b"anonymous" if access.user is None else b"user", access.user or b"", access.service]
    details += [name, b"%d" % debugging]
    if reply is not None and account is not None:
        details += [reply.name, b"%d" % account.uid, b"%d" % account.gid]
        details += [b"%d" % group for group in account.groups]
        details += [part for field in sorted(reply.fields.items()) for part in field]
    return blake2b(join(*details), KEY_SIZE)


async def open_target(
    loop: Loop, user: TargetUser, config: WorkerConfig, log: Log, engine_started: Callable[[], None]
) -> OpenedTarget:
    """Open the store, and become the user for good.  ``engine_started()`` is called whenever a store's engine is,
    and some time after mail was found on another backend.

    Raises PrivilegesKept, and Fatal when a sandbox is required and incomplete.
    """
    if config.backends is not None:
        from dovecot_urlauth.worker.backend.asking import BackendNotFound

        try:
            elsewhere = await _open_elsewhere(loop, user, config, log)
        except BackendNotFound as error:
            log.error(f"Failed to find the backend of user {os.fsdecode(user.name)}: {error}")
            return _nobody(user, config, log)
        if elsewhere is not None:
            loop.spawn(_share_for_a_while(loop, engine_started), "moved users")
            return elsewhere
    account = user.account
    if account is None:
        return _nobody(user, config, log)
    try:
        store = open_store(
            account,
            config.dialect,
            config.store_mode,
            config.engine,
            loop,
            log.debug,
            engine_started,
            owner_finder(loop, config, log),
        )
    except StoreFailure as error:
        log.error(f"Failed to lookup user {os.fsdecode(user.name)}: {error.text}")
        return _nobody(user, config, log)
    _become(account)
    if config.store_mode == NATIVE:
        folders = native_settings(account, config.dialect).folders()
        sandbox.enter(config.sandbox, log, folders if account.home is None else (*folders, account.home))
    return OpenedTarget(user.name, account.settings, store, user.asked_for, ANONYMOUS in account.fields)


async def _share_for_a_while(loop: Loop, share_no_more: Callable[[], None]) -> None:
    """A user may be moved to another backend, which the process of a new client finds out."""
    await loop.sleep(SHARED_SECONDS)
    share_no_more()


async def _open_elsewhere(loop: Loop, user: TargetUser, config: WorkerConfig, log: Log) -> OpenedTarget | None:
    """The mail on another backend, for which nobody here is needed; None when it is here.

    URLs and the log name the user as here; the name at the backend is for those who talk to it.

    Raises BackendNotFound, PrivilegesKept, Fatal.
    """
    from dovecot_urlauth.store.engine.pool import ALLOWED, PooledStore, SessionPool, sessions_for
    from dovecot_urlauth.worker.backend.asking import find_backend

    settings = config.settings if user.account is None else user.account.settings
    site = settings.get("imap_urlauth_host"), settings.number("imap_urlauth_port", DEFAULT_PORT)
    found = await find_backend(loop, user.asked_for, site, config, log, user.account)
    if found is None:
        return None
    log.debug("store: dovecot: on another backend")
    most = sessions_for(settings.number("mail_max_userip_connections", ALLOWED))
    pool = SessionPool(found.user, found, log.debug, loop, most)
    pool.start()
    _drop_to_nobody()
    sandbox.enter(config.sandbox, log)
    return OpenedTarget(user.name, settings, PooledStore(pool), user.asked_for)


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


def _drop_to_nobody() -> None:
    if os.getuid() == 0:
        drop_privileges(NOBODY)
        forbid_new_privileges()
        os.chdir(b"/")


def _nobody(user: TargetUser, config: WorkerConfig, log: Log) -> OpenedTarget:
    _drop_to_nobody()
    sandbox.enter(config.sandbox, log)
    return OpenedTarget(user.name, config.settings, None, user.asked_for)
