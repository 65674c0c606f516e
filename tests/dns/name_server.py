"""A DNS server that answers what it is told to, over UDP and TCP: late, cut short, wrong, or not at all."""

import collections
import dataclasses
import socket
import struct
import threading

from dns import message

Query = collections.namedtuple("Query", "name type transport")
TYPES = {message.A: "A", message.AAAA: "AAAA", message.TXT: "TXT"}


@dataclasses.dataclass
class Behaviour:
    """How a name is answered; a type without values has an answer without records."""

    values: dict = dataclasses.field(default_factory=dict)
    code: int = message.NO_ERROR
    ttl: int = 60
    delay_seconds: float = 0
    # Over UDP only a part fits, and there is more over TCP.
    is_truncated: bool = False
    is_silent: bool = False


NO_SUCH_NAME = Behaviour(code=message.NO_SUCH_NAME)


class NameServer:
    """Serves from its start to the end of the `with` block; names it was not told of are not there."""

    def __init__(self, host):
        self._names = {}
        self._changed = threading.Condition()
        self._queries = []
        self._is_silent = False
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.bind((host, 53))
        self._tcp = socket.create_server((host, 53))
        for serve in (self._serve_udp, self._serve_tcp):
            threading.Thread(target=serve, daemon=True).start()

    def tell(self, name, *, A=(), AAAA=(), TXT=(), **how):
        """What the name is from now on."""
        values = {message.A: A, message.AAAA: AAAA, message.TXT: TXT}
        self._names[name] = Behaviour(values, **how)

    def be_silent(self, is_silent=True):
        """Takes queries and says nothing, as a server that is down behind a firewall."""
        self._is_silent = is_silent

    def queries(self, name):
        """What was asked for this name so far."""
        with self._changed:
            return [query for query in self._queries if query.name == name]

    def wait_for(self, name, guard_seconds=30):
        """Waits until the name was asked for; the guard time only ends what hangs."""
        with self._changed:
            if not self._changed.wait_for(lambda: any(query.name == name for query in self._queries), guard_seconds):
                raise TimeoutError(f"{name} was not asked for; what was: {self._queries}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._udp.close()
        self._tcp.close()

    def _serve_udp(self):
        while True:
            try:
                packet, asker = self._udp.recvfrom(4096)
            except OSError:
                return
            self._answer(packet, "UDP", lambda answer, asker=asker: self._udp.sendto(answer, asker))

    def _serve_tcp(self):
        while True:
            try:
                connection, _ = self._tcp.accept()
            except OSError:
                return
            threading.Thread(target=self._serve_connection, args=(connection,), daemon=True).start()

    def _serve_connection(self, connection):
        with connection, connection.makefile("rb") as stream:
            while length := stream.read(2):
                packet = stream.read(struct.unpack("!H", length)[0])
                self._answer(packet, "TCP", lambda answer: connection.sendall(struct.pack("!H", len(answer)) + answer))

    def _answer(self, packet, transport, send):
        question = message.read(packet)
        how = self._names.get(question.name, NO_SUCH_NAME)
        with self._changed:
            self._queries.append(Query(question.name, TYPES.get(question.type, question.type), transport))
            self._changed.notify_all()
        if self._is_silent or how.is_silent:
            return
        is_cut = how.is_truncated and transport == "UDP"
        values = () if is_cut else how.values.get(question.type, ())
        answer = message.answer(question, how.code, values, how.ttl, is_cut)
        if how.delay_seconds and transport == "UDP":
            threading.Timer(how.delay_seconds, send, (answer,)).start()
        else:
            send(answer)
