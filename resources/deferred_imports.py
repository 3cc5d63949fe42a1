"""Imports of a vendor's package without the parts of it that nobody here uses.

Belongs here: `deferred`, which lets a module be named at an import and read only when something in
it is asked for. Does not belong here: which parts of which vendor (its own adapter says that).
"""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any


class _Deferred(ModuleType):
    """Stands for a module until an attribute of it is asked for."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            # The import system looks at a module's own names; that is no use of it.
            raise AttributeError(name)
        return getattr(importlib.import_module(self.__name__), name)


@contextmanager
def deferred(*names: str) -> Iterator[None]:
    """Whoever imports one of these modules inside the block gets it at its first use.

    Everyone else, and everyone after the block, imports the module as ever. A module that is there
    already stays what it is.
    """
    stands_in = {name: _Deferred(name) for name in names if name not in sys.modules}
    sys.modules.update(stands_in)
    try:
        yield
    finally:
        for name, module in stands_in.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]
