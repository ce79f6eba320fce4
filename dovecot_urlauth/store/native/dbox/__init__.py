"""sdbox and mdbox: mail in files of Dovecot's own format, found by the index.

dbox_file.py        the files: where in one a message is, and what is noted about it
attachments.py      parts of messages that are in files of their own
opened_dbox.py      what the mailboxes of both have in common
opened_sdbox.py     one file for each message of a mailbox
opened_mdbox.py     files with the messages of all mailboxes
mail_map.py         mdbox's index of those files
"""
