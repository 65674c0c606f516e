"""nginx and HAProxy between a client and servers, both sides in HTTP/2 without TLS. tests/server/balancers.sh sees to it that they are there."""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from server.running import ROOT, Missing, end_group

UNPACKED = ROOT / ".tools" / "balancers"
PATHS = ("/usr/sbin", "/usr/local/sbin", "/usr/bin", "/usr/local/bin", str(UNPACKED / "usr" / "sbin"))
GUARD_SECONDS = 30


def program(name):
    found = shutil.which(name, path=os.pathsep.join(PATHS))
    if found is None:
        raise Missing(f"{name} is not installed (tests/server/balancers.sh says why it could not be fetched)")
    return found


def environment():
    """With the libraries that were unpacked beside the programs."""
    libraries = next((UNPACKED / "usr" / "lib").glob("*-linux-gnu"), None)
    return dict(os.environ) if libraries is None else {**os.environ, "LD_LIBRARY_PATH": str(libraries)}


class Balancer:
    """A running balancer. `address` leads to the server, `dead_address` to one that is not there; both are the balancer's own."""

    CONFIG = ""
    COMMAND = ()
    RELOAD = None

    def __init__(self, server, **settings):
        self._folder = tempfile.TemporaryDirectory()
        self._files = [pathlib.Path(self._folder.name) / name for name in ("config", "log")]
        self.address, self.dead_address, nobody = free_addresses(3)
        text = self.CONFIG.format(
            address=self.address, dead_address=self.dead_address, server=server, nobody=nobody, folder=self._folder.name, **settings
        )
        self._files[0].write_text(text)
        self._process = None
        self.start()

    def start(self):
        command = [program(self.COMMAND[0]), *(part.format(config=self._files[0]) for part in self.COMMAND[1:])]
        with self._files[1].open("ab") as log:
            self._process = subprocess.Popen(
                command, env=environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self._wait_until_it_listens()

    def reload(self):
        """New processes take over; the old ones finish what they have."""
        self._process.send_signal(self.RELOAD)

    def kill(self):
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        end_group(self._process)
        self._folder.cleanup()

    def _wait_until_it_listens(self):
        end = time.monotonic() + GUARD_SECONDS
        host, _, port = self.address.rpartition(":")
        while True:
            try:
                socket.create_connection((host, int(port)), timeout=1).close()
                return
            except OSError:
                if time.monotonic() > end or self._process.poll() is not None:
                    end_group(self._process)
                    raise RuntimeError(f"{self.COMMAND[0]} does not listen: {self._files[1].read_text()}") from None
                time.sleep(0.02)


class Nginx(Balancer):
    COMMAND = ("nginx", "-p", "{config}.files", "-c", "{config}", "-e", "stderr")
    RELOAD = signal.SIGHUP
    # keepalive_timeout is how long a connection without streams stays, in HTTP/2 too.
    CONFIG = """
daemon off;
worker_processes 1;
pid {folder}/pid;
error_log stderr warn;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    keepalive_timeout {idle_seconds}s;
    keepalive_requests {most_requests};
    client_max_body_size {largest_body_bytes};
    grpc_read_timeout {silence_seconds}s;
    upstream server {{ server {server}; keepalive 16; }}
    server {{
        listen {address} http2;
        location / {{ grpc_pass grpc://server; }}
    }}
    server {{
        listen {dead_address} http2;
        location / {{ grpc_pass grpc://{nobody}; }}
    }}
}}
"""


class HAProxy(Balancer):
    COMMAND = ("haproxy", "-W", "-q", "-f", "{config}")
    RELOAD = signal.SIGUSR2
    CONFIG = """
global
    hard-stop-after 10s
defaults
    mode http
    timeout connect 2s
    timeout client {idle_seconds}s
    timeout http-keep-alive {idle_seconds}s
    timeout server {silence_seconds}s
    retries 0
listen good
    bind {address} proto h2
    server first {server} proto h2
listen dead
    bind {dead_address} proto h2
    server nobody {nobody} proto h2
"""


def free_addresses(count):
    """Of this machine; all are held until all are known, so that they differ."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    addresses = ["127.0.0.1:{}".format(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return addresses
