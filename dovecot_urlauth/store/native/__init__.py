"""The native store: mail read by ourselves, as it lies on disk.

    finding.py      where a mailbox is, from its name in a URL
    list_index.py   directories by name, where only an index knows them
    namespace.py    which namespace has a mailbox
    owners.py       namespaces of owners whose mail is shared
    names.py        a mailbox's name in the store, and names that are refused
    layout.py       the directories of a mailbox and of a storage
    files.py        opening what lies there without trusting it; file_source.py reads it
    mailbox.py      one mailbox: its key and its messages
    driver.py       what a format has to know: guid() and locate(uid)
    index/          which messages exist, their flags and keywords, what a format notes beside them
    maildir/        UID -> file name -> open file
    dbox/           sdbox: UID -> file; mdbox: UID -> number -> place in a file
    mbox/           UID -> place in the mailbox's one file
    decode/         stored bytes -> the message's bytes
    attributes/     mailbox attributes, the key among them

A read changes nothing: no file is opened for writing, no index is synchronized, and no lock is taken but on an
mbox file, and nobody is waited for while it is held.
"""
