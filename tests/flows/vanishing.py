"""A machine on the network that can fall asleep: its packets vanish, and nobody says no."""

from __future__ import annotations

import contextlib
import socket
import threading


class VanishingMachine:
    """Passes connections on to a port of this machine, or lets them vanish.

    Asleep, it answers no connection attempt (the queue of its listening socket is full) and
    passes nothing on over those it had.
    """

    def __init__(self, target_port: int) -> None:
        self._target = ("127.0.0.1", target_port)
        self._awake = threading.Event()
        self._awake.set()
        self._listening = socket.socket()
        self._listening.bind(("127.0.0.1", 0))
        self._listening.listen(64)
        self.port: int = self._listening.getsockname()[1]
        self._fillers: list[socket.socket] = []
        self._closed = False
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> VanishingMachine:
        return self

    def __exit__(self, *_: object) -> None:
        self._closed = True
        self.wake_up()
        # Wakes the thread that accepts.
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        self._listening.close()

    def fall_asleep(self) -> None:
        """Let everything vanish that is sent here."""
        self._awake.clear()
        self._listening.listen(0)
        # The thread may still accept one; two more fill the queue.
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", self.port))
            self._fillers.append(filler)

    def wake_up(self) -> None:
        """Be there again."""
        self._listening.listen(64)
        while self._fillers:
            self._fillers.pop().close()
        self._awake.set()

    def _accept(self) -> None:
        while not self._closed:
            with contextlib.suppress(OSError):
                near, _ = self._listening.accept()
                threading.Thread(target=self._serve, args=(near,), daemon=True).start()
                self._awake.wait()

    def _serve(self, near: socket.socket) -> None:
        """Carry one connection to its end, in both directions."""
        self._awake.wait()
        with (
            near,
            contextlib.suppress(OSError),
            socket.create_connection(self._target, timeout=5) as far,
        ):
            far.settimeout(None)
            back = threading.Thread(target=self._pass_on, args=(far, near), daemon=True)
            back.start()
            self._pass_on(near, far)
            back.join()

    def _pass_on(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                self._awake.wait()
                other.sendall(data)
        for end in (one, other):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
