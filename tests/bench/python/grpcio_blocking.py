"""grpcio, called by threads."""

import client
from blocking import Blocking


def load(arguments):
    import grpc

    return grpc


if __name__ == "__main__":
    client.main("grpcio, blocking", load, Blocking)
