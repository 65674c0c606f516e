"""One run's peers and files, and what the texts are to call them."""

import contextlib

from causes.peer import LOOPBACK, FullPort, Peer, RefusedPort, server_context


class Stage:
    """`names` is {port: name}; leaving the `with` block ends every peer."""

    def __init__(self, certificates, folder):
        self.certificates = certificates
        self.names = {}
        self._folder = folder
        self._peers = contextlib.ExitStack()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._peers.close()

    def peer(self, play, name="SERVER"):
        """host:port of a peer that plays so."""
        return self._known(Peer(play), name)

    def refused(self, name="SERVER"):
        return self._known(RefusedPort(), name)

    def full(self, name="SERVER"):
        return self._known(FullPort(), name)

    def file(self, name):
        """One that is not there yet."""
        return self._folder / name

    def roots(self):
        return f"roots={self.certificates / 'authority.pem'}"

    def shown_by_client(self, name):
        return f"certificate={self.certificates / name}.pem key={self.certificates / name}.key"

    def server(self, certificate="server", **how):
        return server_context(self.certificates, certificate, **how)

    def _known(self, peer, name):
        self._peers.enter_context(peer)
        self.names[peer.port] = name
        return f"{LOOPBACK}:{peer.port}"
