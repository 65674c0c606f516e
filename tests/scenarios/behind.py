"""What holds behind any balancer that speaks HTTP/2 to both sides: gRPC's interop cases pass, an idle timeout, a reload and a restart of the
balancer cost no call that could be made elsewhere or again, and what the balancer itself answers is told as what it is.
"""

import subprocess
import time

import linkspan

from faults.caller import Caller
from server.running import INTEROP_SERVER, ROOT, Missing, RunningServer

INTEROP = ("cargo", "run", "--quiet", "-p", "linkspan-core", "--example", "interop", "--")
INTEROP_GUARD_SECONDS = 300
SERVICE = "/grpc.testing.TestService"
UNARY_CALL = f"{SERVICE}/UnaryCall"
# SimpleRequest { response_size: 16 }
REQUEST = bytes((0x10, 16))
# StreamingOutputCallRequest { response_parameters: { size: 1, interval_us: 10_000_000 } }
ASKS_FOR_AN_ANSWER_MUCH_LATER = bytes((0x12, 7, 0x08, 1, 0x10, 0x80, 0xAD, 0xE2, 0x04))

CALLS_PER_SECOND = 200
IDLE_SECONDS = 1
SILENCE_SECONDS = 1
SHORT_IDLE_TIMES, LONG_IDLE_TIMES = 3, 50
SHORT_RELOADS, LONG_RELOADS = 3, 20
BETWEEN_RELOADS_SECONDS = 1
CALLS_AFTER = 100
# Probing connects every half second.
FIRST_GOOD_SECONDS = 1.5
GUARD_SECONDS = 60


def play(findings, kind, is_long, settings):
    if not INTEROP_SERVER.exists():
        raise Missing("grpc-go's interop server is built by tests/server/build.sh and needs Go")
    settings = {"idle_seconds": IDLE_SECONDS, "silence_seconds": SILENCE_SECONDS, **settings}
    with RunningServer.interop() as server:
        # The cases wait for each other in places, for longer than an idle connection is kept here.
        with kind(server.address, **{**settings, "idle_seconds": 30, "silence_seconds": 30}) as balancer:
            interop(findings, balancer)
        with kind(server.address, **settings) as balancer:
            idle_connections(findings, balancer, LONG_IDLE_TIMES if is_long else SHORT_IDLE_TIMES)
            answers_of_its_own(findings, balancer)
            reloads(findings, balancer, LONG_RELOADS if is_long else SHORT_RELOADS)
            restart(findings, balancer)


def interop(findings, balancer):
    command = [*INTEROP, balancer.address]
    done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=INTEROP_GUARD_SECONDS)
    findings.must(done.returncode == 0, f"interop cases: {done.stdout[-2000:]}{done.stderr[-500:]}")
    findings.figure("interop cases passed", sum(line.startswith("ok ") for line in done.stdout.splitlines()))


def idle_connections(findings, balancer, times):
    """The balancer ends the connection whenever it was idle for long; the next call is good all the same.

    gRPC's own defaults leave the address alone then, until the call.
    """
    with linkspan.insecure_channel(f"ipv4:{balancer.address}") as channel:
        call = channel.unary_unary(UNARY_CALL, None, None)
        for number in range(times):
            call(REQUEST, timeout=GUARD_SECONDS)
            until(lambda: connections(channel) == 0, f"the balancer ends connection {number + 1}, which is idle")
        findings.figure("connections ended while idle, each before a good call", times)


def reloads(findings, balancer, times):
    with Caller(f"ipv4:{balancer.address}", rate=CALLS_PER_SECOND) as caller:
        caller.history.wait_until(lambda told: told.good_since(0) >= CALLS_AFTER, "calls before the first reload")
        for _ in range(times):
            balancer.reload()
            time.sleep(BETWEEN_RELOADS_SECONDS)
        history = caller.finish()
    findings.figure(f"calls during {times} reloads", len(history.calls))
    findings.figure("calls failed during reloads", len(history.failed), 0)
    findings.must(not history.failed, f"during reloads: {history.told()}")


def restart(findings, balancer):
    """Killed and started again: what fails meanwhile is UNAVAILABLE and says why, and then all is good."""
    with Caller(f"ipv4:{balancer.address}", rate=CALLS_PER_SECOND) as caller:
        caller.history.wait_until(lambda told: told.good_since(0) >= CALLS_AFTER, "calls before the balancer is killed")
        balancer.kill()
        caller.history.wait_until(lambda told: told.says("refused"), "calls that are refused")
        balancer.start()
        back = int(time.time() * 1000)
        caller.history.wait_until(lambda told: told.good_since(back) >= CALLS_AFTER, "calls after the return")
        history = caller.finish()
    first_good = history.first_good_since(back)
    late = [call for call in history.failed if call.started > first_good]
    findings.must(not late, f"calls failed after the return: {late[:2]}")
    codes = {call.code for call in history.failed}
    findings.must(codes == {"UNAVAILABLE"}, f"while the balancer was down: {codes}")
    unclear = [call.text for call in history.failed if balancer.address not in call.text or "phase" not in call.text]
    findings.must(not unclear, f"errors without an address or a phase: {unclear[:2]}")
    findings.figure("first good call after the return", (first_good - back) / 1000, FIRST_GOOD_SECONDS, "s")


def answers_of_its_own(findings, balancer):
    """A server that is not there, and one that says nothing for too long."""
    tells(findings, balancer.dead_address, "a dead server", ("UNAVAILABLE", "HTTP 50"), unary)
    tells(findings, balancer.address, "a silent server", ("UNAVAILABLE", "HTTP 504"), silent)


def tells(findings, address, what, wanted, call):
    code, *words = wanted
    with connected(address) as channel:
        try:
            call(channel)
        except linkspan.RpcError as error:
            told = f"{error.code().name}: {error.details()}"
            is_right = error.code().name == code and all(word in error.details() for word in (*words, address))
            findings.must(is_right, f"{what} should be told as {wanted}: {told}")
        else:
            findings.must(False, f"{what}: the call was good")


def unary(channel, request=REQUEST):
    channel.unary_unary(UNARY_CALL, None, None)(request, timeout=GUARD_SECONDS)


def silent(channel):
    for _ in channel.unary_stream(f"{SERVICE}/StreamingOutputCall", None, None)(ASKS_FOR_AN_ANSWER_MUCH_LATER, timeout=GUARD_SECONDS):
        pass


def connected(address):
    return linkspan.connect(f"ipv4:{address}", credentials=linkspan.insecure_channel_credentials())


def connections(channel):
    return len(channel.metrics()["connections"])


def until(is_so, what):
    """Waits for an event; the guard time only ends what hangs."""
    end = time.monotonic() + GUARD_SECONDS
    while not is_so():
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {GUARD_SECONDS} s")
        time.sleep(0.02)
