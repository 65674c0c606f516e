"""`multiprocessing` with the fork start method: workers use what they inherited."""

from support.processes import run_program

START = """
import concurrent.futures, multiprocessing, sys, threading
import linkspan

channel = linkspan.insecure_channel(sys.argv[1])
echo = channel.unary_unary("/test.Service/Echo")
fork = multiprocessing.get_context("fork")

def inherited(number):
    return int(echo(str(number).encode(), timeout=20))

def own(number):
    with linkspan.insecure_channel(sys.argv[1]) as channel:
        return int(channel.unary_unary("/test.Service/Echo")(str(number).encode(), timeout=20))

assert inherited(7) == 7
"""


def test_pools_of_workers_make_calls_while_the_parent_does(own_server):
    program = """
is_over, errors = threading.Event(), []
def traffic():
    while not is_over.is_set():
        try:
            inherited(1)
        except BaseException as error:
            errors.append(error)
threads = [threading.Thread(target=traffic) for _ in range(4)]
for thread in threads:
    thread.start()
numbers = list(range(60))
with fork.Pool(4, maxtasksperchild=10) as pool:
    assert pool.map(inherited, numbers, chunksize=1) == numbers
    assert pool.map(own, numbers, chunksize=1) == numbers
with concurrent.futures.ProcessPoolExecutor(3, mp_context=fork) as pool:
    assert list(pool.map(inherited, numbers)) == numbers
is_over.set()
for thread in threads:
    thread.join()
assert errors == [], errors
assert channel.metrics()["connect_attempts"] == 1
"""
    run_program(START + program, own_server.address)


def test_processes_answer_through_queues_and_end(own_server):
    program = """
answers = fork.SimpleQueue()
workers = [fork.Process(target=lambda number=number: answers.put(inherited(number))) for number in range(20)]
for worker in workers:
    worker.start()
assert sorted(answers.get() for _ in workers) == list(range(20))
for worker in workers:
    worker.join(20)
    assert worker.exitcode == 0, worker
"""
    run_program(START + program, own_server.address)
