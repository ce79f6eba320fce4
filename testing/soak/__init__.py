"""Clients for a long time, while processes are killed and Dovecot reloads: no wrong byte, flat curves."""
