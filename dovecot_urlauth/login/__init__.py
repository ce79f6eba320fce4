"""Stage 1, imap-urlauth-login: lets a client in when auth vouches for its token, then hands it on.

It parses what anybody may send and has no rights: dovenull, chroot ``token-login``.

    main.py       the first steps: preconnecting to imap-urlauth
    start.py      start-up: settings, chroot, auth connection
    stage.py      all the clients of the process
    session.py    one client: VERSION, AUTH, peer pid, token, hand-off
    auth.py       the connection to auth
    handoff.py    giving the client to imap-urlauth
    ending.py     how a connection ended, in the log's words
    logformat.py  login_log_format
    logvariables.py  its variables
"""
