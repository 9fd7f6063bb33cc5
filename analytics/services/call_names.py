"""Which operations and addresses of each service have figures of their own: a bounded number.

A service that names its operations by their arguments, or that calls an address for each of its
users, must not fill the store. Names that came yesterday or today keep their room whatever else
comes; those that came last before that make room.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import partial
from hashlib import blake2b

from analytics.choices import NameKind
from analytics.domain.name_limits import OTHER_OPERATIONS, OTHER_PEERS
from analytics.selectors.name_limits import most_of
from analytics.services.catalogue import Catalogue, Refusals
from analytics.services.folds import Folds
from analytics.services.grouping import Recent

# A name, and the service whose it is.
Name = tuple[str, str]


class Named:
    """As what the names of one batch are counted; what has no room is noted in its folds."""

    def __init__(self, operations: set[Name], peers: set[Name], folds: Folds) -> None:
        self._operations, self._peers, self._folds = operations, peers, folds

    def operation(self, service: str, name: str) -> str:
        """As what a span of this name is counted."""
        if (service, name) in self._operations:
            return name
        self._folds.add(NameKind.OPERATION, service, name)
        return OTHER_OPERATIONS

    def peer(self, caller: str, peer: str) -> str:
        """As what a call of this address is counted."""
        if (caller, peer) in self._peers:
            return peer
        self._folds.add(NameKind.PEER, caller, peer)
        return OTHER_PEERS

    def has_peer(self, caller: str, peer: str) -> bool:
        """Whether the address has figures of its own."""
        return (caller, peer) in self._peers


class CallNames:
    """The names that this thread knows to have room; the others are asked for, a batch at once."""

    def __init__(self) -> None:
        self._rooms = {kind: _Room(kind) for kind in (NameKind.OPERATION, NameKind.PEER)}

    def of(
        self, operations: Iterable[Name], peers: Iterable[Name], folds: Folds, at: datetime
    ) -> Named:
        """Make room for the names of a batch as far as there is some, first come, first served,
        inside the caller's transaction."""
        return Named(
            self._rooms[NameKind.OPERATION].admit(operations, at),
            self._rooms[NameKind.PEER].admit(peers, at),
            folds,
        )


class _Room:
    def __init__(self, kind: NameKind) -> None:
        self._kind = str(kind)
        self._ids: Recent[Name, str] = Recent(8_192)
        self._catalogue = Catalogue(
            "analytics_callname", ("kind", "name"), partial(most_of, kind), f"kind = '{kind}'",
            Refusals(),
        )  # fmt: skip

    def admit(self, names: Iterable[Name], at: datetime) -> set[Name]:
        """Which of the names have room."""
        wanted: dict[str, dict[str, Name]] = {}
        for each in dict.fromkeys(names):
            wanted.setdefault(each[0], {})[self._id(each)] = each
        found: set[Name] = set()
        for service, of_id in sorted(wanted.items()):
            rows = {key: (self._kind, name) for key, (_, name) in of_id.items()}
            found.update(of_id[key] for key in self._catalogue.admit(service, rows, at))
        return found

    def _id(self, name: Name) -> str:
        return self._ids.get(name, lambda: self._made(*name))

    def _made(self, service: str, name: str) -> str:
        data = f"{self._kind}\0{service}\0{name}".encode("utf-8", "replace")
        return blake2b(data, digest_size=16).hexdigest()
