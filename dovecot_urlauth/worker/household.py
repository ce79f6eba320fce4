"""The process of one target user, root given up: every client that asks for this user's mail.

Each client has a session of its own; what they share is the user's open mailboxes, which none of them can change.
"""

from __future__ import annotations

import os

from dovecot_urlauth.service.run import describe
from dovecot_urlauth.wire.control import DISCONNECTED, FINISHED
from dovecot_urlauth.wire.fetch import OK_LINE
from dovecot_urlauth.worker.channel import ClientLost
from dovecot_urlauth.worker.guest import Guest
from dovecot_urlauth.worker.handshake import ControlConnection
from dovecot_urlauth.worker.link import ADMITTED, ALONE, LEFT
from dovecot_urlauth.worker.reception import client_prefix
from dovecot_urlauth.worker.session import ClientSession, shown_user
from dovecot_urlauth.worker.target import become
from dovecot_urlauth.worker.waiting import ConnectionOver

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from dovecot_urlauth.service.log import Log
    from dovecot_urlauth.worker.link import ParentLink
    from dovecot_urlauth.worker.target import Resident, Target, WorkerConfig
    from dovecot_urlauth.worker.userdb import UserdbConnection
    from dovecot_urlauth.worker.waiting import Conversation, Talk, Watch


class Household:
    """Serves clients until the last is gone and the parent sends no more."""

    def __init__(
        self,
        config: WorkerConfig,
        userdb: UserdbConnection,
        log: Log,
        show_title: Callable[[str], None],
        watch: Watch,
        link: ParentLink | None,
    ) -> None:
        """Without a ``link`` there is one client in the process's life."""
        self._config = config
        self._userdb = userdb
        self._log = log
        self._show_title = show_title
        self._watch = watch
        self._link = link
        self._guests: list[Guest] = []
        self._target: Target

    def serve(self, resident: Resident, first: Guest) -> None:
        """Become the target user and serve ``first``, and whom the parent sends. Raises PrivilegesKept."""
        name = os.fsdecode(resident.name)
        log = self._log.with_prefix(f"imap-urlauth-worker({name}): ")
        self._target = become(resident, self._config, log, self._stay_alone)
        if not self._config.dialect.load_url_rules().asks_userdb:
            self._userdb.disconnect()  # it was made by root, and answers more than this user may know
        if self._target.store is None:
            self._stay_alone()  # what failed for this client may go well for the next
        if self._link is not None:
            self._watch.add(self._link.fileno(), self._receive_guest)
        self._admit(first)
        self._watch.run(lambda: self._link is not None)

    def _stay_alone(self) -> None:
        if self._link is not None:
            self._link.say(ALONE)

    def _receive_guest(self) -> None:
        if self._link is None:
            return
        try:
            client = self._link.receive_client()
        except BlockingIOError:
            return
        if client is None:
            self._watch.remove(self._link.fileno())
            self._link = None
            return
        self._link.say(ADMITTED)
        connection, descriptors, access = client
        control = ControlConnection(connection, self._config.dialect.control_order, "")
        self._admit(Guest(control, descriptors, access))

    def _admit(self, guest: Guest) -> None:
        self._guests.append(guest)
        self._show_guests()
        talk = self._watch.begin(self._attend(guest))
        if guest in self._guests:
            self._watch.add(guest.control.fileno(), self._quiet_check(guest, talk))

    def _quiet_check(self, guest: Guest, talk: Talk) -> Callable[[], None]:
        """The control connection's alarm: it ends this client's session only."""

        def check() -> None:
            try:
                guest.control.check_quiet()
            except ConnectionOver as over:
                self._watch.interrupt(talk, over)

        return check

    def _attend(self, guest: Guest) -> Conversation[None]:
        """One client from its OK to its end."""
        log = self._log.with_prefix(client_prefix(guest.access, self._target.name))
        try:
            target = self._target.for_session()
            if target.store is not None:
                who, name = shown_user(guest.access), os.fsdecode(target.name)
                log.debug(f"Found user account `{name}' on behalf of user `{who}'")
            yield from guest.channel.write(OK_LINE)
            session = ClientSession(guest.channel, guest.access, target, self._config.dialect, self._userdb, log)
            yield from session.run()
            guest.control.say(FINISHED)
        except ClientLost:
            guest.control.say(DISCONNECTED)
        except ConnectionOver as over:
            if over.text:
                log.error(over.text)
        except Exception as error:
            log.error(f"Session aborted: Unexpected {describe(error)}")
        finally:
            self._see_off(guest)

    def _see_off(self, guest: Guest) -> None:
        self._guests.remove(guest)
        self._watch.remove(guest.control.fileno())
        guest.close()
        self._show_guests()
        if self._link is not None:
            self._link.say(LEFT)

    def _show_guests(self) -> None:
        whose = f"->{os.fsdecode(self._target.name)}"
        if len(self._guests) == 1:
            self._show_title(f"[{shown_user(self._guests[0].access)}{whose}]")
        else:
            count = len(self._guests)
            self._show_title(f"[{count} connections{whose}]" if count else f"[idling{whose}]")
