"""The proxy of the stories breaks what it is told to, and nothing else."""

import contextlib
import socket
import threading

import pytest

from tests.flows.proxy import TcpProxy


@pytest.fixture
def echo():
    """A server that sends back what it gets; yields its port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(peer):
        with peer, contextlib.suppress(OSError):
            while chunk := peer.recv(4096):
                peer.sendall(chunk)

    def accept():
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=serve, args=listener.accept()[:1], daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


@pytest.fixture
def proxy(echo):
    with TcpProxy(echo) as proxy:
        yield proxy


def connect(proxy):
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=5)


def says(client, text=b"hello"):
    client.sendall(text)
    return client.recv(4096)


def hears_nothing(client, seconds=0.2):
    client.settimeout(seconds)
    with pytest.raises(TimeoutError):
        client.recv(4096)
    client.settimeout(5)
    return True


def test_it_forwards(proxy):
    with connect(proxy) as client:
        assert says(client) == b"hello"
        assert proxy.connections == 1


def test_a_cut_ends_connections_and_lets_new_ones_through(proxy):
    with connect(proxy) as client, connect(proxy) as new:
        says(client)

        proxy.cut()

        with contextlib.suppress(ConnectionError):
            assert client.recv(4096) == b""
    with connect(proxy) as new:
        assert says(new) == b"hello"


def test_what_is_frozen_stays_connected_and_goes_on_later(proxy):
    with connect(proxy) as client:
        says(client)

        with proxy.frozen():
            client.sendall(b"later")
            assert hears_nothing(client)

        assert client.recv(4096) == b"later"


def test_only_the_old_connections_can_be_frozen(proxy):
    with connect(proxy) as client:
        says(client)

        with proxy.frozen(new_ones=False), connect(proxy) as new:
            client.sendall(b"later")
            assert says(new) == b"hello"
            assert hears_nothing(client)


def test_answers_can_be_kept_back(proxy):
    with connect(proxy) as client:
        proxy.swallow_answers()
        client.sendall(b"asked")
        assert hears_nothing(client)

        proxy.heal()

        assert client.recv(4096) == b"asked"
