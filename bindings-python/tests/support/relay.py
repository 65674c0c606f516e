"""A relay between clients and a server that keeps what each client's connection sent."""

import contextlib
import socket
import threading

GUARD_SECONDS = 30


class Relayed:
    """One connection of a client's."""

    def __init__(self, client, server):
        self.sent = bytearray()
        self.ended = threading.Event()
        threading.Thread(target=self._run, args=(client, server), daemon=True).start()

    def _run(self, client, server):
        with client, server:
            back = threading.Thread(target=self._pump, args=(server, client, bytearray()), daemon=True)
            back.start()
            self._pump(client, server, self.sent)
            self.ended.set()
            back.join()

    def _pump(self, source, sink, keep):
        try:
            while data := source.recv(65536):
                keep += data
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            # One end went without a goodbye; the other is told the same way.
            for end in (source, sink):
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def wait_for_end(self):
        """All that the client sent; fails the test when the client does not close."""
        assert self.ended.wait(GUARD_SECONDS), "the connection did not end"
        return bytes(self.sent)


class Relay:
    """Listens until it is closed; its `connections` are in the order they came."""

    def __init__(self, address):
        host, _, port = address.rpartition(":")
        self._server = (host, int(port))
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.address = "127.0.0.1:{}".format(self._listening.getsockname()[1])
        self.connections = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            self.connections.append(Relayed(client, socket.create_connection(self._server)))

    def __enter__(self):
        return self

    def __exit__(self, *raised):
        # A thread that waits in accept is not woken by a close.
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
