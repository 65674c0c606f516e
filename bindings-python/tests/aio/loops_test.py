"""Loops come and go, and leave nothing behind."""

import asyncio
import gc
import os
import threading

import grpc
import pytest
from support.loops import in_loop

from linkspan import aio
from linkspan.aio import _loop

ECHO = "/test.Service/Echo"


def descriptors():
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


def test_one_channel_serves_many_loops_one_after_another(server):
    channel = aio.insecure_channel(server.address)

    async def call():
        return await channel.unary_unary(ECHO)(b"x")

    asyncio.run(call())
    before = descriptors(), threading.active_count()
    for _ in range(100):
        assert asyncio.run(call()) == b"x"
    assert (descriptors(), threading.active_count()) == before
    asyncio.run(channel.close())


def test_one_channel_serves_loops_in_many_threads_at_once(server):
    channel = aio.insecure_channel(server.address)
    wrong = []

    async def calls(name):
        for number in range(100):
            message = f"{name} {number}".encode()
            if await channel.unary_unary(ECHO)(message) != message:
                wrong.append(message)

    threads = [threading.Thread(target=asyncio.run, args=(calls(name),)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    asyncio.run(channel.close())


def test_a_loop_closed_with_calls_in_flight_leaves_nothing(own_server):
    channel = aio.insecure_channel(own_server.address)

    async def start():
        channel.unary_unary("/test.Service/Hang")(b"")
        await channel.unary_unary(ECHO)(b"x")
        own_server.expect("ARRIVED Hang")

    loop = asyncio.new_event_loop()
    loop.run_until_complete(start())
    loop.close()
    before = descriptors()
    for _ in range(20):
        loop = asyncio.new_event_loop()
        loop.run_until_complete(start())
        loop.close()
    del loop
    assert descriptors() <= before
    # What completes for those loops now is dropped.
    asyncio.run(channel.close())


@in_loop
async def test_the_reader_is_there_only_while_calls_are_in_flight(server):
    loop = asyncio.get_running_loop()
    async with aio.insecure_channel(server.address) as channel:
        call = channel.unary_unary(ECHO)(b"x")
        assert loop in _loop._by_loop
        await call
        # Once round the loop: a next call right away would have kept it.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert loop not in _loop._by_loop


@in_loop
async def test_a_batch_larger_than_one_turn_arrives_whole(server, monkeypatch):
    monkeypatch.setattr(_loop, "MOST_PER_TURN", 1)
    monkeypatch.setattr(_loop, "_BATCH", 2)
    async with aio.insecure_channel(server.address) as channel:
        messages = [str(number).encode() for number in range(200)]
        assert await asyncio.gather(*map(channel.unary_unary(ECHO), messages)) == messages


def test_awaiting_a_call_in_another_loop_is_refused(own_server):
    channel = aio.insecure_channel(own_server.address)

    async def start():
        return channel.unary_unary("/test.Service/Hold")(b"x")

    async def wait(call):
        await call

    loop = asyncio.new_event_loop()
    call = loop.run_until_complete(start())
    with pytest.raises(RuntimeError, match="another event loop"):
        asyncio.run(wait(call))
    loop.run_until_complete(channel.close())
    loop.close()


@in_loop
async def test_the_loops_debug_mode_finds_nothing_to_complain_about(server):
    asyncio.get_running_loop().set_debug(True)
    async with aio.insecure_channel(server.address) as channel:
        assert await channel.unary_unary(ECHO)(b"x") == b"x"


def test_a_keyboard_interrupt_in_a_users_deserializer_loses_no_other_completion(server):
    channel = aio.insecure_channel(server.address)
    loop = asyncio.new_event_loop()

    def interrupt(message):
        raise KeyboardInterrupt

    async def calls():
        broken = channel.unary_unary(ECHO, response_deserializer=interrupt)(b"x")
        others = [channel.unary_unary(ECHO)(b"y") for _ in range(50)]
        return await broken.code(), [await other for other in others]

    task = loop.create_task(calls())
    with pytest.raises(KeyboardInterrupt):
        loop.run_until_complete(task)
    assert loop.run_until_complete(task) == (grpc.StatusCode.INTERNAL, [b"y"] * 50)
    loop.run_until_complete(channel.close())
    loop.close()
