"""Credentials of channels and of calls."""

from __future__ import annotations

import enum
import os

from linkspan import _grpcio, _linkspan


class ChannelCredentials:
    """What a channel trusts, and shows to servers. Made by the functions of this module, used for any number of channels."""

    __slots__ = ("_native",)

    def __init__(self, native: _linkspan.Credentials):
        self._native = native


class CallCredentials:
    """What calls show to be allowed. Made by the functions of this module; for all calls of a channel, or for one call."""

    __slots__ = ("_native",)

    def __init__(self, native: _linkspan.CallCredentials):
        self._native = native


class AuthMetadataPlugin:
    """Derive from it and define `__call__(self, context, callback)`; any function with these arguments will do as well.

    It calls `callback(metadata, error)` once, now or later, from any thread: with metadata and None, or with an error.
    """

    def __call__(self, context, callback) -> None:
        raise NotImplementedError


class LocalConnectionType(enum.Enum):
    """Connections that stay on this machine."""

    UDS = 0
    LOCAL_TCP = 1


def ssl_channel_credentials(
    root_certificates: bytes | None = None,
    private_key: bytes | None = None,
    certificate_chain: bytes | None = None,
) -> ChannelCredentials:
    """TLS. Everything is PEM; without `root_certificates` the system's are trusted."""
    for name, value in (
        ("root_certificates", root_certificates),
        ("private_key", private_key),
        ("certificate_chain", certificate_chain),
    ):
        if value is not None and not isinstance(value, bytes):
            raise TypeError(f"{name} must be PEM bytes or None, not {type(value).__name__}")
    return ChannelCredentials(_linkspan.Credentials.tls(root_certificates, private_key, certificate_chain))


def file_channel_credentials(
    *,
    roots: str | os.PathLike[str] | None = None,
    key: str | os.PathLike[str] | None = None,
    chain: str | os.PathLike[str] | None = None,
) -> ChannelCredentials:
    """TLS with PEM from files, which are read again: before each new connection, and as often as `linkspan.tls_reload_interval_ms` says.

    `key` and `chain` go together; without `roots` the system's are trusted. New connections use what is in the files then, those
    there are get successors first and end afterwards. What cannot be used changes nothing; `Channel.events()` tells of it.
    """
    for name, value in (("roots", roots), ("key", key), ("chain", chain)):
        if value is not None and not isinstance(value, (str, os.PathLike)):
            raise TypeError(f"{name} must be a path or None, not {type(value).__name__}")
    return ChannelCredentials(_linkspan.Credentials.tls_files(roots, key, chain))


def insecure_channel_credentials() -> ChannelCredentials:
    """Plaintext, for functions that ask for credentials."""
    return ChannelCredentials(_linkspan.Credentials.insecure())


def local_channel_credentials(local_connect_type=LocalConnectionType.LOCAL_TCP) -> ChannelCredentials:
    """Plaintext that does not leave this machine, and so may carry call credentials; connections to anywhere else fail."""
    # grpcio's members are of another enum with the same names.
    name = getattr(local_connect_type, "name", None)
    if name not in ("UDS", "LOCAL_TCP"):
        raise TypeError(f"local_connect_type must be a member of linkspan.LocalConnectionType, not {local_connect_type!r}")
    return ChannelCredentials(_linkspan.Credentials.local(name == "UDS"))


def metadata_call_credentials(metadata_plugin, name: str | None = None) -> CallCredentials:
    """Metadata that `metadata_plugin(context, callback)` makes anew for each attempt of a call. `name` is for people."""
    from linkspan._plugins import native_plugin

    if not callable(metadata_plugin):
        raise TypeError(f"metadata_plugin must be callable, not {type(metadata_plugin).__name__}")
    return CallCredentials(native_plugin(metadata_plugin))


def access_token_call_credentials(access_token: str) -> CallCredentials:
    """The header `authorization: Bearer <access_token>`."""
    if not isinstance(access_token, str):
        raise TypeError(f"access_token must be str, not {type(access_token).__name__}")
    return CallCredentials(_linkspan.CallCredentials.access_token(access_token))


def composite_call_credentials(*call_credentials) -> CallCredentials:
    """All of these."""
    return CallCredentials(_combined(call_credentials))


def composite_channel_credentials(channel_credentials, *call_credentials) -> ChannelCredentials:
    """These channel credentials, and all of these for every call. They must be secure: not plaintext to anywhere."""
    return ChannelCredentials(native_credentials(channel_credentials).with_call_credentials(_combined(call_credentials)))


def _combined(call_credentials: tuple) -> _linkspan.CallCredentials:
    if not call_credentials:
        raise TypeError("there must be at least one of call_credentials")
    return _linkspan.CallCredentials.combined([native_call_credentials(each) for each in call_credentials])


def native_credentials(credentials: object) -> _linkspan.Credentials:
    """The native half of ours, or of what grpcio's hold."""
    if isinstance(credentials, ChannelCredentials):
        return credentials._native
    if _grpcio.is_channel_credentials(credentials):
        material, of_calls = _grpcio.channel_credentials(credentials)
        native = _linkspan.Credentials.insecure() if material is None else _linkspan.Credentials.tls(*material)
        return native.with_call_credentials(_of_grpcio(of_calls)) if of_calls else native
    raise TypeError(
        f"credentials must be made by linkspan.ssl_channel_credentials or grpc.ssl_channel_credentials, "
        f"not {type(credentials).__name__}"
    )


def native_call_credentials(credentials: object) -> _linkspan.CallCredentials:
    """The native half of ours, or of what grpcio's hold."""
    if isinstance(credentials, CallCredentials):
        return credentials._native
    if _grpcio.is_call_credentials(credentials):
        return _of_grpcio(_grpcio.call_credentials(credentials))
    raise TypeError(
        f"credentials of a call must be made by linkspan.metadata_call_credentials, "
        f"linkspan.access_token_call_credentials or grpcio's functions of these names, not {type(credentials).__name__}"
    )


def _of_grpcio(plugins: list) -> _linkspan.CallCredentials:
    from linkspan._plugins import native_plugin

    return _linkspan.CallCredentials.combined([native_plugin(plugin, context) for plugin, context in plugins])


_grpcio.counterpart(AuthMetadataPlugin, "AuthMetadataPlugin")
