"""``dovecot-urlauth enable`` and ``disable``: one file in conf.d, written and removed without breaking Dovecot."""
