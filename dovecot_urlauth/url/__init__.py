"""IMAP URLs and the right to use them: grammar, access rules, token (RFC 5092, RFC 4467).

Pure: bytes and a time go in, a value or one documented error comes out.
"""
