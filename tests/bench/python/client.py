"""The protocol of `tests/bench/README.md`, for all Python clients: arguments, commands, samples.

Nothing here or in the modules beside it imports at its top what a library under test would have to load itself:
`--start` measures just that. The standard library's asyncio is the exception: its users have loaded it.
"""

import os
import resource
import sys
import time

METHODS = "/linkspan.bench.Echo/"
START_SIZE = 64
STREAM_MESSAGE_SIZE = 64

# Windows are over when the clock passes this: never.
NEVER = float("inf")

PAGE_SIZE = resource.getpagesize()


class Unsupported(Exception):
    """This client has no way to do what is asked."""


class WrongAnswer(Exception):
    """Something came back that was not what the echo server sends."""


class Arguments:
    """What the runner passed: the client's own flags, then the addresses."""

    def __init__(self, words):
        self.start = False
        self.uvloop = False
        self.echo = self.stream = self.tls = self.ca = None
        words = iter(words)
        for word in words:
            name = word[2:]
            if not word.startswith("--") or not hasattr(self, name):
                raise SystemExit(f"{sys.argv[0]}: unknown argument {word}")
            setattr(self, name, True if getattr(self, name) is False else next(words, None))
        if self.echo is None:
            raise SystemExit(f"usage: {sys.argv[0]} [--uvloop] [--start] --echo H:P --stream H:P --tls H:P --ca PATH")


def main(name, load, face):
    """Obeys the runner. `load` imports the library, `face(library, arguments)` makes calls with it."""
    arguments = Arguments(sys.argv[1:])
    if arguments.start:
        tell(start(load, face, arguments))
        # How long it takes to take everything down again is not asked.
        os._exit(0)
    import json

    library = load(arguments)
    caller = face(library, arguments)
    tell({"client": f"{name}, uvloop" if arguments.uvloop else name, "version": library.__version__})
    for line in sys.stdin:
        tell(answer(caller, json.loads(line)))
    caller.close()


def start(load, face, arguments):
    """What it takes until the first call of a process has ended."""
    # An installed package comes with its byte code; one used where it is developed gets it now, for the next start.
    sys.dont_write_bytecode = False
    began = sample(0)
    library = load(arguments)
    loaded = time.perf_counter()
    reply = face(library, arguments).first_call()
    ended = sample(1)
    check_size(reply, START_SIZE)
    figures = between(began, ended)
    return {
        "import_s": loaded - began[1],
        "first_call_s": ended[1] - loaded,
        "user_s": figures["user_s"],
        "system_s": figures["system_s"],
    }


def answer(caller, command):
    try:
        workload = caller.workloads.get(command["workload"])
        if workload is None:
            raise Unsupported(f"{command['workload']} is not for this client")
        return caller.run(workload, command)
    except Unsupported as reason:
        return {"unsupported": str(reason)}
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


def tell(what):
    import json

    print(json.dumps(what), flush=True)


# What is measured.


def sample(operations):
    """Operations so far, the clock, and this process's CPU time in user mode and in the kernel."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return operations, time.perf_counter(), usage.ru_utime, usage.ru_stime


def between(before, after):
    """The answer to a command: the differences of two samples."""
    return dict(zip(("operations", "wall_s", "user_s", "system_s"), (b - a for a, b in zip(before, after))))


def resident():
    """Bytes of this process in memory."""
    with open("/proc/self/statm", "rb") as statm:
        return int(statm.read().split()[1]) * PAGE_SIZE


class Window:
    """The measured time of a loop that looks at the clock itself.

    The loop calls `look` once the clock has passed `until`, and goes on until that is NEVER.
    """

    def __init__(self, command):
        self._seconds = command["seconds"]
        self._samples = []
        self.until = time.perf_counter() + command["warmup_s"]

    def look(self, operations):
        """Takes a sample; when to take the next."""
        taken = sample(operations)
        self._samples.append(taken)
        self.until = taken[1] + self._seconds if len(self._samples) == 1 else NEVER
        return self.until

    def figures(self):
        return between(*self._samples)


class Progress:
    """What the callers of one loop, or several threads, share with who measures them."""

    __slots__ = ("is_open", "operations")

    def __init__(self):
        self.is_open = True
        self.operations = 0


def check_size(message, size):
    if len(message) != size:
        raise WrongAnswer(f"a message of {len(message)} bytes came back for one of {size}")


def check_count(received, sent):
    if received != sent:
        raise WrongAnswer(f"{received} messages came back for {sent}")


# What grpcio's users write, whichever of the two libraries they use.

# One connection per channel: grpcio shares them between channels otherwise, linkspan never does.
CHANNEL_OPTIONS = (("grpc.max_receive_message_length", -1), ("grpc.use_local_subchannel_pool", 1))


def trusting(library, arguments):
    """Credentials for the echo server's TLS port."""
    with open(arguments.ca, "rb") as certificates:
        return library.ssl_channel_credentials(certificates.read())


def many_addresses(library, arguments, command):
    """The target of `pick`."""
    if library.__name__ != "linkspan":
        raise Unsupported("only linkspan's cost per address is asked for")
    others = (f"127.0.1.{number}:9" for number in range(1, command["addresses"]))
    return "ipv4:" + ",".join((arguments.echo, *others))
