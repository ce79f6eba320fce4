"""An administrator's post-login script: it sees the user's fields, may change them, and may say no.

Protocol ``script-login``: the client's fd goes with a VERSION line and one line of tab-escaped values; the
answer is the fields line, perhaps with another fd for the client (lib-master/master-login.c).
"""

from __future__ import annotations

import os

from dovecot_urlauth.service.connection import Connection, ConnectionLost, connect
from dovecot_urlauth.service.descriptor import close_all
from dovecot_urlauth.service.loop import TimedOut
from dovecot_urlauth.wire.authmaster import UserReply
from dovecot_urlauth.wire.tabescape import fields, join

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.service.descriptor import Descriptor
    from dovecot_urlauth.service.loop import Loop

VERSION = b"VERSION\tscript-login\t1\t0\n"
CONNECT_PATIENCE = 1.0
TIMEOUT = 60.0
READ_SIZE = 1024
LONGEST_ANSWER = 65536


class PostLoginRefused(Exception):
    """The user may not go on; the text is the error line."""


class PostLogin:
    """Runs the script that listens at ``path`` for one client."""

    def __init__(self, loop: Loop, path: bytes) -> None:
        self._loop = loop
        self._path = path
        self._where = os.fsdecode(path)

    async def run(self, reply: UserReply, client: Connection) -> tuple[UserReply, Connection | None]:
        """Return the user's fields as the script leaves them, and what is to take the client's place, if anything.

        Raises PostLoginRefused.
        """
        deadline = self._loop.now() + TIMEOUT
        descriptors: list[Descriptor] = []
        try:
            connection = await connect(self._loop, self._path, patience=CONNECT_PATIENCE)
        except OSError as error:
            raise PostLoginRefused(f"net_connect_unix({self._where}) failed: {error.strerror}") from error
        try:
            await self._ask(connection, reply, client, deadline)
            answer = self._parse(reply, await self._read_all(connection, descriptors, deadline))
            return answer, Connection(self._loop, descriptors.pop()) if descriptors else None
        except TimedOut:
            raise PostLoginRefused("Timeout waiting for post-login script to finish, aborting") from None
        except OSError as error:
            raise PostLoginRefused(f"fd_read({self._where}) failed: {error.strerror}") from error
        finally:
            close_all(descriptors)
            connection.close()

    async def _ask(self, connection: Connection, reply: UserReply, client: Connection, deadline: float) -> None:
        values = [name + b"=" + value if value else name for name, value in reply.fields.items()]
        question = VERSION + b"\t\t" + join(reply.name, *values) + b"\n"
        try:
            left = max(0.0, deadline - self._loop.now())
            await connection.send_descriptors(question, [client.fileno()], left)
        except ConnectionLost as lost:
            raise PostLoginRefused(f"net_connect_unix({self._where}) failed: {lost.text}") from lost

    async def _read_all(self, connection: Connection, descriptors: list[Descriptor], deadline: float) -> bytes:
        """All that the script says until it ends; its last descriptor is left in ``descriptors``."""
        said = b""
        while True:
            try:
                left = max(0.0, deadline - self._loop.now())
                data, more = await connection.read_message(READ_SIZE, left)
            except ConnectionLost as lost:
                raise PostLoginRefused(f"fd_read({self._where}) failed: {lost.text}") from lost
            descriptors += more
            close_all(descriptors[:-1])
            del descriptors[:-1]
            said += data
            if not data:
                return said
            if len(said) > LONGEST_ANSWER:
                raise PostLoginRefused(f"fd_read({self._where}) failed: answer too long")

    def _parse(self, reply: UserReply, said: bytes) -> UserReply:
        if not said:
            raise PostLoginRefused(f"Post-login script denied access to user {os.fsdecode(reply.name)}")
        if not said.endswith(b"\n"):
            raise PostLoginRefused(f"fd_read({self._where}) failed: disconnected")
        name, *values = fields(said[:-1])
        pairs = (value.partition(b"=") for value in values if value)
        return UserReply(reply.id, name, {key: value for key, _, value in pairs})
