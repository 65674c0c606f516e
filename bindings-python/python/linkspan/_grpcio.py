"""Everything that knows grpcio. It is never imported from here; it is noticed once somebody else has loaded it.

`except` looks at real base classes only, so an error raised while grpcio is loaded must have grpcio's error among its
bases; without grpcio there is no such class. Hence classes with a counterpart there exist in two variants, and the change
from one to the other happens once: the first time any entry of linkspan finds a fully initialised `grpc`. Objects made
before keep their first variant.
"""

from __future__ import annotations

import sys
import threading

from linkspan import _enums, _fork

# Until grpcio was noticed. Entries test this first, so that afterwards a call pays for one look at a variable.
pending = True

_lock = _fork.Lock(threading.RLock)
_variants: list[Variant] = []
_counterparts: list[tuple[type, str]] = []
_late: list[type] = []


class Variant:
    """A class that gets grpcio's class of the same meaning as a base once grpcio is loaded."""

    __slots__ = ("current", "_counterpart")

    def __init__(self, plain: type, counterpart: str):
        self.current = plain
        self._counterpart = counterpart
        with _lock:
            _variants.append(self)
            if not pending:
                self._adopt(sys.modules["grpc"])

    def _adopt(self, grpc: object) -> None:
        plain = self.current
        body = {"__module__": plain.__module__, "__qualname__": plain.__qualname__, "__doc__": plain.__doc__}
        self.current = type(plain.__name__, (plain, _look_up(grpc, self._counterpart)), body)


class LateGrpcio:
    """Base of classes that `isinstance(object, grpc.…)` must recognise even right after a late `import grpc`.

    Such a test reads `__class__`, which is the one moment to notice grpcio in time. The property goes with this base.
    """

    @property
    def __class__(self) -> type:  # type: ignore[override]
        notice()
        return type(self)

    def __init_subclass__(cls, **arguments: object) -> None:
        super().__init_subclass__(**arguments)
        if LateGrpcio in cls.__bases__:
            with _lock:
                if pending:
                    _late.append(cls)
                else:
                    _settle(cls)


class Settled:
    """Takes the place of `LateGrpcio` once grpcio was noticed."""


def counterpart(ours: type, name: str) -> None:
    """Has `grpc.<name>` accept instances of `ours` once grpcio is loaded."""
    with _lock:
        _counterparts.append((ours, name))
        if not pending:
            _look_up(sys.modules["grpc"], name).register(ours)


def notice() -> None:
    """Changes to grpcio's classes if grpcio is loaded."""
    if pending and "grpc" in sys.modules:
        with _lock:
            grpc = sys.modules.get("grpc")
            if pending and _is_whole(grpc):
                _meet(grpc)


def _is_whole(grpc: object) -> bool:
    """Whether its import has ended; another thread may be in the middle of it, or it is the stand-in of `stubs`."""
    spec = getattr(grpc, "__spec__", None)
    return spec is not None and not getattr(spec, "_initializing", False) and hasattr(grpc, "aio") and hasattr(grpc, "StatusCode")


def _meet(grpc: object) -> None:
    global pending
    # First, because what follows reads `__class__` of classes whose property would come back here.
    pending = False
    _enums.adopt(grpc.StatusCode, grpc.ChannelConnectivity)
    for variant in _variants:
        variant._adopt(grpc)
    for ours, name in _counterparts:
        _look_up(grpc, name).register(ours)
    for cls in _late:
        _settle(cls)
    _late.clear()


def _settle(cls: type) -> None:
    cls.__bases__ = tuple(Settled if base is LateGrpcio else base for base in cls.__bases__)


def _look_up(grpc: object, name: str) -> type:
    found = grpc
    for part in name.split("."):
        found = getattr(found, part)
    return found


def loaded() -> object | None:
    """The module `grpc` once it was noticed."""
    return None if pending else sys.modules.get("grpc")


def is_channel_credentials(credentials: object) -> bool:
    """Whether this is grpcio's own credentials object."""
    grpc = sys.modules.get("grpc")
    return grpc is not None and isinstance(credentials, grpc.ChannelCredentials)


def is_call_credentials(credentials: object) -> bool:
    """Whether this is grpcio's own credentials object for calls."""
    grpc = sys.modules.get("grpc")
    return grpc is not None and isinstance(credentials, grpc.CallCredentials)


def channel_credentials(credentials: object) -> tuple[tuple[bytes | None, bytes | None, bytes | None] | None, list]:
    """What grpcio's credentials hold: None for plaintext, else roots, private key and certificate chain; and the plug-ins of
    calls, as `call_credentials` has them."""
    native = credentials._credentials
    plugins = []
    if type(native).__name__ == "CompositeChannelCredentials":
        plugins = [each for one in native._call_credentialses for each in _plugins_in(one)]
        native = native._channel_credentials
    kind = type(native).__name__
    if kind == "InsecureChannelCredentials":
        return None, plugins
    if kind == "SSLChannelCredentials":
        if getattr(native, "_private_key_signer", None) is None:
            return (native._pem_root_certificates, native._private_key, native._certificate_chain), plugins
        kind = "SSLChannelCredentials with a private key signer"
    raise ValueError(
        f"credentials of grpcio's kind {kind} cannot be taken over; pass linkspan.ssl_channel_credentials(...), "
        "linkspan.local_channel_credentials(...) or linkspan.insecure_channel_credentials() instead"
    )


def call_credentials(credentials: object) -> list:
    """The plug-ins that grpcio's credentials hold, each with the context it is to run in."""
    return list(_plugins_in(credentials._credentials))


def _plugins_in(native: object):
    kind = type(native).__name__
    if kind == "CompositeCallCredentials":
        for each in native._call_credentialses:
            yield from _plugins_in(each)
        return
    wrapper = getattr(native, "_metadata_plugin", None)
    if kind != "MetadataPluginCallCredentials" or not hasattr(wrapper, "_metadata_plugin"):
        raise ValueError(
            f"call credentials of grpcio's kind {kind} cannot be taken over; pass linkspan.metadata_call_credentials(...) instead"
        )
    yield wrapper._metadata_plugin, getattr(wrapper, "_stored_ctx", None)
