"""Stage 3, imap-urlauth-worker: reads the target user's mail, as that user and nobody else.

The process that Dovecot starts stays root, accepts and forks; it never reads a byte from a client.  A child
asks the userdb whose mail is wanted while it is root; then either another child is that user already and gets
the client, or it gives root up for good and becomes that user.  Only then does anybody look at a URL.

    main.py        start-up: settings read once, everything imported before the first fork
    stage.py       accepting: who may connect
    children.py    the parent's view: which child is spare, which is whom
    link.py        the line between parent and child
    child.py       a child's life: spare, selecting, serving;  parentlink.py: its end of the line
    selecting.py   the child while it is root: the control handshake and USER
    userdb.py      asking auth about users
    owners.py      where owners of shared mail live
    target.py      from a name to a store, root given up in between
    serving.py     the process of one target user, with all of its clients
    client.py      one client and what belongs to it;  pipes.py: its connection when that is no socket
    session.py     the story of one client: URLs, END
    urlfetch.py    URL: from the command to the reply
    preload.py     what a parent loads for its children;  warmup.py: a request gone through on nothing
    standalone.py  the fetch protocol on stdin and stdout, without master
"""
