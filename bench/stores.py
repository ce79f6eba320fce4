"""Users whose mail is not Maildir: one for each format, named after it."""

from __future__ import annotations

STORES = {"sdbox": 5011, "mdbox": 5012, "mbox": 5013}
"""user and format -> uid; nobody on the machine has these numbers"""


def fields(store: str, language: str) -> str:
    """What the userdb says of such a user's mail."""
    if language == "2.3":
        return f"userdb_mail={store}:~/{store}"
    return f"userdb_mail_driver={store} userdb_mail_path=~/{store}"
