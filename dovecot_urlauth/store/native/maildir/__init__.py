"""Maildir: one file for each message.

opened_maildir.py   a mailbox's directories and files, held open between URLs
uidlist.py          UID -> file name
mail_files.py       file name -> open file
"""
