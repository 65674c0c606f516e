"""The only server is down for a while, under calls from fifty channels of one process.

While it is down the channels together try at most twice a second; when it is back the next calls are good. Down is either
refused by the kernel, where the channels' own count of attempts must do, or reset after it was accepted, which the proxy counts.
"""

import time

from faults.caller import Caller
from server.scripted import FaultServer, Proxy

NAME = "restart"
CHANNELS = 50
# The short form only calls faster, to be sooner done.
CALLS_PER_SECOND, SHORT_CALLS_PER_SECOND = 10, 40
CALLS_BEFORE = CHANNELS + 10
# As none may fail by then and channels take turns, each has called.
CALLS_AFTER = CHANNELS + 10
CONNECTS_PER_SECOND = 2
# Without a shared gate fifty channels make fifty attempts at once.
TOLERATED_IN_SHORT = 4
FIRST_GOOD_SECONDS = 1.5

# (how it is down, for how many seconds)
SHORT = (("reset", 3),)
LONG = (("closed", 10), ("reset", 10), ("closed", 60), ("reset", 60))


def run(findings, is_long):
    for how, seconds in LONG if is_long else SHORT:
        outage(findings, how, seconds, CALLS_PER_SECOND if is_long else SHORT_CALLS_PER_SECOND)


def outage(findings, how, seconds, rate):
    with FaultServer() as server, Proxy(server.address) as proxy:
        settings = {"rate": rate, "channels": CHANNELS, "deadline_ms": 2000}
        with Caller(f"ipv4:{proxy.address}", **settings) as caller:
            caller.history.wait_until(lambda told: told.good_since(0) >= CALLS_BEFORE, "every channel has called")
            began = proxy.counts()["now_ms"]
            proxy.do("refuse", how=how)
            proxy.do("cut", how="rst")
            time.sleep(seconds)
            proxy.do("heal")
            ended = proxy.counts()["now_ms"]
            caller.history.wait_until(lambda told: told.good_since(ended) >= CALLS_AFTER, "calls after the return")
            history = caller.finish()
        served, relayed = server.counts(), proxy.counts()
    judge(findings, f"down {seconds} s ({how})", (began, ended), history, served, relayed["connections"])


def judge(findings, title, outage_time, history, served, connections):
    began, ended = outage_time
    early = [call for call in history.failed if call.ended < began]
    findings.must(not early, f"{title}: a call failed before: {early[:1]}")
    findings.must(not served["repeated"], f"{title}: calls ran twice: {served['repeated']}")
    first_good = history.first_good_since(ended)
    findings.figure(f"{title}: first good call after the return", (first_good - ended) / 1000, FIRST_GOOD_SECONDS, "s")
    late = [call for call in history.failed if call.started > first_good]
    findings.figure(f"{title}: calls failed that were started after it", len(late), 0)
    # What the kernel refused, nobody but the channels could count.
    refused = history.done["connect_attempts"] - len(connections)
    meanwhile = [each["opened_ms"] for each in connections if each["was_reset"] and began <= each["opened_ms"] <= ended]
    per_second = (refused + len(meanwhile)) / ((ended - began) / 1000)
    findings.must(0 < per_second <= TOLERATED_IN_SHORT, f"{title}: {per_second:.1f} connects a second")
    findings.figure(f"{title}: connects a second", round(per_second, 2), CONNECTS_PER_SECOND)
    if meanwhile:
        findings.figure(f"{title}: most connects in any second", most_in_a_second(meanwhile))


def most_in_a_second(times):
    """The largest number of these moments within any 1,000 ms."""
    return max(sum(first <= other < first + 1000 for other in times) for first in times)
