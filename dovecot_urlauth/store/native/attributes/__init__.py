"""Where a mailbox's attributes are, the key of its URLs among them.

``attributes.py``: what they are to whoever reads them; they are in a file, in a file each, or behind Dovecot's
dict service: ``file_dict.py``, ``fs_dict.py``, ``proxy_dict.py``.
"""
