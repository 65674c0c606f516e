"""The only name server goes down under calls and stays down: they go on with the addresses found before, over new connections too.

Connections are replaced by age meanwhile, so that what was found is dialed again and again, and the name is asked for all the time.
"""

import time

from faults.caller import Caller
from faults.demo_client import DemoClient

NAME = "dns-outage"
CALLS_BEFORE = 20
SHORT_SECONDS, LONG_SECONDS = 20, 300
OPTIONS = {"linkspan.dns_refresh_ms": 2000, "linkspan.max_connection_age_ms": 4000}
# As many queries at least show that the name was asked for more than once, for both families each time.
QUERIES = 4


def run(findings, stage, is_long):
    seconds = LONG_SECONDS if is_long else SHORT_SECONDS
    stage.etc.resolv_conf("options timeout:1 attempts:1")
    stage.dns.tell("steady.test", A=["127.0.0.1"])
    target = f"dns:///steady.test:{stage.port}"
    with Caller(target, rate=20, options=OPTIONS) as caller, DemoClient("c", target, seconds + 5) as in_c:
        caller.history.wait_until(lambda told: told.good_since(0) >= CALLS_BEFORE, "calls before the outage")
        began = time.time() * 1000
        before = len(stage.dns.queries("steady.test"))
        stage.dns.be_silent()
        time.sleep(seconds)
        asked = len(stage.dns.queries("steady.test")) - before
        stage.dns.be_silent(False)
        history, told_by_c = caller.finish(), in_c.finish()
    findings.must(not history.failed, f"calls failed: {history.told()}")
    findings.must(history.good_since(began) > seconds * 10, f"too few calls: {history.told()}")
    findings.must(asked >= QUERIES, f"{asked} queries came while the server was down")
    connects = history.done["connect_attempts"]
    findings.must(connects >= seconds / 8, f"{connects} connects: the addresses were not dialed again")
    findings.must(set(told_by_c["codes"]) == {"OK"}, f"calls in C failed: {in_c.errors[:3]}")
    findings.figure(f"calls in Python in {seconds} s without a name server", history.good_since(began))
    findings.figure("failed calls, in Python and C", len(history.failed) + len(in_c.errors), 0)
    findings.figure("queries without an answer", asked)
    findings.figure("connections made", connects)
