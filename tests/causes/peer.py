"""Peers that go wrong in one way each: a port on loopback, and what is done with every connection that comes.

A play is a function of a `Connection`. It runs in a thread of its own and waits for nothing but what the client does.
"""

import contextlib
import socket
import ssl
import struct
import threading

LOOPBACK = "127.0.0.1"
MAGIC = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
# RFC 9113 §6 and §6.5.2.
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY = 0, 1, 3, 4, 6, 7
MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE = 3, 4
END_STREAM = ACK = 1
END_HEADERS = 4

GRPC_HEADERS = ((":status", "200"), ("content-type", "application/grpc"))


class ClientLeft(Exception):
    """The client closed the connection."""


class Connection:
    """The server's end of one connection, with the frames of RFC 9113 in and out."""

    def __init__(self, stream):
        self._stream = stream
        self._held = None

    def read(self, length):
        data = b""
        while len(data) < length:
            piece = self._stream.recv(length - len(data))
            if not piece:
                raise ClientLeft
            data += piece
        return data

    def read_until(self, end):
        data = b""
        while not data.endswith(end):
            data += self.read(1)
        return data

    def write(self, data):
        if self._held is None:
            self._stream.sendall(data)
        else:
            self._held.append(data)

    @contextlib.contextmanager
    def in_one_piece(self):
        """What is written meanwhile arrives together."""
        self._held = []
        yield
        held, self._held = b"".join(self._held), None
        self.write(held)

    def write_frame(self, kind, flags, stream, payload=b""):
        self.write(len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload)

    def greet(self, settings=()):
        """Preface and SETTINGS both ways: the client may use the connection."""
        self.read(len(MAGIC))
        self.frame()
        self.write_frame(SETTINGS, 0, 0, b"".join(struct.pack(">HI", *setting) for setting in settings))
        self.write_frame(SETTINGS, ACK, 0)
        return self

    def frame(self):
        """(kind, flags, stream, payload)"""
        head = self.read(9)
        return head[3], head[4], int.from_bytes(head[5:], "big") & 0x7FFFFFFF, self.read(int.from_bytes(head[:3], "big"))

    def request(self):
        """The stream of the next request, once it is whole."""
        while True:
            kind, flags, stream, _ = self.frame()
            if kind in (HEADERS, DATA) and flags & END_STREAM:
                return stream

    def message_begun(self):
        """The stream of the next DATA, whether it is the last or not."""
        while True:
            kind, _, stream, _ = self.frame()
            if kind == DATA:
                return stream

    def headers(self, stream, fields, is_last=False):
        """Literals without indexing, RFC 7541 §6.2.2."""
        block = b"".join(b"\0" + _hpack_text(name) + _hpack_text(value) for name, value in fields)
        self.write_frame(HEADERS, END_HEADERS | (END_STREAM if is_last else 0), stream, block)

    def message(self, stream, message=b"", flag=0):
        self.write_frame(DATA, 0, stream, bytes((flag,)) + len(message).to_bytes(4, "big") + message)

    def reset(self, stream, code):
        self.write_frame(RST_STREAM, 0, stream, code.to_bytes(4, "big"))

    def goaway(self, last_stream, code, text=""):
        self.write_frame(GOAWAY, 0, 0, last_stream.to_bytes(4, "big") + code.to_bytes(4, "big") + text.encode())

    def stay(self):
        """Takes in what comes and says nothing, until the client leaves."""
        with contextlib.suppress(ClientLeft, OSError):
            while True:
                self.read(1)

    def leave(self):
        """Closes in order, with nothing left unread: the client reads all that was said."""
        self._stream.shutdown(socket.SHUT_WR)
        self.stay()

    def abort(self):
        """Resets the connection."""
        self._stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._stream.close()

    def secure(self, context):
        """The same over TLS. A handshake that fails has told the client why."""
        secured = Connection(context.wrap_socket(self._stream, server_side=True, do_handshake_on_connect=False))
        try:
            secured._stream.do_handshake()
        except OSError as cause:
            with contextlib.suppress(OSError):
                secured.leave()
            raise ClientLeft from cause
        return secured


def _hpack_text(text):
    data = text.encode()
    if len(data) < 127:
        return bytes((len(data),)) + data
    length, prefix = len(data) - 127, b"\x7f"
    while length >= 128:
        prefix += bytes((length & 127 | 128,))
        length >>= 7
    return prefix + bytes((length,)) + data


class Peer:
    """Listens until the `with` block is left."""

    def __init__(self, play):
        self._play = play
        self._listener = socket.create_server((LOOPBACK, 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # Wakes the thread that accepts.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                stream, _ = self._listener.accept()
                stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._run, args=(stream,), daemon=True).start()

    def _run(self, stream):
        with stream, contextlib.suppress(ClientLeft, OSError):
            self._play(Connection(stream))


class RefusedPort:
    """A port of our own where nobody listens."""

    def __init__(self):
        self._socket = socket.socket()
        self._socket.bind((LOOPBACK, 0))
        self.port = self._socket.getsockname()[1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._socket.close()


class FullPort:
    """A port whose line of connections that nobody accepts is full: the kernel answers no further one."""

    def __init__(self):
        self._listener = socket.socket()
        self._listener.bind((LOOPBACK, 0))
        self._listener.listen(0)
        self.port = self._listener.getsockname()[1]
        self._others = []
        # On Linux the line is one longer than asked for. A connection that is not made at once on loopback never is.
        for _ in range(4):
            other = socket.socket()
            other.setblocking(False)
            other.connect_ex((LOOPBACK, self.port))
            self._others.append(other)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for each in (*self._others, self._listener):
            each.close()


def server_context(folder, name, wants_client=False, speaks_http2=True):
    """TLS as the server `name`, whose certificate is in the folder."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
    if speaks_http2:
        context.set_alpn_protocols(["h2"])
    if wants_client:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(folder / "authority.pem")
    return context
