"""How many children there are, how long each waits and for what: the numbers, and their reasons."""

from __future__ import annotations

SPARES = 1
"""Children that wait for a connection when there is nothing to do."""
SPARE_DELAY = 0.02
"""Seconds before a used-up spare child is replaced: the client that it serves goes first."""
CRASH_DELAY = 1.0
"""Seconds before the next fork when a spare ended, or could not be given its client: so may the next one."""
SELECTING_TIME = 0.1
"""Seconds that a child takes at most, usually, to find out who is asked for."""
FORK_DELAY = 0.005
"""Seconds that a connection waits for a child that is likely to be spare again before one is forked for it."""
LINGER = 1.0
"""Seconds that a target user's process waits for the next client after its last."""
FAREWELL = 30.0
"""Seconds that a process may take to end whose clients rest."""
REST_LIMIT = 600.0
"""Seconds until a client that rests is let go, as is one that a process has (CLIENT_IDLE_TIMEOUT)."""
MOST_CLIENTS = 20
"""Clients in one process: what one user's decoded parts may take of 256 MiB, and what one crash may cost."""
PATIENCE = 0.25
"""Seconds after which a process that has not accepted a client is busy with something long: it gets no other, and
those that it has not come to are given to another."""
RETRY_PAUSE = 0.1
"""Seconds until a child's word is received again when the kernel had no memory for it."""
