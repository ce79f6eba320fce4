"""Clients for long, while processes are killed, Dovecot reloads, its disk is full: no wrong byte, flat curves."""
