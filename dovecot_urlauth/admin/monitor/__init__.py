"""``dovecot-urlauth monitor``: what the services' processes and their titles say, on a terminal and as metrics."""
