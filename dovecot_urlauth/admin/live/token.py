"""The token by which auth knows a session, made from auth's own secret (auth/auth-token.c).

The secret is 32 bytes in ``base_dir``, readable by root alone: whoever can make tokens is root already.
"""

from __future__ import annotations

import hmac
import os

from dovecot_urlauth.admin.live.failure import LiveFailure

SECRET_NAME = "auth-token-secret.dat"  # noqa: S105  # a file's name
SECRET_SIZE = 32


def read_secret(base_dir: str) -> bytes:
    """auth's secret. Raises LiveFailure where it cannot be had: Dovecot has not run, or we are not root."""
    path = os.path.join(base_dir, SECRET_NAME)
    try:
        with open(path, "rb") as file:
            secret = file.read(SECRET_SIZE + 1)
    except FileNotFoundError:
        raise LiveFailure(
            "auth", f"{path} is not there", "is Dovecot running, and has anybody logged in?"
        ) from None
    except OSError as error:
        raise LiveFailure("auth", f"{path}: {error.strerror}", "run this as root") from error
    if len(secret) != SECRET_SIZE:
        raise LiveFailure("auth", f"{path} is {len(secret)} bytes long, not {SECRET_SIZE}")
    return secret


def session_token(secret: bytes, user: str, pid: int, session: str, service: str) -> str:
    """The token of one session, in lower-case hex."""
    message = b"%d" % pid + session.encode() + service.encode() + secret
    return hmac.new(os.fsencode(user), message, "sha1").hexdigest()
