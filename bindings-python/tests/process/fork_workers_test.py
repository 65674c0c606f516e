"""A server that loads its program once and forks its workers from that, as gunicorn's preload and celery's prefork do."""

import os
import signal
import socket
import sys

from support.processes import GUARD_SECONDS, running

# The master has used its channel before it forks, replaces workers that end, and makes calls of its own meanwhile.
MASTER = """
import os, signal, socket, sys
import linkspan

channel = linkspan.insecure_channel(sys.argv[1])
echo = channel.unary_unary("/test.Service/Echo")
assert echo(b"loaded") == b"loaded"
listening = socket.create_server(("127.0.0.1", 0), backlog=64)

def work():
    while True:
        client, _ = listening.accept()
        with client:
            answer = echo(client.recv(100), timeout=20)
            client.sendall(b"%d %s" % (os.getpid(), answer))

workers = set()
def hire():
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        work()
    workers.add(pid)

for _ in range(3):
    hire()
print(listening.getsockname()[1], flush=True)
while True:
    pid, status = os.wait()
    workers.discard(pid)
    assert echo(b"master") == b"master" and channel.metrics()["connect_attempts"] == 1
    if status == 0:
        # Asked to end; so do the others.
        break
    hire()
    print("hired", flush=True)
for pid in workers:
    os.kill(pid, signal.SIGTERM)
for _ in workers:
    assert os.wait()[1] == 0
print("over", flush=True)
"""


def ask(port, text):
    """The worker that answered."""
    with socket.create_connection(("127.0.0.1", port), GUARD_SECONDS) as asking:
        asking.sendall(text)
        answer = b""
        while data := asking.recv(100):
            answer += data
    worker, _, echoed = answer.partition(b" ")
    assert echoed == text, answer
    return int(worker)


def test_workers_serve_and_are_replaced(own_server):
    with running(sys.executable, "-c", MASTER, own_server.address) as master:
        port = int(master.line())
        for _ in range(5):
            worker = ask(port, b"to be killed")
            os.kill(worker, signal.SIGKILL)
            master.expect("hired")
        for number in range(30):
            worker = ask(port, b"%d" % number)
        os.kill(worker, signal.SIGTERM)
        master.expect("over")
        assert master.wait() == 0
