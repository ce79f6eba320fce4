import socket
import threading

import pytest

from bench.client import TAIL_SIZE, FetchClient, FetchFailed
from testing.imapclient import ConnectionLost


def served(answer: bytes, piece: int = 1 << 16) -> tuple[FetchClient, threading.Thread, socket.socket]:
    """A client whose first command gets `answer`, in pieces of this size."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(b"* OK ready\r\n")
            connection.recv(100)
            for start in range(0, len(answer), piece):
                connection.sendall(answer[start : start + piece])

    server = threading.Thread(target=serve)
    server.start()
    client = FetchClient(listener.getsockname()[1], 5)
    return client, server, listener


def fetch(answer: bytes, at_least: int, piece: int = 1 << 16) -> float:
    client, server, listener = served(answer, piece)
    try:
        return client.timed(b"URLFETCH x", at_least)
    finally:
        client.close()
        server.join()
        listener.close()


CONTENT = b"* URLFETCH x {4000}\r\n" + b"x" * 4000 + b"\r\nt1 OK done\r\n"


@pytest.mark.parametrize("piece", [1, 7, 1 << 16])
def test_the_end_is_found_however_the_answer_is_cut(piece: int) -> None:
    assert fetch(CONTENT, 4000, piece) > 0


def test_a_nil_is_no_content() -> None:
    with pytest.raises(FetchFailed, match="at least 4000"):
        fetch(b"* URLFETCH x NIL\r\nt1 OK done\r\n", 4000)


def test_a_refusal_is_no_content() -> None:
    with pytest.raises(FetchFailed):
        fetch(CONTENT.replace(b"t1 OK", b"t1 NO"), 4000)


def test_a_lost_connection_is_said() -> None:
    with pytest.raises(ConnectionLost):
        fetch(CONTENT[:-TAIL_SIZE], 4000)
