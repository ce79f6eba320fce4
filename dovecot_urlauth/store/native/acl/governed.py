"""Which ACL files and which names count for a mailbox that was found: its own, and its namespace's.

Matches acl_backend_get_default_object and acl_backend_vfile_get_local_dir (plugins/acl).  In a namespace of others
what no entry decides is decided by the namespace's own directory, in a shared one perhaps by its INBOX.
"""

from __future__ import annotations

from dovecot_urlauth.config.mail_location import LISTED
from dovecot_urlauth.config.native_settings import PRIVATE, SHARED
from dovecot_urlauth.store.errors import Unsupported
from dovecot_urlauth.store.native.acl.acl_files import Governed
from dovecot_urlauth.store.native.layout import INBOX, places, root_place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.config.native_settings import Namespace
    from dovecot_urlauth.store.native.acl.acl_files import MailboxAcl
    from dovecot_urlauth.store.native.finding import Found


def check_rights(acl: MailboxAcl, found: Found) -> None:
    """Raise MailboxMissing unless the target user may read the mailbox.

    Raises StoreFailure or Unsupported where that cannot be found out.
    """
    namespace, location = found.namespace, found.location
    mailbox = Governed(_full_name(namespace, found.name), places(location, found.stored).mail)
    if namespace.kind == PRIVATE:
        acl.check_own(mailbox)
    elif not namespace.prefix:
        raise Unsupported("acl in a namespace of others without a prefix")
    elif acl.takes_defaults_from_inbox and namespace.kind == SHARED:
        if location.layout == LISTED:
            raise Unsupported("acl_defaults_from_inbox with a list of mailboxes")
        acl.check_others(mailbox, Governed(_full_name(namespace, INBOX), places(location, INBOX).mail))
    else:
        acl.check_others(mailbox, Governed(namespace.prefix[:-1], root_place(location), is_root=True))


def _full_name(namespace: Namespace, name: bytes) -> bytes:
    """The mailbox's name as lists have it."""
    if name == INBOX and namespace.is_owners:
        return namespace.prefix[:-1]
    if name == INBOX and namespace.kind == PRIVATE:
        return name
    return namespace.prefix + name
