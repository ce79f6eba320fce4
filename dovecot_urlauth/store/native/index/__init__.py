"""Dovecot's index files, common to all formats: which messages exist.

main_index.py       dovecot.index: header, records, extensions
transaction_log.py  the records of dovecot.index.log
changes.py          what they do to the messages
extensions.py       what mail formats keep in an index beside that
packed.py           items that are packed behind each other
keywords.py         names of keywords
index_view.py       the main file with the log played on top
"""
