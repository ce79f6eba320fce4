"""The dovecot engine: Dovecot's own ``imap``, driven over pipes.

engine.py           the store, a session of the target user
mailbox.py          its mailboxes, in IMAP commands
asked.py            what is asked for, as a command
own_url.py          the names and URLs in which the engine is asked
partial.py          ranges that Dovecot cuts wrongly
dialogue.py         commands and their events
pool.py             sessions at another backend, shared by a process's clients
remote.py           one of them
imap_process.py     the process and its pipes
program.py          a copy of the program that nobody can look into
engine_start.py     everything that only root can find out
"""
