"""linkspan, called by threads."""

import client
from blocking import Blocking


def load(arguments):
    import linkspan

    return linkspan


if __name__ == "__main__":
    client.main("linkspan, blocking", load, Blocking)
