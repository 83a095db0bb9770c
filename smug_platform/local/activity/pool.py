"""A collection with random choice, adding and removing in constant time, always in one order."""

from collections.abc import Hashable, Iterator
from random import Random
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)


class Pool(Generic[T]):
    """Items in the order of their coming; a removed one's place is taken by the last.

    >>> pool = Pool([1, 2, 3])
    >>> pool.remove(1); list(pool), 1 in pool, len(pool)
    ([3, 2], False, 2)
    """

    def __init__(self, items: list[T] | None = None) -> None:
        self._items = list(items or [])
        self._places = {item: place for place, item in enumerate(self._items)}

    def add(self, item: T) -> None:
        """Add an item that is not in yet."""
        self._places[item] = len(self._items)
        self._items.append(item)

    def remove(self, item: T) -> None:
        """Take an item out; raises KeyError when it is not in."""
        place, last = self._places.pop(item), self._items.pop()
        if last is not item:
            self._items[place], self._places[last] = last, place

    def pick(self, rng: Random, *, lean: float = 1.0) -> T | None:
        """Some item, or None of an empty pool; a lean above 1 prefers the early ones.

        With a lean of 3, the first 1 % of the items get 22 % of the choices.
        """
        if not self._items:
            return None
        return self._items[int(len(self._items) * rng.random() ** lean)]

    def first(self, count: int) -> list[T]:
        """The first few."""
        return self._items[:count]

    def __contains__(self, item: object) -> bool:
        return item in self._places

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[T]:
        return iter(self._items)
