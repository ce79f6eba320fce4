"""Users whose mail is not plain Maildir: one for each way to store it, named after it."""

from __future__ import annotations

STORES = {"sdbox": 5011, "mdbox": 5012, "mbox": 5013, "gz": 5014, "zstd": 5015, "mail_crypt": 5016}
"""user and format -> uid; nobody on the machine has these numbers"""

PLUGINS = {
    "2.3": {
        "gz": "mail_plugins=zlib zlib_save=gz",
        "zstd": "mail_plugins=zlib zlib_save=zstd",
        "mail_crypt": "mail_plugins=mail_crypt mail_crypt_curve=prime256v1 mail_crypt_save_version=2",
    },
    "2.4": {
        "gz": "mail_plugins/mail_compress=yes mail_compress_write_method=gz",
        "zstd": "mail_plugins/mail_compress=yes mail_compress_write_method=zstd",
        "mail_crypt": "mail_plugins/mail_crypt=yes crypt_user_key_curve=prime256v1",
    },
}

LOADED = {
    "2.3": "mail_plugins = zlib mail_crypt\nplugin {\n  zlib_save = zstd\n  mail_crypt_save_version = 0\n}\n",
    "2.4": "mail_plugins {\n  mail_compress = yes\n  mail_crypt = yes\n}\nmail_compress_write_method = zstd\n",
}
"""The plugins as an administrator loads them, for everybody."""


def fields(store: str, language: str) -> str:
    """What the userdb says of such a user's mail."""
    if store in PLUGINS[language]:
        return " ".join(f"userdb_{field}" for field in PLUGINS[language][store].split())
    if language == "2.3":
        return f"userdb_mail={store}:~/{store}"
    return f"userdb_mail_driver={store} userdb_mail_path=~/{store}"
