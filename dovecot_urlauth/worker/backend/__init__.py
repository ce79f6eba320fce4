"""Mail that lives on another backend.

With ``--backends=ask`` auth's passdb is asked where a target user's mail is, as Dovecot's own proxies ask it, or
``imapc_*`` settings say it.
If that is elsewhere, the dovecot engine's conversation runs over a connection to that backend's imap, logged in
for the user by a master user.  A process of its own, the dialer, asks, holds the master user's password, connects
and logs in; the process that reads URLs becomes nobody and holds a pipe to it, or the connection itself.

    fields.py     what the passdb's answer, or imapc's settings, say: which backend, over what, as whom
    dialer.py     the dialer process
    asking.py     starting it, and hearing whether the mail is elsewhere
"""
