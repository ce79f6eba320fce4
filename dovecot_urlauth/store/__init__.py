"""From a target user's settings to the bytes of a message.

store.py        what the worker asks of a store
fallback.py     native where it can be, the dovecot engine where it must, and why
native/         mail read by ourselves
engine/         mail read by Dovecot's own imap
errors.py       the ways in which a store can fail
"""
