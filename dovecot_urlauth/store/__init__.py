"""From a target user's settings to the bytes of a message.

    choose.py       the native store or Dovecot's own imap, and why
    namespace.py    which namespace has a mailbox
    names.py        a mailbox's name in the store, and names that are refused
    layout.py       a mailbox's three directories
    files.py        opening what lies there without trusting its owner; source.py reads it
    native.py       one mailbox: its key and its messages
    indexview.py    which messages exist: index.py the main file, indexlog.py the log's records,
                    indexchanges.py what they do, keywords.py names of keywords
    uidlist.py      UID -> file name             maildir.py       file name -> open file
    filedict.py     mailbox attributes in a file
    engine*.py      Dovecot's own imap, driven over pipes
    store.py, errors.py   what all of this looks like to the worker

A read changes nothing: no file is opened for writing, no lock is taken, no index is synchronized.
"""
