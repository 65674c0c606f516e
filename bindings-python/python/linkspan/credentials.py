"""Channel credentials."""

from __future__ import annotations

import os

from linkspan import _grpcio, _linkspan


class ChannelCredentials:
    """What a channel trusts, and shows to servers. Made by the functions of this module, used for any number of channels."""

    __slots__ = ("_native",)

    def __init__(self, native: _linkspan.Credentials):
        self._native = native


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


def native_credentials(credentials: object) -> _linkspan.Credentials:
    """The native half of ours, or of what grpcio's hold."""
    if isinstance(credentials, ChannelCredentials):
        return credentials._native
    if _grpcio.is_channel_credentials(credentials):
        material = _grpcio.channel_credentials(credentials)
        return _linkspan.Credentials.insecure() if material is None else _linkspan.Credentials.tls(*material)
    raise TypeError(
        f"credentials must be made by linkspan.ssl_channel_credentials or grpc.ssl_channel_credentials, "
        f"not {type(credentials).__name__}"
    )
