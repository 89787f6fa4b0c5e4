"""Registries: a module registers what it offers, and nothing else has to know."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar, cast

from precompute.errors import UnknownName

T = TypeVar("T")
S = TypeVar("S")


class Registry(Generic[T]):
    """Named things of one kind, found by importing every module of one package.

    Args:
        kind: What is registered, in the words of the glossary.
        package: The package whose modules register.
    """

    def __init__(self, kind: str, package: str) -> None:
        self.kind = kind
        self.package = package
        self._items: dict[str, T] = {}
        self._is_loaded = False

    def register(self, name: str) -> Callable[[S], S]:
        """Return a decorator that registers under `name`; a name taken by another module is refused."""

        def add(item: S) -> S:
            taken = self._items.get(name)
            if taken is not None and getattr(taken, "__module__", None) != getattr(item, "__module__", None):
                first, second = getattr(taken, "__module__", taken), getattr(item, "__module__", item)
                raise ValueError(f"two modules register the {self.kind} {name!r}: {first} and {second}")
            self._items[name] = cast(T, item)
            return item

        return add

    def load_all(self) -> None:
        """Import every module of the package once."""
        if self._is_loaded:
            return
        package = importlib.import_module(self.package)
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{self.package}.{module.name}")
        self._is_loaded = True

    def get(self, name: str) -> T:
        """Return what is registered under `name`.

        Raises:
            UnknownName: Nothing is.
        """
        self.load_all()
        if name not in self._items:
            raise UnknownName(self.kind, name, sorted(self._items))
        return self._items[name]

    def names(self) -> list[str]:
        """Return all registered names, sorted."""
        self.load_all()
        return sorted(self._items)

    def items(self) -> Iterator[tuple[str, T]]:
        """Yield `(name, item)` in order of name."""
        self.load_all()
        yield from sorted(self._items.items())
