"""The file is the registration: `load("irg_core.corpora", "deepmimic")` imports that module and no other."""

import importlib
import importlib.util
import pkgutil
from types import ModuleType

from irg_core.errors import UnknownPlugin


def names(room: str) -> list[str]:
    """The plug-ins of a room, found by looking at its folder, without importing them."""
    folder = importlib.import_module(room)
    return sorted(module.name for module in pkgutil.iter_modules(folder.__path__))


def load(room: str, name: str) -> ModuleType:
    """Import one plug-in; an unknown name raises `UnknownPlugin`, which lists what exists."""
    found = names(room)
    if name not in found:
        raise UnknownPlugin(f"no '{name}' in {room.replace('.', '/')}; it has: {', '.join(found)}")
    return importlib.import_module(f"{room}.{name}")
