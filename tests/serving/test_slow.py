"""Clients that are slow on purpose, speak another language, or come in crowds."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from contextlib import suppress

import pytest

from tests.serving.conftest import Running
from tests.waiting import PATIENCE_S, until
from xreid.serving.config import Limits

QUICK = Limits(header_seconds=0.5, idle_seconds=0.5, upload_mib=64, connections=8)
# what is sent at once is read, however long that takes on this machine
STEADY = Limits(header_seconds=PATIENCE_S, idle_seconds=0.5, upload_mib=64, connections=8)


def connect(running: Running) -> socket.socket:
    return socket.create_connection(("127.0.0.1", running.port), timeout=PATIENCE_S)


def rest(client: socket.socket) -> bytes:
    """What comes until the server hangs up."""
    data = b""
    try:
        while more := client.recv(65536):
            data += more
    except ConnectionResetError:
        pass
    return data


def test_heads_that_never_end(run_server: Callable[..., Running]) -> None:
    running = run_server(limits=QUICK)
    silent, dripping = connect(running), connect(running)
    dripping.sendall(b"GET /healthz HTTP/1.1\r\n")
    assert rest(silent) == b""
    assert rest(dripping) == b"", "the server has hung up"


def test_bodies_that_never_end(run_server: Callable[..., Running]) -> None:
    running = run_server(limits=STEADY)
    client = connect(running)
    client.sendall(b"POST /api/v1/uploads HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n\r\nabc")
    answer = rest(client)
    assert b" 408 " in answer.splitlines()[0]
    assert b"too slowly" in answer
    assert not list(running.site.uploads.kept.folder.iterdir())


def test_an_upload_that_is_broken_off(
    run_server: Callable[..., Running], caplog: pytest.LogCaptureFixture
) -> None:
    running = run_server(limits=Limits(header_seconds=PATIENCE_S, idle_seconds=PATIENCE_S, upload_mib=64))
    kept = running.site.uploads.kept.folder
    client = connect(running)
    client.sendall(b"POST /api/v1/uploads HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n\r\nabc")
    until(lambda: list(kept.iterdir()))  # it has begun to write
    client.close()
    until(lambda: not list(kept.iterdir()) and b'"/api/v1/uploads",status="' in running.site.metrics.text())
    own = [one for one in caplog.records if one.name == "xreid.serving"]
    said = [(one.levelname, one.getMessage(), one.exc_info) for one in own]
    gone = "POST /api/v1/uploads: the client went away before all was sent"
    assert said == [("WARNING", gone, None)], "one line, no traceback"


def test_bodies_that_drip(run_server: Callable[..., Running]) -> None:
    running = run_server(limits=STEADY)
    client = connect(running)
    client.sendall(
        b"POST /api/v1/search HTTP/1.1\r\nhost: localhost\r\n"
        b"content-type: application/json\r\ncontent-length: 1000\r\n\r\n"
    )
    begun = time.monotonic()
    try:
        while time.monotonic() < begun + PATIENCE_S:
            client.sendall(b"[")
            time.sleep(0.1)  # never silent for long, and far too slow
            client.settimeout(0.01)
            try:
                if client.recv(10):
                    break
            except TimeoutError:
                client.settimeout(PATIENCE_S)
    except (BrokenPipeError, ConnectionResetError):
        pass
    assert time.monotonic() < begun + PATIENCE_S, "it was let drip"


def test_answers_that_are_never_read(run_server: Callable[..., Running]) -> None:
    running = run_server(limits=STEADY)
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    client.connect(("127.0.0.1", running.port))
    asked = b"GET /api/v1/openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n"
    sent = 0
    begun = time.monotonic()
    client.settimeout(PATIENCE_S)
    try:
        while time.monotonic() < begun + PATIENCE_S:
            client.sendall(asked)  # asks, and never reads what it asked for
            sent += 1
            time.sleep(0.01)
    except (BrokenPipeError, ConnectionResetError):
        return
    raise AssertionError(f"the server has waited for a client that does not read, {sent} requests long")


def test_what_is_no_http(run_server: Callable[..., Running]) -> None:
    running = run_server(limits=QUICK)
    other = b"GET / HTTP/9.9\r\nconnection: close\r\n\r\n"
    for sent in (b"\x16\x03\x01\x02\x00\x01", other, b"\r\n" * 50 + b"hello\r\n\r\n"):
        client = connect(running)
        client.sendall(sent)
        answer = rest(client)
        assert answer == b"" or answer.splitlines()[0].startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 421 "))
    client = connect(running)
    head = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nx: " + b"y" * 4_000_000
    with suppress(BrokenPipeError, ConnectionResetError):
        client.sendall(head + b"\r\n\r\n")
    assert b" 200 " not in rest(client)


def test_two_hosts_or_two_lengths_are_refused(run_server: Callable[..., Running]) -> None:
    running = run_server(limits=STEADY)
    for lines in (
        b"host: localhost\r\nhost: evil.example\r\n",
        b"host: localhost\r\ncontent-length: 1\r\ncontent-length: 2\r\n",
        b"",
    ):
        client = connect(running)
        client.sendall(b"GET /healthz HTTP/1.1\r\n" + lines + b"connection: close\r\n\r\n")
        assert b" 200 " not in rest(client).partition(b"\r\n")[0]


def test_crowds_are_told_to_come_back(run_server: Callable[..., Running]) -> None:
    running = run_server(limits=Limits(connections=3, header_seconds=PATIENCE_S))
    crowd = [connect(running) for _ in range(6)]
    assert b" 503 " in health(running)
    for client in crowd:
        client.close()
    until(lambda: b" 200 " in health(running))  # the server has noticed


def health(running: Running) -> bytes:
    """The first line that a new client is told."""
    client = connect(running)
    with suppress(BrokenPipeError, ConnectionResetError):
        client.sendall(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
    return rest(client).partition(b"\r\n")[0]
