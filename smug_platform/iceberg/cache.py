"""What is immutable is read once a process: a cache bounded by weight, shared by threads."""

from collections import OrderedDict
from threading import Lock
from typing import Generic, TypeVar

V = TypeVar("V")


class Cache(Generic[V]):
    """Values by name; past `limit` (the sum of their weights) the least recently used go.

    >>> cache = Cache[str](2)
    >>> for name in "abc":
    ...     cache.put(name, name.upper())
    >>> cache.get("a"), cache.get("c")
    (None, 'C')
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._weight = 0
        self._held: OrderedDict[str, tuple[V, int]] = OrderedDict()
        self._lock = Lock()

    def get(self, name: str) -> V | None:
        """The value of that name, or None."""
        with self._lock:
            if name not in self._held:
                return None
            self._held.move_to_end(name)
            return self._held[name][0]

    def put(self, name: str, value: V, weight: int = 1) -> None:
        """Hold a value; one that weighs more than the limit is not held."""
        with self._lock:
            self._weight += weight - self._held.pop(name, (value, 0))[1]
            self._held[name] = (value, weight)
            while self._weight > self._limit:
                self._weight -= self._held.popitem(last=False)[1][1]
