"""What the command asks of the running Dovecot, as root and without anybody's password.

Mail is stored and URLs are signed by Dovecot's own ``imap``, started for the owner; URLs are fetched as ``imap``
fetches them, over the ``imap-urlauth`` socket, with a token made from auth's secret.
"""
