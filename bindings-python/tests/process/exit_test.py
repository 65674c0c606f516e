"""A process ends with its own exit status, whatever is in flight, and nothing of ours keeps it."""

import subprocess
import sys

import pytest
from support.processes import running

START = """
import linkspan, sys, threading
channel = linkspan.insecure_channel(sys.argv[1])

def for_ever():
    yield b"x"
    threading.Event().wait()
"""

SITUATIONS = {
    "a future pending": ("Hang", "pending = channel.unary_unary('/test.Service/Hang').future(b'')"),
    "a stream unread": ("OneThenHang", "pending = channel.unary_stream('/test.Service/OneThenHang')(b'')"),
    "a request iterator waiting": (
        "TalkHanging",
        "pending = channel.stream_stream('/test.Service/TalkHanging')(for_ever()); next(pending)",
    ),
    "a done callback waiting": (
        "Hang",
        "pending = channel.unary_unary('/test.Service/Hang').future(b''); pending.add_done_callback(print)",
    ),
    "a subscriber": (
        "Hang",
        "channel.subscribe(lambda state: None); pending = channel.unary_unary('/test.Service/Hang').future(b'')",
    ),
    "a blocking call in a daemon thread": (
        "Hang",
        "threading.Thread(target=channel.unary_unary('/test.Service/Hang'), args=(b'',), daemon=True).start()",
    ),
    "an asyncio call in a loop that was left": (
        "Hang",
        """
import asyncio
async def start():
    global pending
    pending = channel.aio.unary_unary('/test.Service/Hang')(b'')
loop = asyncio.new_event_loop()
loop.run_until_complete(start())
loop.close()
""",
    ),
}


@pytest.mark.parametrize("situation", SITUATIONS)
def test_the_process_ends_with_its_own_status(own_server, situation):
    method, start = SITUATIONS[situation]
    program = f"{START}\n{start}\nsys.stdin.readline()\nsys.exit(7)\n"

    # It leaves when its standard input ends.
    with running(sys.executable, "-c", program, own_server.address, stdin=subprocess.PIPE) as process:
        own_server.expect(f"ARRIVED {method}")
        process.child.stdin.close()
        assert process.wait() == 7
        own_server.expect(f"ENDED {method}")
