"""A network and a resolver configuration of one's own: what runs in here sees no other name server, hosts file or network."""

import contextlib
import fcntl
import os
import pathlib
import socket
import struct
import subprocess
import sys
import tempfile

# Ends in .53 to be known in error texts. All of 127/8 is this machine, so nothing has to be added to `lo`.
NAME_SERVER = "127.99.0.53"
LOOPBACK = ("127.0.0.1 localhost", "::1 localhost")
# What would answer in place of the files.
NSCD_SOCKET = "/var/run/nscd/socket"

# linux/sockios.h and linux/if.h, for a machine without iproute2.
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
INTERFACE_FLAGS = struct.Struct("16sh14x")


def command(*program):
    """The command that runs a program in namespaces of its own; without root's rights it needs the kernel's leave for user namespaces."""
    as_user = () if os.geteuid() == 0 else ("--map-root-user",)
    return ("unshare", *as_user, "--net", "--mount", "--", *program)


def why_not():
    """Why this machine makes no namespaces with a network of their own; None when it does."""
    return refusal(command(sys.executable, __file__))


def refusal(program):
    """What a program that fails says, or its exit code where it says nothing; None when it succeeds."""
    try:
        tried = subprocess.run(program, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    except OSError as error:
        return str(error)
    if tried.returncode == 0:
        return None
    return tried.stderr.strip().rpartition("\n")[2] or f"{program[0]} ended with exit code {tried.returncode}"


def bring_loopback_up():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = INTERFACE_FLAGS.pack(b"lo", 0)
        name, flags = INTERFACE_FLAGS.unpack(fcntl.ioctl(any_socket, SIOCGIFFLAGS, request))
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, INTERFACE_FLAGS.pack(name, flags | IFF_UP))


def has_ipv6():
    """Whether this machine can be reached by IPv6; known once `lo` is up."""
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


class Etc:
    """The files of /etc that decide about names, in this namespace. glibc looks at them before each look-up."""

    def __init__(self, folder):
        self._folder = pathlib.Path(folder)
        self._loopback = LOOPBACK if has_ipv6() else LOOPBACK[:1]

    def hosts(self, text=""):
        (self._folder / "hosts").write_text("".join(f"{line}\n" for line in self._loopback) + text)

    def resolv_conf(self, text):
        (self._folder / "resolv.conf").write_text(f"nameserver {NAME_SERVER}\n{text}\n")


@contextlib.contextmanager
def entered():
    """To be used once in a process that `command` started: brings the network up, and puts files of ours over those of /etc."""
    bring_loopback_up()
    with tempfile.TemporaryDirectory(prefix="linkspan-dns-") as folder, contextlib.ExitStack() as covers:
        etc = Etc(folder)
        etc.hosts()
        etc.resolv_conf("")
        (pathlib.Path(folder) / "nsswitch.conf").write_text("hosts: files dns\n")
        for name in ("hosts", "resolv.conf", "nsswitch.conf"):
            covers.enter_context(covered(f"/etc/{name}", f"{folder}/{name}"))
        if os.path.exists(NSCD_SOCKET):
            covers.enter_context(covered(NSCD_SOCKET, "/dev/null"))
        yield etc


@contextlib.contextmanager
def covered(place, by):
    """A link into /run, as some systems have it, cannot be covered; what it leads to can, and is made for a while where it is not there."""
    place = pathlib.Path(os.path.realpath(place))
    with contextlib.ExitStack() as made:
        if not place.exists():
            for folder in reversed([folder for folder in place.parents if not folder.exists()]):
                folder.mkdir()
                made.callback(folder.rmdir)
            place.touch()
            made.callback(place.unlink)
        subprocess.run(("mount", "--bind", by, place), check=True)
        made.callback(subprocess.run, ("umount", place), check=True)
        yield


if __name__ == "__main__":
    # What why_not() tries: all that has to be possible before anything is played.
    with entered():
        pass
