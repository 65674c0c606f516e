"""What calls and channels hold, counted: objects, threads, descriptors."""

import asyncio
import gc
import os
import sys
import threading

import linkspan
from linkspan import aio

ECHO = "/test.Service/Echo"


def descriptors():
    return len(os.listdir("/proc/self/fd"))


def tasks():
    return len(os.listdir("/proc/self/task"))


def test_a_closed_channel_leaves_no_descriptor_and_no_thread(server):
    def once():
        with linkspan.insecure_channel(server.address) as channel:
            assert channel.unary_unary(ECHO)(b"x") == b"x"

    # One channel that stays keeps the engine's thread, so that it neither ends nor starts meanwhile.
    with linkspan.insecure_channel(server.address) as stays:
        stays.unary_unary(ECHO)(b"x")
        once()
        before = threading.active_count(), tasks()
        open_before = descriptors()
        for _ in range(200):
            once()
        assert (threading.active_count(), tasks()) == before
        # The sockets are closed by the engine's thread; a later call on it comes after.
        until_at_most(open_before, stays)


def until_at_most(wanted, channel):
    for _ in range(1000):
        channel.unary_unary(ECHO)(b"x")
        if descriptors() <= wanted:
            return
    assert descriptors() <= wanted


def test_a_plain_unary_call_makes_no_object_that_outlives_it(channel):
    call = channel.unary_unary(ECHO)
    call(b"x")
    gc.collect()
    gc.disable()
    try:
        before = len(gc.get_objects())
        for _ in range(100):
            call(b"x")
        assert len(gc.get_objects()) - before < 10
    finally:
        gc.enable()


def test_a_large_request_is_lent_to_the_engine_and_comes_back(server):
    # Two, so that what one call leaves cannot pass for what the next one needs.
    requests = bytes(1 << 20), bytes(3 << 20)
    before = [sys.getrefcount(request) for request in requests]

    async def in_a_loop():
        async with aio.insecure_channel(server.address) as channel:
            return [await channel.unary_unary(ECHO)(request) for request in requests]

    with linkspan.insecure_channel(server.address) as channel:
        call = channel.unary_unary(ECHO)
        assert [call(request) for request in requests] == list(requests)
        assert list(channel.stream_stream("/test.Service/Talk")(list(requests))) == list(requests)
        assert asyncio.run(in_a_loop()) == list(requests)
        for _ in range(1000):
            # The engine may be done with a request only after its response came; later calls bring it back.
            call(b"x")
            if [sys.getrefcount(request) for request in requests] == before:
                break
        assert [sys.getrefcount(request) for request in requests] == before


def test_blocking_calls_start_no_thread_beside_the_engines(channel):
    call = channel.unary_unary(ECHO)
    call(b"x")
    before = tasks()
    for _ in range(100):
        call(b"x")
        call.future(b"x").result()
        list(channel.unary_stream("/test.Service/Count")(b"3"))
    assert tasks() == before


def test_the_engines_thread_ends_after_the_last_channel():
    from support.processes import run_program, running_server

    program = """
import linkspan, os, sys, time
with linkspan.insecure_channel(sys.argv[1]) as channel:
    channel.unary_unary("/test.Service/Echo")(b"x")
    assert len(os.listdir("/proc/self/task")) == 2
del channel
deadline = time.monotonic() + 30
while len(os.listdir("/proc/self/task")) > 1:
    assert time.monotonic() < deadline, "the engine's thread stays"
    time.sleep(0.01)
with linkspan.insecure_channel(sys.argv[1]) as channel:
    assert channel.unary_unary("/test.Service/Echo")(b"x") == b"x"
"""
    with running_server() as server:
        run_program(program, server.address)
