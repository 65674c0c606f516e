from collections.abc import Iterable
from os import PathLike
from typing import Any, final

__all__ = [
    "CANCELLED_BY_FORK",
    "FIRST_CREDIT",
    "VERSION",
    "ActiveCall",
    "AuthRequest",
    "CallCredentials",
    "Channel",
    "Credentials",
    "LoopCall",
    "LoopQueue",
    "Method",
    "Outcome",
    "Watch",
    "log_to_python",
    "next_auth_request",
    "next_due",
    "next_log_lines",
    "push_due",
    "snapshot",
]

CANCELLED_BY_FORK: str
FIRST_CREDIT: int
VERSION: str

_Metadata = list[tuple[str, str | bytes]]
_Unpacked = tuple[int, str, _Metadata | None, _Metadata, str, str | None, bool, bool]
_Event = tuple[int, float, int, int, str, str | None, int | None, str]

@final
class Credentials:
    @staticmethod
    def insecure() -> Credentials: ...
    @staticmethod
    def tls(
        root_certificates: bytes | None, private_key: bytes | None, certificate_chain: bytes | None
    ) -> Credentials: ...
    @staticmethod
    def tls_files(
        roots: str | PathLike[str] | None, key: str | PathLike[str] | None, chain: str | PathLike[str] | None
    ) -> Credentials: ...
    @staticmethod
    def local(over_unix_sockets: bool) -> Credentials: ...
    def with_call_credentials(self, of_calls: CallCredentials) -> Credentials: ...
    @property
    def carries_call_credentials(self) -> bool: ...

@final
class CallCredentials:
    @staticmethod
    def plugin(plugin: object) -> CallCredentials: ...
    @staticmethod
    def access_token(token: str) -> CallCredentials: ...
    @staticmethod
    def combined(all: list[CallCredentials]) -> CallCredentials: ...

@final
class AuthRequest:
    @property
    def plugin(self) -> Any: ...
    @property
    def service_url(self) -> str: ...
    @property
    def method_name(self) -> str: ...
    def give(self, given: Iterable[Any] | None) -> bool: ...
    def fail(self, text: str) -> bool: ...

@final
class Method:
    def __new__(cls, method: str | bytes) -> Method: ...
    @property
    def path(self) -> str: ...

@final
class Outcome:
    @property
    def code(self) -> int: ...
    def unpack(self) -> _Unpacked: ...

@final
class ActiveCall:
    def next_message(self) -> bytes | None: ...
    def finish(self) -> None: ...
    def wait_end(self, timeout: float | None = None) -> bool: ...
    def initial(self) -> _Metadata | None: ...
    def outcome(self) -> _Unpacked | None: ...
    @property
    def ended(self) -> bool: ...
    @property
    def peer(self) -> str | None: ...
    def send(self, message: object) -> bool: ...
    def send_all(self, messages: list[Any]) -> None: ...
    def half_close(self) -> None: ...
    def cancel(self, code: int, details: str) -> bool: ...
    def observe(self, token: int) -> bool: ...

@final
class LoopCall:
    def send(self, message: object) -> bool | None: ...
    def half_close(self) -> None: ...
    def read(self, held: int, bytes: int, largest: int) -> int: ...
    def cancel(self, code: int, details: str) -> bool: ...

@final
class LoopQueue:
    def __new__(cls) -> LoopQueue: ...
    def fileno(self) -> int: ...
    def quiet(self) -> None: ...
    def drain(self, most: int) -> tuple[int, list[tuple[int, int, Any, Any]]]: ...

@final
class Watch:
    def cancel(self) -> None: ...

@final
class Channel:
    def __new__(
        cls,
        target: str | bytes,
        credentials: Credentials,
        options: Iterable[tuple[str | bytes, Any]] | None,
        drop_in: bool,
        compression: int | None = None,
    ) -> Channel: ...
    def unary(
        self,
        method: Method,
        request: object,
        timeout: float | None,
        metadata: Iterable[Any] | None,
        wait_for_ready: bool | None,
        compression: int | None = None,
        credentials: CallCredentials | None = None,
    ) -> bytes | Outcome: ...
    def unary_with_outcome(
        self,
        method: Method,
        request: object,
        timeout: float | None,
        metadata: Iterable[Any] | None,
        wait_for_ready: bool | None,
        compression: int | None = None,
        credentials: CallCredentials | None = None,
    ) -> tuple[bytes | None, Outcome]: ...
    def start_unary(
        self,
        method: Method,
        request: object,
        timeout: float | None,
        metadata: Iterable[Any] | None,
        wait_for_ready: bool | None,
        compression: int | None = None,
        credentials: CallCredentials | None = None,
    ) -> ActiveCall: ...
    def start_stream(
        self,
        method: Method,
        request: object | None,
        timeout: float | None,
        metadata: Iterable[Any] | None,
        wait_for_ready: bool | None,
        single_response: bool,
        compression: int | None = None,
        credentials: CallCredentials | None = None,
    ) -> ActiveCall: ...
    def start_unary_on(
        self,
        queue: LoopQueue,
        tag: int,
        method: Method,
        request: object,
        timeout: float | None,
        metadata: Iterable[Any] | None,
        wait_for_ready: bool | None,
        compression: int | None = None,
        credentials: CallCredentials | None = None,
    ) -> LoopCall | Outcome: ...
    def start_stream_on(
        self,
        queue: LoopQueue,
        tag: int,
        method: Method,
        request: object | None,
        timeout: float | None,
        metadata: Iterable[Any] | None,
        wait_for_ready: bool | None,
        single_response: bool,
        compression: int | None = None,
        credentials: CallCredentials | None = None,
    ) -> LoopCall | Outcome: ...
    def state(self, try_to_connect: bool) -> int: ...
    def watch(self, last: int, token: int) -> Watch: ...
    def watch_on(self, queue: LoopQueue, tag: int, last: int) -> Watch: ...
    def events(self, after: int) -> list[_Event]: ...
    def metrics(self) -> dict[str, Any]: ...
    def snapshot(self) -> str: ...
    def reset_connect_backoff(self) -> None: ...
    def close(self, grace: float | None) -> None: ...
    @property
    def is_closed(self) -> bool: ...
    @property
    def target(self) -> str: ...
    @property
    def authority(self) -> str: ...

def snapshot() -> str: ...
def push_due(token: int) -> None: ...
def next_auth_request() -> AuthRequest: ...
def next_due() -> list[int]: ...
def log_to_python(level: str | None) -> None: ...
def next_log_lines() -> list[tuple[str, str, str]]: ...
