"""Stage 3, imap-urlauth-worker: reads the target user's mail, as that user and nobody else.

The process that Dovecot starts stays root, accepts and forks; it never reads a byte from a client.  A child
asks the userdb whose mail is wanted while it is root; then either another child is that user already and gets
the client, or it gives root up for good and becomes that user.  Only then does anybody look at a URL.

    main.py        start-up: settings read once, everything imported before the first fork
    stage.py       accepting: who may connect
    children.py    the parent's view: which child is spare, which is whom
    link.py        the line between parent and child
    child.py       a child's life: spare, reception, household
    reception.py   the child while it is root: the control handshake and USER
    handshake.py   the control connection's opening
    userdb.py      asking auth about users
    target.py      from a name to a store, root given up in between
    household.py   the process of one target user, with all of its clients
    guest.py       one client and what belongs to it;  channel.py: its connection
    session.py     the client's commands
    answer.py      URL: from the command to the reply
    waiting.py     waiting for all of them at once
    preload.py     what a parent loads for its children;  rehearsal.py: a request gone through on nothing
    standalone.py  the fetch protocol on stdin and stdout, without master
"""
