"""Servers and channels of the tests."""

import socket

import pytest
from support.processes import running_server

import linkspan


@pytest.fixture(scope="session")
def server():
    """The test server, shared: tests that wait for what it says use methods no other running test calls."""
    with running_server() as process:
        yield process


@pytest.fixture
def own_server():
    """A test server for one test."""
    with running_server() as process:
        yield process


@pytest.fixture
def channel(server):
    with linkspan.insecure_channel(server.address) as channel:
        yield channel


@pytest.fixture
def refused_address():
    """An address of this machine where nobody listens: the port stays bound, so nobody can take it."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield "127.0.0.1:{}".format(bound.getsockname()[1])


@pytest.fixture
def silent_address():
    """An address that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield "127.0.0.1:{}".format(listening.getsockname()[1])
