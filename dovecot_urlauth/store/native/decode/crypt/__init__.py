"""Mail that the mail_crypt plugin encrypted.

    header.py       what stands in front of the ciphertext: which keys open it, and how
    private_key.py  private keys in every form that Dovecot keeps them in
    keyring.py      where the private key with some digest is
    decrypted.py    from header and key to the plaintext, which nobody sees before it is authenticated

Formats of lib-dcrypt/ostream-encrypt.c and dcrypt-openssl.c.  What is not understood here, a key that is not to be
had included, is Unsupported: Dovecot's own imap then has the last word.
"""
