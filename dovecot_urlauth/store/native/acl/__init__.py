"""Who may read a mailbox, where the acl plugin decides that: by ``vfile`` files and 2.4's settings.

``entries.py``: the lines; ``rights.py``: what they come to; ``acl_files.py``: where they are; ``governed.py``:
which of them count for a mailbox.
"""
