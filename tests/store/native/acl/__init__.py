"""Access rights without a Dovecot."""
