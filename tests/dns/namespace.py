"""A network and a resolver configuration of one's own: what runs in here sees no other name server, hosts file or network."""

import contextlib
import os
import pathlib
import subprocess
import tempfile

# Ends in .53 to be known in error texts; in here it is this machine, as every address of `lo` is.
NAME_SERVER = "10.99.0.53"
HOSTS = "127.0.0.1 localhost\n::1 localhost\n"


def command(*program):
    """The command that runs a program in namespaces of its own; without root's rights it needs the kernel's leave for user namespaces."""
    as_user = () if os.geteuid() == 0 else ("--map-root-user",)
    return ("unshare", *as_user, "--net", "--mount", "--", *program)


def why_not():
    """Why this machine makes no namespaces; None when it does."""
    try:
        tried = subprocess.run(command("ip", "link", "set", "lo", "up"), capture_output=True, text=True)
    except OSError as error:
        return str(error)
    return tried.stderr.strip().partition("\n")[0] if tried.returncode else None


class Etc:
    """The files of /etc that decide about names, in this namespace. glibc looks at them before each look-up."""

    def __init__(self, folder):
        self._folder = pathlib.Path(folder)

    def hosts(self, text=""):
        (self._folder / "hosts").write_text(HOSTS + text)

    def resolv_conf(self, text):
        (self._folder / "resolv.conf").write_text(f"nameserver {NAME_SERVER}\n{text}\n")


@contextlib.contextmanager
def entered():
    """To be used once in a process that `command` started: brings the network up, and puts files of ours over those of /etc."""
    for arguments in (("link", "set", "lo", "up"), ("address", "add", f"{NAME_SERVER}/32", "dev", "lo")):
        subprocess.run(("ip", *arguments), check=True)
    with tempfile.TemporaryDirectory(prefix="linkspan-dns-") as folder:
        etc = Etc(folder)
        etc.hosts()
        etc.resolv_conf("")
        (pathlib.Path(folder) / "nsswitch.conf").write_text("hosts: files dns\n")
        for name in ("hosts", "resolv.conf", "nsswitch.conf"):
            # A link into /run, as some systems have it, cannot be covered; what it leads to can.
            place = os.path.realpath(f"/etc/{name}")
            subprocess.run(("mount", "--bind", f"{folder}/{name}", place), check=True)
        try:
            yield etc
        finally:
            for name in ("hosts", "resolv.conf", "nsswitch.conf"):
                subprocess.run(("umount", os.path.realpath(f"/etc/{name}")), check=True)
