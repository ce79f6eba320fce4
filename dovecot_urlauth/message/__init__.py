"""Messages: the MIME tree with byte offsets, sections, decoding, and what IMAP says of a part's structure.

Everything here is pure: a message is read through a ``Source`` (``source.py``), nothing is opened, logged or
timed.  ``fetch.py`` is the way in.  What it gives is Dovecot's answer to the byte, because a client may hold both
in one hand; ``rules.py`` says where Dovecot's versions differ.

    request     what is asked;  content: the answer
    fetch       the way in, and the short way for whole messages
    msgpart     from a section to a range of bytes, to decoded bytes, to a structure
    section     the grammar of a section;  fieldlist: of its field names
    body        partial ranges, NULs;  lineends: CRLF, fast
    window      one pass over a message, with its lines counted
    header      a header block, field by field;  fields: some of them as HEADER.FIELDS gives them
    tree        the MIME tree;  part: its nodes
    tokens      RFC 5322's tokens;  parameters, rfc2231, charset: MIME's parameters
    transfer    quoted-printable and base64;  binary: decoded messages;  decodedsizes: of all their parts
    structure   BODYSTRUCTURE;  contentfields, envelope, address, idna, quote: what it is made of
"""
