"""Where a mailbox's attributes are, the key of its URLs among them.  ``file_dict.py``: in a file."""
