"""The Redis server that tests get is a real one."""

import socket


def test_redis_server_answers(redis_url: str) -> None:
    """PING is answered, on whatever machine: there is one on PATH or one among the locked packages."""
    with socket.socket(socket.AF_UNIX) as server:
        server.settimeout(5)
        server.connect(redis_url.removeprefix("unix://"))
        server.sendall(b"PING\r\n")
        assert server.recv(64) == b"+PONG\r\n"
