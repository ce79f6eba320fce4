"""Where a mailbox's attributes are, the key of its URLs among them.

``attributes.py``: what they are to whoever reads them; ``file_dict.py``: in a file.
"""
