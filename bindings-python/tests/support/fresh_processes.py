"""A program whose children start anew: fresh_processes.py ADDRESS METHOD, where METHOD is spawn or forkserver.

A file, because such a child imports what it is to run. Each child makes calls on a channel of its own while the parent does on
its own.
"""

import multiprocessing
import sys

import linkspan

ECHO = "/test.Service/Echo"
CHILDREN = 2


def call(channel, number):
    return int(channel.unary_unary(ECHO)(str(number).encode(), timeout=20))


def work(address, number, answers):
    with linkspan.insecure_channel(address) as channel:
        answers.put((call(channel, number), channel.metrics()["connect_attempts"]))


def main(address, method):
    context = multiprocessing.get_context(method)
    with linkspan.insecure_channel(address) as channel:
        assert call(channel, 7) == 7
        answers = context.SimpleQueue()
        workers = [context.Process(target=work, args=(address, number, answers)) for number in range(CHILDREN)]
        for worker in workers:
            worker.start()
        assert call(channel, 8) == 8
        assert sorted(answers.get() for _ in workers) == [(number, 1) for number in range(CHILDREN)]
        for worker in workers:
            worker.join(20)
            assert worker.exitcode == 0, worker
        assert call(channel, 9) == 9
        assert channel.metrics()["connect_attempts"] == 1


if __name__ == "__main__":
    main(*sys.argv[1:])
