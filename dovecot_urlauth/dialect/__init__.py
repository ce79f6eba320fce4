"""The one place that knows how Dovecot's versions differ.

A :class:`~dovecot_urlauth.dialect.dialect.Dialect` is a value: numbers, line parameters, texts and a few small
functions.  It is chosen once per process from the environment that Dovecot's master gives, and the stages
never ask for a version.

    dialect.py    what can differ
    versions.py   the dialects that exist, from 2.3.13 to the newest
    choose.py     environment -> dialect, with a warning for a version never seen
"""
