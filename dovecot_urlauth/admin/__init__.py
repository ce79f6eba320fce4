"""The ``dovecot-urlauth`` command: what a mail administrator wants to know before and after swapping."""

VERSION = "0.2.0.dev0"
