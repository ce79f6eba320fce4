"""mbox: one file for all messages of a mailbox.

opened_mbox.py  a mailbox's directories, and one message's place in the file
read_lock.py    the locks that mbox_read_locks names, for a moment and never waited for
separator.py    the From_ lines between messages
header.py       which fields of a header are Dovecot's own
mbox_mail.py    one message, from memory or from the file

The index is the truth: it says where each message begins, and that the file has not changed since.  When the file
says something else, or the index is not sure, Dovecot's own imap has to look through the file, and does.
"""
