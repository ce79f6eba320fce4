"""Bytes in, values out: every protocol that Dovecot's processes speak with ours.

A protocol is a class without sockets, clock or files.  It is fed what was read, in whatever pieces; it yields
frozen records; and what the peer must not do raises one error, :class:`~.lines.ProtocolError`, carrying the
log lines in Dovecot's words.  What differs between Dovecot's versions is a parameter, given by the caller from
its dialect.  The I/O around a protocol stays a few lines, and the protocol can be fuzzed, fed byte by byte,
and replayed from recordings.

Letters of the alphabet: ``tabescape``, ``lines``, ``number``, ``version``.  In the order of a request's way
through the house: ``login``, ``authclient``, ``handoff``, ``authmaster``, ``control``, ``fetch`` (and its
client's end, ``fetchreply``).  Towards the master: ``status``, ``logrecord``.  ``value`` is what all records
and states are made of.
"""
