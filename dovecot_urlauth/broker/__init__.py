"""Stage 2, imap-urlauth: asks auth who a client is, then finds workers for it, one after the other.

It sees only what auth says: no URL, no mail.  It connects to auth-master as root and then becomes
default_internal_user.

    main.py        the first steps: preconnecting to a worker
    start.py       start-up: settings, auth-master, giving root up
    stage.py       all the sessions of the process
    login.py       receiving a client from imap-urlauth-login
    auth.py        the connection to auth-master
    session.py     one client: lookup, checks, workers until it is gone
    identity.py    what auth says about a user, checked
    postlogin.py   an administrator's post-login script
    control.py     the control connection to one worker
    standalone.py  one client on stdin and stdout, without master
"""
