"""Generated stub modules where grpcio is not installed.

A `*_pb2_grpc.py` says `import grpc` for its server half and its experimental functions; its stubs need none of it.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types

from linkspan import _fork

_loading = _fork.Lock()


def load(name: str) -> types.ModuleType:
    """Imports a generated module, for example `"package.service_pb2_grpc"`.

    With grpcio installed this is a plain import. Without, a stand-in for `grpc` exists during the import and no longer;
    what needs the real one (servers, the experimental functions) says so when it is used.
    """
    if name in sys.modules or importlib.util.find_spec("grpc") is not None:
        return importlib.import_module(name)
    with _loading:
        stand_ins = {module.__name__: module for module in (_StandIn("grpc"), _utilities())}
        sys.modules.update(stand_ins)
        try:
            return importlib.import_module(name)
        finally:
            for stand_in in stand_ins:
                sys.modules.pop(stand_in, None)


class _StandIn(types.ModuleType):
    """Enough of `grpc` to define what generated modules define."""

    __version__ = "0"
    # A package, so that `from grpc._utilities import …` looks further.
    __path__: list[str] = []

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        return _NeedsGrpcio(f"{self.__name__}.{name}")


class _NeedsGrpcio:
    """A name of grpcio's that can be passed around but not used."""

    def __init__(self, name: str):
        self._name = name

    def __getattr__(self, name: str) -> _NeedsGrpcio:
        if name.startswith("__"):
            raise AttributeError(name)
        return _NeedsGrpcio(f"{self._name}.{name}")

    def __call__(self, *arguments: object, **named: object) -> None:
        raise ImportError(f"{self._name} needs grpcio, which is not installed: pip install grpcio")


def _utilities() -> types.ModuleType:
    module = types.ModuleType("grpc._utilities")
    # Generated modules refuse a grpcio older than their generator; there is none here to be old.
    module.first_version_is_lower = lambda version, other: False
    return module
