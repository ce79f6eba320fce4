"""Stage 3, imap-urlauth-worker: reads the target user's mail, as that user and nobody else.

The process that Dovecot starts stays root, accepts and forks; it never reads a byte from a client.  The
child serves one control connection: it asks the userdb while root, gives root up for good, and only then
looks at a URL.

    main.py        start-up: settings read once, everything imported before the first fork
    stage.py       accepting, who may connect, one child for each connection
    spare.py       a child that was forked before its connection came
    child.py       one connection from beginning to end
    handshake.py   the control connection's opening
    channel.py     waiting for the client, the control connection and master at once
    userdb.py      asking auth about users
    account.py     what the userdb and the settings make of a user
    target.py      USER: from a name to a store, root given up in between
    session.py     the client's commands
    answer.py      URL: from the command to the reply
    standalone.py  the fetch protocol on stdin and stdout, without master
"""
