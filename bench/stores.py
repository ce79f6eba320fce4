"""Users whose mail is stored in some way: for each way one with a full mailbox, and fifty with one mail each."""

from __future__ import annotations

STORES = {
    "sdbox": 5011,
    "mdbox": 5012,
    "mbox": 5013,
    "gz": 5014,
    "zstd": 5015,
    "mail_crypt": 5016,
    "acl": 5017,
    "proxy": 5018,
}
"""Other ways than plain Maildir, each the name of the one user, and his uid; nobody on the machine has these."""

ONLY_2_3 = frozenset({"proxy"})
"""2.4's userdb cannot exchange one dictionary for another."""

MAILDIR = "maildir"
OTHERS = {
    store: {f"{store}-{number}": 5100 + 50 * place + number for number in range(50)}
    for place, store in enumerate((MAILDIR, *STORES))
}
"""The fifty of each way."""

STORE_OF = {
    **{store: store for store in STORES},
    **{user: store for store, users in OTHERS.items() for user in users},
}
"""user -> way"""

UIDS = {**STORES, **{user: uid for users in OTHERS.values() for user, uid in users.items()}}

PLUGINS = {
    "2.3": {
        "gz": "mail_plugins=zlib zlib_save=gz",
        "zstd": "mail_plugins=zlib zlib_save=zstd",
        "mail_crypt": "mail_plugins=mail_crypt mail_crypt_curve=prime256v1 mail_crypt_save_version=2",
        "acl": "mail_plugins=acl acl=vfile",
    },
    "2.4": {
        "gz": "mail_plugins/mail_compress=yes mail_compress_write_method=gz",
        "zstd": "mail_plugins/mail_compress=yes mail_compress_write_method=zstd",
        "mail_crypt": "mail_plugins/mail_crypt=yes crypt_user_key_curve=prime256v1",
        "acl": "mail_plugins/acl=yes acl_driver=vfile",
    },
}

LOADED = {
    "2.3": "mail_plugins = zlib mail_crypt acl\nplugin {\n  zlib_save = zstd\n  mail_crypt_save_version = 0\n}\n",
    "2.4": "mail_plugins {\n  mail_compress = yes\n  mail_crypt = yes\n  acl = yes\n}\n"
    "mail_compress_write_method = zstd\n",
}
"""The plugins as an administrator loads them, for everybody."""

DICT_SERVICE = {
    "2.3": "dict {{\n  attributes = file:{folder}/attributes\n}}\n"
    "service dict {{\n  unix_listener dict {{\n    mode = 0666\n  }}\n}}\n",
    "2.4": "",
}
"""Where the attributes are of users whose dictionary is ``proxy:``, in a folder that all sides share."""


def fields(user: str, language: str) -> str:
    """What the userdb says of a user's mail."""
    store = STORE_OF[user]
    if store in PLUGINS[language]:
        return " ".join(f"userdb_{field}" for field in PLUGINS[language][store].split())
    if store == "proxy":
        return "userdb_mail_attribute_dict=proxy::attributes" if language == "2.3" else ""
    if language == "2.3":
        return f"userdb_mail={store}:~/{store}"
    return f"userdb_mail_driver={store} userdb_mail_path=~/{store}"
