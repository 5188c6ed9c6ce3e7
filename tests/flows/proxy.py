"""A TCP proxy that a story can cut, freeze, or slow down: the network between two parts."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

_CHUNK = 65536


@dataclass(eq=False)
class _Link:
    """One direction of a connection: what arrives at `source` goes to `target`."""

    source: socket.socket
    target: socket.socket
    is_answer: bool
    is_frozen: bool = False


class TcpProxy:
    """Forwards `port` of this machine to the address of a part, as faithfully as told.

    - `cut()` ends every connection, as a restarted switch does; new ones are served.
    - `freeze()` stops forwarding and keeps the sockets, as a pulled cable does; with
      `new_ones=False` connections that are made afterwards work.
    - `swallow_answers()` lets questions through and keeps the answers back.
    - `delay` is a number of seconds that everything takes on its way.
    - `heal()` ends all of this. What was frozen goes on, and nothing was lost.
    """

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        """`host` and `port` are where the connections lead."""
        self.delay = 0.0
        self._target = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._selector = selectors.DefaultSelector()
        self._lock = threading.Lock()
        self._links: set[_Link] = set()
        self._freezes_new_ones = False
        self._swallows = False
        self._ended = False
        self._thread = threading.Thread(target=self._forward, daemon=True)

    def __enter__(self) -> TcpProxy:
        self._selector.register(self._listener, selectors.EVENT_READ, None)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended = True
        self._thread.join()
        self.cut()
        self._listener.close()
        self._selector.close()

    @property
    def connections(self) -> int:
        """How many connections go through it now."""
        return len(self._links) // 2

    def cut(self) -> None:
        """End every connection; what is on its way is lost."""
        with self._lock:
            for link in list(self._links):
                self._drop(link)

    def freeze(self, *, new_ones: bool = True) -> None:
        """Forward nothing any more, and end no connection."""
        with self._lock:
            self._freezes_new_ones = new_ones
            for link in self._links:
                self._set_frozen(link)

    def swallow_answers(self) -> None:
        """Let everything through but what comes back; new connections alike."""
        with self._lock:
            self._swallows = True
            for link in self._links:
                if link.is_answer:
                    self._set_frozen(link)

    def heal(self) -> None:
        """Forward faithfully again, what was kept back first."""
        with self._lock:
            self.delay, self._freezes_new_ones, self._swallows = 0.0, False, False
            for link in self._links:
                if link.is_frozen:
                    link.is_frozen = False
                    self._selector.register(link.source, selectors.EVENT_READ, link)

    @contextlib.contextmanager
    def frozen(self, *, new_ones: bool = True) -> Iterator[None]:
        """Be frozen while the block lasts."""
        self.freeze(new_ones=new_ones)
        try:
            yield
        finally:
            self.heal()

    def _forward(self) -> None:
        while not self._ended:
            for key, _ in self._selector.select(timeout=0.05):
                if key.data is None:
                    self._accept()
                else:
                    self._pass_on(key.data)

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        try:
            part = socket.create_connection(self._target, timeout=5)
        except OSError:
            client.close()
            return
        for one in (client, part):
            one.settimeout(5)
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            for link in (_Link(client, part, False), _Link(part, client, True)):
                self._links.add(link)
                self._selector.register(link.source, selectors.EVENT_READ, link)
                if self._freezes_new_ones or (link.is_answer and self._swallows):
                    self._set_frozen(link)

    def _pass_on(self, link: _Link) -> None:
        if self.delay:
            time.sleep(self.delay)
        with self._lock:
            if link not in self._links or link.is_frozen:
                return
            try:
                chunk = link.source.recv(_CHUNK)
                if chunk:
                    link.target.sendall(chunk)
                    return
            except OSError:
                pass
            self._drop(link)

    def _set_frozen(self, link: _Link) -> None:
        if not link.is_frozen:
            link.is_frozen = True
            self._selector.unregister(link.source)

    def _drop(self, link: _Link) -> None:
        """End the connection that the link is half of, at both ends."""
        for half in [half for half in self._links if half.source in (link.source, link.target)]:
            self._links.discard(half)
            if not half.is_frozen:
                self._selector.unregister(half.source)
            half.source.close()
