"""What a channel makes of names that are found in every way there is, late, cut short, or not at all."""

import contextlib
import time

import linkspan
from dns import message
from dns.namespace import NAME_SERVER

CALL = "/grpc.testing.TestService/UnaryCall"
# SimpleRequest { fill_server_id: true }
REQUEST = bytes((0x48, 1))
# Only ends what hangs.
GUARD_SECONDS = 30
IPV4, IPV6 = ["127.0.0.1"], ["::1"]


@contextlib.contextmanager
def channel_to(target, **options):
    """A channel of linkspan's own defaults; options are written with `_` for `.`, after the first word."""
    credentials = linkspan.insecure_channel_credentials()
    options = [(f"linkspan.{key}", value) for key, value in options.items()]
    channel = linkspan.connect(target, credentials=credentials, options=options)
    try:
        yield channel
    finally:
        channel.close()


def call(channel, seconds=GUARD_SECONDS, wait_for_ready=False):
    """Where a call went: the address of the connection it was made on."""
    channel.unary_unary(CALL)(REQUEST, timeout=seconds, wait_for_ready=wait_for_ready)
    return channel.metrics()["connections"][0]["remote_address"]


def refusal(channel):
    """What a call that fails says."""
    try:
        call(channel)
    except linkspan.RpcError as error:
        must(error.code() is linkspan.StatusCode.UNAVAILABLE, f"the call ended {error.code()}: {error.details()}")
        return error.details()
    raise AssertionError("a call went through")


def must(holds, complaint):
    if not holds:
        raise AssertionError(complaint)


def must_say(text, *words):
    for word in words:
        must(word in text, f"{word!r} is not in: {text}")


def search_domain(stage):
    """A short name is completed from /etc/resolv.conf."""
    stage.etc.resolv_conf("search other.test svc.test")
    stage.dns.tell("backend.svc.test", A=IPV4)
    with channel_to(f"dns:///backend:{stage.port}") as channel:
        must(call(channel).startswith("127.0.0.1:"), "went elsewhere")
    must(stage.dns.queries("backend.svc.test"), "the search domain was not asked")


def hosts_file(stage):
    """What /etc/hosts says is taken, and no server is asked."""
    stage.etc.hosts("127.0.0.1 pinned.test\n")
    stage.dns.tell("pinned.test", A=["127.9.9.9"])
    with channel_to(f"pinned.test:{stage.port}") as channel:
        must(call(channel).startswith("127.0.0.1:"), "went elsewhere")
    must(not stage.dns.queries("pinned.test"), "a server was asked")


def only_ipv6(stage):
    """A name that has no IPv4 address."""
    stage.dns.tell("six.test", AAAA=IPV6)
    with channel_to(f"dns:///six.test:{stage.port_of_ipv6}") as channel:
        must(call(channel).startswith("[::1]:"), "went elsewhere")


def no_such_name(stage):
    """The error tells name, code and server; when the name appears, the channel finds it by itself."""
    with channel_to(f"dns:///late.test:{stage.port}") as channel:
        text = refusal(channel)
        must_say(text, f"DNS resolution failed for late.test:{stage.port}", "no such name", "EAI_NONAME", "NXDOMAIN", NAME_SERVER)
        stage.dns.tell("late.test", A=IPV4)
        call(channel, wait_for_ready=True)


def no_address(stage):
    """A name that is there and has no address."""
    stage.dns.tell("empty.test")
    with channel_to(f"dns:///empty.test:{stage.port}") as channel:
        must_say(refusal(channel), "empty.test", "EAI_NODATA", NAME_SERVER)


def failing_server(stage):
    """SERVFAIL is no statement about the name."""
    stage.dns.tell("broken.test", code=message.SERVER_FAILURE)
    with channel_to(f"dns:///broken.test:{stage.port}") as channel:
        must_say(refusal(channel), "broken.test", "EAI_AGAIN", NAME_SERVER)
        stage.dns.tell("broken.test", A=IPV4)
        call(channel, wait_for_ready=True)


def silent_server(stage):
    """A server that is not there: the error names it, and how long was waited is the system's to say."""
    stage.etc.resolv_conf("options timeout:1 attempts:1")
    stage.dns.tell("silent.test", is_silent=True)
    with channel_to(f"dns:///silent.test:{stage.port}") as channel:
        must_say(refusal(channel), "silent.test", "EAI_AGAIN", NAME_SERVER)


def slow_answer(stage):
    """An answer after three seconds is an answer."""
    stage.dns.tell("slow.test", A=IPV4, AAAA=(), delay_seconds=3)
    began = time.monotonic()
    with channel_to(f"dns:///slow.test:{stage.port}") as channel:
        call(channel)
    must(time.monotonic() - began >= 3, "it was not slow")


def truncated_answer(stage):
    """What does not fit into a datagram is asked for again over TCP."""
    stage.dns.tell("large.test", A=IPV4, is_truncated=True)
    with channel_to(f"dns:///large.test:{stage.port}") as channel:
        call(channel)
    must({query.transport for query in stage.dns.queries("large.test")} == {"UDP", "TCP"}, "TCP was not asked")


def names_that_hang(stage):
    """More names without an answer than are looked up at the same time, each in many channels: other names are found meanwhile."""
    stage.etc.resolv_conf("options timeout:30 attempts:1")
    stage.dns.tell("good.test", A=IPV4)
    with contextlib.ExitStack() as channels:
        for name in [f"hangs{number}.test" for number in range(12)]:
            stage.dns.tell(name, is_silent=True)
            for _ in range(5):
                channel = channels.enter_context(channel_to(f"dns:///{name}:{stage.port}"))
                channel.subscribe(lambda state: None, try_to_connect=True)
            stage.dns.wait_for(name)
        good = channels.enter_context(channel_to(f"dns:///good.test:{stage.port}"))
        call(good, seconds=20)


CASES = (
    search_domain,
    hosts_file,
    only_ipv6,
    no_such_name,
    no_address,
    failing_server,
    silent_server,
    slow_answer,
    truncated_answer,
    names_that_hang,
)
# What needs ::1.
OF_IPV6 = (only_ipv6,)
