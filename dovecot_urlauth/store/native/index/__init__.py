"""Dovecot's index files, common to all formats: which messages exist.

main_index.py       dovecot.index: header, records, extensions
transaction_log.py  the records of dovecot.index.log
changes.py          what they do to the messages
keywords.py         names of keywords
index_view.py       the main file with the log played on top
"""
