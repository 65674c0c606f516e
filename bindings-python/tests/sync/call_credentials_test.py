"""Call credentials, ours and grpcio's, towards a grpcio server over TLS that asks for a token."""

import asyncio
import contextvars
import gc
import json
import pathlib
import shutil
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import grpc
import pytest
from grpc import experimental
from support.processes import GUARD_SECONDS, run_program, running

import linkspan
from linkspan import aio

UNARY, EXPIRE = "/test.Service/Unary", "/test.Service/Expire"
AUTHORIZING = pathlib.Path(__file__).parents[1] / "support" / "authorizing.py"


@pytest.fixture(scope="module")
def peer(tmp_path_factory):
    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the server's certificate, and is not installed")
    folder = tmp_path_factory.mktemp("tls")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    request = f"openssl req -x509 -newkey rsa:2048 -nodes -days 2 -keyout {key} -out {certificate} -subj /CN=localhost"
    subprocess.run([*request.split(), "-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE"], check=True, capture_output=True)
    with running(sys.executable, AUTHORIZING, key, certificate) as process:
        word, address, local = process.line().split()
        assert word == "LISTENING"
        yield SimpleNamespace(address=address, local=local, roots=certificate.read_bytes(), certificate=certificate)


@pytest.fixture
def channel(peer):
    with linkspan.secure_channel(peer.address, linkspan.ssl_channel_credentials(peer.roots)) as channel:
        yield channel


def received(answer, key="authorization"):
    return [value for name, value in json.loads(answer) if name == key]


def answering(function):
    """Credentials with this plug-in, ours and grpcio's."""
    return [linkspan.metadata_call_credentials(function), grpc.metadata_call_credentials(function)]


def failure(channel, credentials, **arguments):
    with pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(UNARY)(b"", credentials=credentials, **{"timeout": 30, **arguments})
    return caught.value


@pytest.mark.parametrize("library", [linkspan, grpc])
def test_a_token_is_sent_with_calls_of_all_kinds(peer, channel, library):
    assert failure(channel, None).code() is grpc.StatusCode.UNAUTHENTICATED
    token = library.access_token_call_credentials("T")
    arguments = {"credentials": token, "timeout": 30}
    assert received(channel.unary_unary(UNARY)(b"", **arguments)) == ["Bearer T"]
    assert received(channel.unary_unary(UNARY).with_call(b"", **arguments)[0]) == ["Bearer T"]
    assert received(channel.unary_unary(UNARY).future(b"", **arguments).result()) == ["Bearer T"]
    assert received(next(channel.unary_stream("/test.Service/Count")(b"", **arguments))) == ["Bearer T"]
    assert received(channel.stream_unary("/test.Service/Collect")([b"a"], **arguments)) == ["Bearer T"]
    talk = channel.stream_stream("/test.Service/Talk")([b"a"], **arguments)
    assert received(next(talk)) == ["Bearer T"] and list(talk) == [b"a"]


@pytest.mark.parametrize("library", [linkspan, grpc])
def test_a_token_is_sent_in_loops_too(peer, library):
    async def calls():
        token = library.access_token_call_credentials("T")
        async with aio.secure_channel(peer.address, library.ssl_channel_credentials(peer.roots)) as channel:
            assert received(await channel.unary_unary(UNARY)(b"", credentials=token, timeout=30)) == ["Bearer T"]
            assert [received(one) async for one in channel.unary_stream("/test.Service/Count")(b"", credentials=token)]
            assert received(await channel.stream_unary("/test.Service/Collect")([b"a"], credentials=token))
            assert received(await channel.stream_stream("/test.Service/Talk")([], credentials=token).read())
            failing = library.metadata_call_credentials(lambda context, callback: callback((), "no token"))
            with pytest.raises(grpc.aio.AioRpcError, match="plugin failed with error: no token") as caught:
                await channel.unary_unary(UNARY)(b"", credentials=failing, timeout=30)
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE

    asyncio.run(calls())


@pytest.mark.parametrize("library", [linkspan, grpc])
def test_what_application_channel_and_call_bring_is_sent_in_this_order(peer, library):
    def giving(value):
        return library.metadata_call_credentials(lambda context, callback: callback((("x-who", value),), None))

    token = library.access_token_call_credentials("T")
    both = library.composite_call_credentials(giving("first"), giving("second"))
    secure = library.composite_channel_credentials(library.ssl_channel_credentials(peer.roots), token, giving("channel"))
    with linkspan.secure_channel(peer.address, secure) as channel:
        answer = channel.unary_unary(UNARY)(b"", metadata=[("x-who", "app")], credentials=both, timeout=30)
    assert received(answer, "x-who") == ["app", "channel", "first", "second"]
    assert received(answer) == ["Bearer T"]


def test_ours_and_grpcios_can_be_combined(peer):
    secure = linkspan.composite_channel_credentials(
        grpc.ssl_channel_credentials(peer.roots), grpc.access_token_call_credentials("T")
    )
    with linkspan.secure_channel(peer.address, secure) as channel:
        assert received(channel.unary_unary(UNARY)(b"", timeout=30)) == ["Bearer T"]


def test_a_token_that_expires_is_made_anew(peer):
    """Each call asks the plug-in, so the first one after the refusal has the new token."""
    tokens = iter(["old", "new"])
    current = [next(tokens)]

    def plugin(context, callback):
        callback((("authorization", f"Bearer {current[0]}"),), None)

    secure = linkspan.composite_channel_credentials(
        linkspan.ssl_channel_credentials(peer.roots), linkspan.metadata_call_credentials(plugin)
    )
    with linkspan.secure_channel(peer.address, secure) as channel:
        assert received(channel.unary_unary(EXPIRE)(b"", timeout=30)) == ["Bearer old"]
        refused = failure(channel, None)
        assert refused.code() is grpc.StatusCode.UNAUTHENTICATED and "Bearer old" in refused.details()
        current[0] = next(tokens)
        assert received(channel.unary_unary(UNARY)(b"", timeout=30)) == ["Bearer new"]
        assert channel.metrics()["connect_attempts"] == 1


def test_a_plugin_is_told_the_call_and_runs_in_the_context_of_its_credentials(peer, channel):
    who, told = contextvars.ContextVar("who", default="nobody"), []

    def plugin(context, callback):
        told.append((context.service_url, context.method_name, who.get(), threading.current_thread().name))
        assert isinstance(context, grpc.AuthMetadataContext) and isinstance(callback, grpc.AuthMetadataPluginCallback)
        threading.Thread(target=callback, args=((("authorization", "Bearer late"),), None)).start()

    who.set("somebody")
    made = answering(plugin)
    who.set("somebody else")
    for credentials in made:
        assert received(channel.unary_unary(UNARY)(b"", credentials=credentials, timeout=30)) == ["Bearer late"]
    for service_url, method_name, context, thread in told:
        assert (service_url, method_name, context) == (f"https://{peer.address}/test.Service", "Unary", "somebody")
        assert thread.startswith("linkspan-callbacks")


def raises(context, callback):
    raise ValueError("boom")


@pytest.mark.parametrize(
    "plugin, code, words",
    [
        (raises, grpc.StatusCode.UNAVAILABLE, "boom"),
        (lambda context, callback: callback((), ValueError("bad")), grpc.StatusCode.UNAVAILABLE, "bad"),
        (lambda context, callback: callback((("Upper", "x"),), None), grpc.StatusCode.INTERNAL, 'Invalid metadata: metadata key "Upper"'),
        (lambda context, callback: callback((("key", "x\n"),), None), grpc.StatusCode.INTERNAL, "Invalid metadata"),
        (lambda context, callback: callback((1, 2), None), grpc.StatusCode.INTERNAL, "Invalid metadata: TypeError"),
        (lambda context, callback: callback(5, None), grpc.StatusCode.INTERNAL, "Invalid metadata: TypeError"),
    ],
)
def test_a_plugin_that_fails_fails_its_call(channel, plugin, code, words):
    for credentials in answering(plugin):
        error = failure(channel, credentials)
        assert error.code() is code, error
        assert error.details().startswith(f"Getting metadata from plugin failed with error: {words}"), error
        assert error.sent is False and "phase credentials" in error.trail


def test_a_second_answer_raises_in_the_plugin_and_changes_nothing(channel):
    raised = []

    def twice(context, callback):
        callback((("authorization", "Bearer one"),), None)
        for again in (((), None), (None, "error")):
            with pytest.raises(RuntimeError, match="more than once") as caught:
                callback(*again)
            raised.append(caught.value)

    for credentials in answering(twice):
        assert received(channel.unary_unary(UNARY)(b"", credentials=credentials, timeout=30)) == ["Bearer one"]
    assert len(raised) == 4


def test_no_answer_is_the_deadline_and_a_late_one_is_harmless(channel):
    kept = []
    for keep in (kept.append, lambda callback: None):
        credentials = linkspan.metadata_call_credentials(lambda context, callback: keep(callback))
        error = failure(channel, credentials, timeout=0.2)
        assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED and "phase credentials" in error.trail
    gc.collect()
    kept[0]((("authorization", "Bearer late"),), None)


def test_plugins_that_hang_cost_their_own_calls_only(channel):
    """Three threads are stuck, while other calls go on."""
    release = threading.Event()
    hanging = linkspan.metadata_call_credentials(lambda context, callback: release.wait())
    stuck = [channel.unary_unary(UNARY).future(b"", credentials=hanging) for _ in range(3)]
    try:
        good = linkspan.metadata_call_credentials(
            lambda context, callback: callback((("authorization", "Bearer good"),), None)
        )
        assert received(channel.unary_unary(UNARY)(b"", credentials=good, timeout=30)) == ["Bearer good"]
        names = [thread.name for thread in threading.enumerate()]
        assert 4 <= sum(name.startswith("linkspan-callbacks-plugin") for name in names) <= 16
    finally:
        release.set()
        for call in stuck:
            call.cancel()


# In a process of their own, where no thread was started for other tests. Waits end early enough that one thread more per second is too few.
MANY = """
import gc, sys, threading, weakref
import linkspan
from linkspan import _plugins
address, certificate = sys.argv[1:]
roots = linkspan.ssl_channel_credentials(open(certificate, "rb").read())
channel = linkspan.secure_channel(address, roots)
call = channel.unary_unary("/test.Service/Unary")
most = _plugins._MOST_THREADS
"""

NEED_EACH_OTHER = (
    MANY
    + """
for count in (2, most):
    together = threading.Barrier(count)
    def plugin(context, callback):
        together.wait(10)
        callback((("authorization", "Bearer T"),), None)
    credentials = linkspan.metadata_call_credentials(plugin)
    calls = [call.future(b"", credentials=credentials, timeout=60) for _ in range(count)]
    for one in calls:
        one.result()
print(sum(thread.name.startswith("linkspan-callbacks-plugin") for thread in threading.enumerate()) == most)
"""
)


def test_plugins_may_need_each_other(peer):
    assert run_program(NEED_EACH_OTHER, peer.address, str(peer.certificate)) == "True\n"


NOBODY_FREE = (
    MANY
    + """
release, entered = threading.Event(), threading.Semaphore(0)
def hang(context, callback):
    entered.release()
    release.wait()
hanging = linkspan.metadata_call_credentials(hang)
stuck = [call.future(b"", credentials=hanging) for _ in range(most)]
for _ in range(most):
    assert entered.acquire(timeout=25)
class Plugin:
    def __call__(self, context, callback):
        raise NotImplementedError
gone, ending = [], []
for _ in range(20):
    plugin = Plugin()
    gone.append(weakref.ref(plugin))
    ending.append(call.future(b"", credentials=linkspan.metadata_call_credentials(plugin), timeout=0.5))
del plugin
assert any("phase credentials" in one.exception().trail for one in ending)
ending.clear()
ended = threading.Event()
for _ in range(1000):
    gc.collect()
    # What the engine let go of is taken back by the next who calls into the native module.
    linkspan.insecure_channel_credentials()
    if not any(one() for one in gone):
        break
    ended.wait(0.01)
print(sum(one() is not None for one in gone), "kept")
release.set()
for one in stuck:
    one.cancel()
"""
)


def test_a_call_that_ends_while_no_thread_is_free_leaves_no_question(peer):
    assert run_program(NOBODY_FREE, peer.address, str(peer.certificate)) == "0 kept\n"


def test_a_done_callback_may_wait_for_a_call_with_credentials(channel):
    token = linkspan.metadata_call_credentials(lambda context, callback: callback((("authorization", "Bearer T"),), None))
    answers, done = [], threading.Event()

    def on_done(call):
        answers.append(channel.unary_unary(UNARY)(b"", credentials=token, timeout=30))
        done.set()

    channel.unary_unary(UNARY).future(b"", credentials=token).add_done_callback(on_done)
    assert done.wait(30)
    assert received(answers[0]) == ["Bearer T"]


def test_local_credentials_carry_tokens_and_leave_the_machine_for_nothing(peer, server):
    for kind in (linkspan.LocalConnectionType.LOCAL_TCP, grpc.LocalConnectionType.LOCAL_TCP):
        local = linkspan.composite_channel_credentials(
            linkspan.local_channel_credentials(kind), linkspan.access_token_call_credentials("T")
        )
        with linkspan.secure_channel(peer.local, local) as channel:
            assert received(channel.unary_unary(UNARY)(b"", timeout=30)) == ["Bearer T"]
    over_unix_sockets = linkspan.local_channel_credentials(linkspan.LocalConnectionType.UDS)
    with linkspan.secure_channel(server.address, over_unix_sockets) as channel:
        assert "local credentials are for connections to a unix socket" in failure(channel, None).details()
    with pytest.raises(TypeError, match="LocalConnectionType"):
        linkspan.local_channel_credentials(1)


def test_plaintext_carries_none(server):
    token, words = linkspan.access_token_call_credentials("T"), "sufficient security level to transfer call credential"
    with linkspan.insecure_channel(server.address) as channel:
        for credentials in (token, grpc.access_token_call_credentials("T")):
            error = failure(channel, credentials)
            assert error.code() is grpc.StatusCode.UNAUTHENTICATED and words in error.details()
        future = channel.unary_unary(UNARY).future(b"", credentials=token)
        assert future.exception().code() is grpc.StatusCode.UNAUTHENTICATED
    for insecure in (linkspan.insecure_channel_credentials(), experimental.insecure_channel_credentials()):
        with pytest.raises(ValueError, match="secure connections alone"):
            linkspan.composite_channel_credentials(insecure, token)
    theirs = grpc.composite_channel_credentials(
        experimental.insecure_channel_credentials(), grpc.access_token_call_credentials("T")
    )
    with pytest.raises(ValueError, match="secure connections alone"):
        linkspan.secure_channel(server.address, theirs)


def test_credentials_of_the_wrong_kind_are_refused_where_they_are_given(channel):
    with pytest.raises(TypeError, match="metadata_call_credentials"):
        channel.unary_unary(UNARY)(b"", credentials="token")
    with pytest.raises(TypeError, match="metadata_call_credentials"):
        linkspan.composite_call_credentials(linkspan.ssl_channel_credentials())
    with pytest.raises(TypeError, match="at least one"):
        linkspan.composite_call_credentials()
    with pytest.raises(TypeError, match="must be callable"):
        linkspan.metadata_call_credentials(5)
    with pytest.raises(TypeError, match="must be str"):
        linkspan.access_token_call_credentials(b"T")
    with pytest.raises(ValueError) as caught:
        linkspan.access_token_call_credentials("secret\n")
    assert "secret" not in str(caught.value)


def test_a_plugin_goes_with_the_last_of_its_credentials():
    class Plugin:
        def __call__(self, context, callback):
            raise NotImplementedError

    import weakref

    plugin = Plugin()
    gone = weakref.ref(plugin)
    credentials = linkspan.metadata_call_credentials(plugin)
    secure = linkspan.composite_channel_credentials(linkspan.local_channel_credentials(), credentials)
    channel = linkspan.secure_channel("localhost:1", secure)
    del plugin, credentials, secure
    gc.collect()
    assert gone() is not None
    channel.close()
    del channel
    gc.collect()
    # The engine lets go when it comes by, and what it let go is taken back by the next who calls into the native module.
    deadline = time.monotonic() + GUARD_SECONDS
    while gone() is not None and time.monotonic() < deadline:
        linkspan.insecure_channel_credentials()
    assert gone() is None


FORKS = """
import os, sys
import linkspan
def plugin(context, callback):
    callback((("authorization", f"Bearer {os.getpid()}"),), None)
address, certificate = sys.argv[1:]
secure = linkspan.composite_channel_credentials(
    linkspan.ssl_channel_credentials(open(certificate, "rb").read()), linkspan.metadata_call_credentials(plugin)
)
channel = linkspan.secure_channel(address, secure)
def call():
    assert f"Bearer {os.getpid()}".encode() in channel.unary_unary("/test.Service/Unary")(b"", timeout=20)
call()
child = os.fork()
call()
if child == 0:
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
print("both")
"""


def test_a_forked_child_asks_its_own_plugin(peer):
    assert run_program(FORKS, peer.address, str(peer.certificate)) == "both\n"


def test_without_grpcio_the_names_are_there():
    program = """
import sys, linkspan
linkspan.composite_call_credentials(linkspan.access_token_call_credentials("T"))
assert "grpc" not in sys.modules
print("fine")
"""
    assert run_program(program) == "fine\n"
