"""What all entries together give to the owner of a mailbox, and to somebody else.

Matches acl_rights_sort and acl_object_rebuild_cache (plugins/acl/acl-api.c).  Entries are applied in the order of
their kind, those for all users last; each kind replaces what the one before gave, and only groups add up.
"""

from __future__ import annotations

from dovecot_urlauth.store.native.acl.entries import ALL, Entry, Kind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

NOTHING: frozenset[bytes] = frozenset()


def rights_of_owner(entries: Iterable[Entry], user: bytes, groups: Collection[bytes]) -> frozenset[bytes]:
    """The rights that ``user``, who is in ``groups``, has in an own mailbox: all of them without any entry."""
    about_owner = [entry for entry in entries if _counts_for_owner(entry) and _is_about(entry, user, groups)]
    return _applied(about_owner, ALL)


def rights_of_other(entries: Iterable[Entry], user: bytes, groups: Collection[bytes]) -> frozenset[bytes] | None:
    """The rights that ``user`` has in a mailbox that is not his; None when no entry is about him."""
    about_user = [entry for entry in entries if entry.kind is not Kind.OWNER and _is_about(entry, user, groups)]
    return _applied(about_user, NOTHING) if about_user else None


def _applied(entries: Iterable[Entry], rights: frozenset[bytes]) -> frozenset[bytes]:
    """What is left of ``rights`` when all the entries have had their say, each of which is about the user."""
    negative = NOTHING
    applied: Entry | None = None
    is_first_global = True
    for entry in _in_order(entries):
        replaces = applied is None or applied.kind is not entry.kind or applied.is_global is not entry.is_global
        applied = entry
        if entry.rights is not None:
            rights = entry.rights if replaces else rights | entry.rights
        if entry.is_global and is_first_global:
            is_first_global = False
            negative = entry.negative or NOTHING  # what a mailbox's own file takes away counts no more
        elif entry.negative is not None:
            negative = entry.negative if replaces else negative | entry.negative
    return rights - negative


def _in_order(entries: Iterable[Entry]) -> list[Entry]:
    """The entries in the order that they are applied in, those about the same made one."""
    merged: dict[tuple[bool, int, bytes], Entry] = {}
    for entry in entries:
        key = (entry.is_global, entry.kind.value, entry.name)
        before = merged.get(key)
        merged[key] = entry if before is None else _both(before, entry)
    return [merged[key] for key in sorted(merged)]


def _both(one: Entry, other: Entry) -> Entry:
    """Two lines about the same: as one, it says something of rights and of negative rights, in any case."""
    rights = (one.rights or NOTHING) | (other.rights or NOTHING)
    negative = (one.negative or NOTHING) | (other.negative or NOTHING)
    return Entry(one.kind, one.name, rights, negative, one.is_global)


def _counts_for_owner(entry: Entry) -> bool:
    """What a mailbox's own file says of everybody and of groups does not bind the owner."""
    return entry.is_global or entry.kind.value >= Kind.OWNER.value


def _is_about(entry: Entry, user: bytes, groups: Collection[bytes]) -> bool:
    if entry.kind in (Kind.GROUP, Kind.GROUP_OVERRIDE):
        return entry.name in groups
    return entry.kind is not Kind.USER or entry.name == user
