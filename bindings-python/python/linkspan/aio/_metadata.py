"""Metadata of the asyncio face: an ordered multi-map."""

from __future__ import annotations

from collections.abc import Collection, Iterator


class Metadata(Collection):
    """Keys with one or more values each. Indexing gives and sets the first value of a key; iterating gives all pairs."""

    __slots__ = ("_values",)

    def __init__(self, *pairs: tuple[str, str | bytes]):
        self._values: dict[str, list[str | bytes]] = {}
        for key, value in pairs:
            self.add(key, value)

    @classmethod
    def from_tuple(cls, pairs) -> Metadata:
        """From pairs, or from None for none."""
        return cls(*pairs) if pairs else cls()

    @classmethod
    def _create(cls, raw_metadata) -> Metadata:
        """From whatever a caller passes as metadata; interceptors written for grpc.aio use it."""
        if isinstance(raw_metadata, Metadata):
            return raw_metadata
        return cls.from_tuple(raw_metadata)

    def add(self, key: str, value: str | bytes) -> None:
        """Adds a value behind those the key has."""
        self._values.setdefault(key, []).append(value)

    def __len__(self) -> int:
        """How many pairs there are."""
        return sum(map(len, self._values.values()))

    def __getitem__(self, key: str) -> str | bytes:
        return self._values[key][0]

    def __setitem__(self, key: str, value: str | bytes) -> None:
        """Replaces the key's first value."""
        if key in self._values:
            self._values[key][0] = value
        else:
            self._values[key] = [value]

    def __delitem__(self, key: str) -> None:
        """Removes the key's first value, and the key with its last."""
        values = self._values[key]
        del values[0]
        if not values:
            del self._values[key]

    def delete_all(self, key: str) -> None:
        """Removes the key."""
        del self._values[key]

    def __iter__(self) -> Iterator[tuple[str, str | bytes]]:
        for key, values in self._values.items():
            for value in values:
                yield key, value

    def __contains__(self, key: object) -> bool:
        return key in self._values

    def keys(self):
        """The distinct keys."""
        return self._values.keys()

    def values(self):
        """The list of values of each key."""
        return self._values.values()

    def items(self):
        """Each key with its list of values."""
        return self._values.items()

    def get(self, key: str, default=None):
        """The key's first value."""
        return self._values[key][0] if key in self._values else default

    def get_all(self, key: str) -> list[str | bytes]:
        """All values of the key."""
        return list(self._values.get(key, ()))

    def set_all(self, key: str, values: list[str | bytes]) -> None:
        """Replaces all values of the key."""
        self._values[key] = list(values)

    def __eq__(self, other: object) -> bool:
        try:
            return list(self) == [tuple(pair) for pair in other]
        except TypeError:
            return NotImplemented

    def __add__(self, other) -> Metadata:
        return Metadata(*self, *other)

    def __repr__(self) -> str:
        return f"Metadata({tuple(self)!r})"

    __hash__ = None
