"""Namespaces of owners whose mail is shared: made when a mailbox of theirs is asked for.

Matches shared_storage_get_namespace in lib-storage/index/shared/shared-storage.c.  Stock keeps them for a session;
here an owner is looked up anew after a while, since a process may serve many; so is one of whom nothing was found,
for whom each URL, whoever made it up, would ask the userdb.
"""

from __future__ import annotations

from dovecot_urlauth.config.errors import UnsupportedSetting
from dovecot_urlauth.config.mail_location import MDBOX
from dovecot_urlauth.config.native_settings import SHARED, Namespace
from dovecot_urlauth.config.shared_owners import DOMAIN, USER, USERNAME, Owner
from dovecot_urlauth.store.errors import MailboxMissing, Unsupported
from dovecot_urlauth.store.native.namespace import find

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from typing import TypeAlias, TypeVar

    from dovecot_urlauth.config.shared_owners import SharedOwners
    from dovecot_urlauth.service.loop import Loop

    Value = TypeVar("Value")
    FindOwner: TypeAlias = Callable[[bytes], Awaitable[bytes | None]]
    """An owner's home by name, None for nobody.  Raises Unsupported when that cannot be found out."""

ASKED_AGAIN = 30.0
"""Seconds after which the userdb is asked again about an owner; acl's cache lives as long."""
KEPT_OWNERS = 50
KEPT_REFUSALS = 200
"""Owners without mail that can be read here; they are apart, so that made-up names do not put out the others."""
ODD = b"/&%$*?~\\\"'"
"""What names of mailboxes, paths or variables might turn into something else."""


class OwnersNamespaces:
    """All namespaces: those of the settings, and of the owners who were asked for."""

    def __init__(self, settled: Sequence[Namespace], loop: Loop, find_owner: FindOwner) -> None:
        self._settled = tuple(settled)
        self._loop = loop
        self._find_owner = find_owner
        self._known: dict[bytes, tuple[float, Namespace]] = {}
        """By prefix: when the owner was asked for, and what that came to."""
        self._refused: dict[bytes, tuple[float, MailboxMissing | Unsupported]] = {}
        """By prefix: when the owner was asked for in vain, and why."""
        self.all: tuple[Namespace, ...] = self._settled

    async def with_owner_of(self, mailbox: bytes) -> tuple[Namespace, ...]:
        """:attr:`all`, with the owner's if the mailbox is in a shared namespace.

        Raises MailboxRefused, MailboxMissing or Unsupported.
        """
        root, rest = find(self._settled, mailbox)
        if root.owners is None:
            return self.all
        owner, ending = owner_in(root.owners, rest)
        prefix = root.prefix + ending
        asked_at, known = self._known.get(prefix, (0.0, None))
        if known is None or self._is_old(asked_at):
            found = await self._found(root, prefix, owner)
            _keep(self._known, prefix, (self._loop.now(), found), KEPT_OWNERS)
            self.all = self._settled + tuple(each for _, each in self._known.values())
        return self.all

    def _is_old(self, asked_at: float) -> bool:
        return self._loop.now() - asked_at >= ASKED_AGAIN

    async def _found(self, root: Namespace, prefix: bytes, owner: Owner) -> Namespace:
        """The owner's namespace.  Raises MailboxMissing or Unsupported, perhaps for a reason of a while ago."""
        if prefix in self._refused:
            asked_at, refusal = self._refused[prefix]
            if not self._is_old(asked_at):
                raise type(refusal)(refusal.text)
            del self._refused[prefix]
        try:
            return await self._namespace(root, prefix, owner)
        except (MailboxMissing, Unsupported) as refusal:
            again = type(refusal)(refusal.text)
            _keep(self._refused, prefix, (self._loop.now(), again), KEPT_REFUSALS)
            raise

    async def _namespace(self, root: Namespace, prefix: bytes, owner: Owner) -> Namespace:
        """Raises MailboxMissing or Unsupported."""
        assert root.owners is not None  # noqa: S101 - the caller looked
        home = await self._find_owner(owner.name)
        try:
            if home is None:
                raise self._without_owner(root.owners, owner)
            location = root.owners.locate(Owner(owner.name, owner.username, owner.domain, home))
        except UnsupportedSetting as error:
            raise Unsupported(error.reason) from None
        for other in self.all:
            same = other.location
            if same is not None and (same.driver, same.root) == (MDBOX, location.root) and same != location:
                raise Unsupported("two namespaces share an mdbox storage")
        return Namespace(prefix, root.separator, location, kind=SHARED, is_owners=True)

    def _without_owner(self, owners: SharedOwners, owner: Owner) -> MailboxMissing | Unsupported:
        """2.3 does not ask who the owner is if the place does not depend on the home."""
        try:
            owners.locate(owner)
        except UnsupportedSetting:
            return MailboxMissing("the owner does not exist")
        return Unsupported("an owner who does not exist")


def _keep(kept: dict[bytes, Value], prefix: bytes, value: Value, most: int) -> None:
    """Put it at the end, and the oldest out if there are too many."""
    kept.pop(prefix, None)
    kept[prefix] = value
    if len(kept) > most:
        del kept[next(iter(kept))]


def owner_in(owners: SharedOwners, rest: bytes) -> tuple[Owner, bytes]:
    """Whose mailbox it is that has ``rest`` behind the shared prefix, and what the owner's prefix has there.

    Raises MailboxMissing or Unsupported.
    """
    parts: dict[str, bytes] = {}
    at = 0
    for name, text in owners.names:
        end = rest.find(text[:1], at)
        parts[name] = rest[at:] if end < 0 else rest[at:end]
        if end < 0:
            if len(parts) < len(owners.names):
                raise Unsupported("a mailbox name with a part of the owner's name")
            break  # the owner's INBOX
        if not rest.startswith(text, end):
            raise Unsupported("a mailbox name without an owner's name")
        at = end + len(text)
    owner = _owner(parts, owners.own_name)
    if not owner.name:
        raise MailboxMissing("the owner's name is empty")
    if not _can_be_in_a_path(owner.name):
        raise Unsupported("an owner with an odd name")
    if owner.name.lower() == owners.own_name.lower():
        raise Unsupported("the target user's own mail as somebody else's")
    values = {USER: owner.name, USERNAME: owner.username, DOMAIN: owner.domain}
    return owner, b"".join(values[name] + text for name, text in owners.names)


def _can_be_in_a_path(name: bytes) -> bool:
    """Whether neither the name nor what a setting takes of it (``%%n``, ``%%d``) leads out of a directory."""
    is_plain = all(b"!" <= bytes((byte,)) <= b"~" and byte not in ODD for byte in name)
    return is_plain and b".." not in name and all(part and part != b"." for part in name.split(b"@"))


def _owner(parts: dict[str, bytes], own_name: bytes) -> Owner:
    if USER in parts:
        username, _, domain = parts[USER].partition(b"@")
        return Owner(parts[USER], username, domain)
    username = parts[USERNAME]
    _, sign, domain = (username + b"@" + parts[DOMAIN] if DOMAIN in parts else own_name).partition(b"@")
    return Owner(username + b"@" + domain if sign else username, username, domain)
