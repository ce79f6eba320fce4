"""The user's namespaces: which one has a mailbox, and what the mailbox is called in it.

Matches lib-storage/mail-namespace.c (mail_namespace_find, mail_namespaces_init) and vname handling in
mail-storage.c (mailbox_alloc, mailbox_verify_name) and mailbox-list.c.
"""

from __future__ import annotations

from dovecot_urlauth.store.errors import MailboxMissing, MailboxRefused, Unsupported
from dovecot_urlauth.store.native.layout import INBOX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from dovecot_urlauth.config.native_settings import Namespace


def find(namespaces: Sequence[Namespace], name: bytes) -> tuple[Namespace, bytes]:
    """The namespace of mailbox ``name``, and the name without its prefix (``INBOX`` for the inbox).

    Raises MailboxMissing for a name outside of all, MailboxRefused for one that ends with the prefix, and
    Unsupported for the namespace's own name.
    """
    if name.upper() == INBOX:
        for namespace in namespaces:
            if namespace.inbox:
                return namespace, INBOX
    best = None
    for namespace in namespaces:
        if (best is None or len(namespace.prefix) >= len(best.prefix)) and _has(namespace, name):
            best = namespace
    if best is None:
        raise MailboxMissing("no namespace has this name")
    rest = name[len(best.prefix) :]
    if not best.prefix:
        return best, _with_upper_inbox(name, best.separator)
    if rest:
        if rest == INBOX and not best.inbox and not best.is_owners:
            raise Unsupported("a mailbox INBOX in a namespace without inbox=yes")
        return best, rest
    if len(name) < len(best.prefix):
        if best.is_owners:
            return best, INBOX
        raise Unsupported("the namespace's own name as a mailbox")
    text = _with_upper_inbox(name, best.separator).decode("utf-8", "replace")
    raise MailboxRefused(f"Invalid mailbox name '{text}': Ends with hierarchy separator")


def _has(namespace: Namespace, name: bytes) -> bool:
    prefix = namespace.prefix
    if name.startswith(prefix):
        return True
    if prefix.startswith(INBOX) and name[:5].upper() == INBOX and name[5:].startswith(prefix[5:]):
        return True
    return name == prefix[:-1] and prefix[-1:] == namespace.separator


def _with_upper_inbox(name: bytes, separator: bytes) -> bytes:
    """``inbox/sub`` is ``INBOX/sub`` in every namespace (mailbox_alloc)."""
    return INBOX + name[5:] if name[:6].upper() == INBOX + separator else name
