"""Runs a Lua module in the LuaJIT that nginx uses, in this process: for the edge's pure rules."""

from __future__ import annotations

import ctypes
import json
from pathlib import Path

from cli.toolchain import MissingProgram, Toolchain, library_folders

_NAME = "libluajit-5.1.so.2"


class LuaError(Exception):
    """Lua raised, with its message."""


class LuaJit:
    """One Lua state with a module loaded as the global ``module``."""

    def __init__(self, module: Path) -> None:
        self._lua = _library()
        self._state = ctypes.c_void_p(self._lua.luaL_newstate())
        self._lua.luaL_openlibs(self._state)
        self.run(f"module = dofile({json.dumps(str(module))})")

    def close(self) -> None:
        self._lua.lua_close(self._state)

    def run(self, source: str) -> str | None:
        """The one value that ``source`` returns, as Lua's tostring() has it; None for nil."""
        code = self._lua.luaL_loadstring(self._state, f"{source}".encode())
        code = code or self._lua.lua_pcall(self._state, 0, 1, 0)
        result: bytes | None = self._lua.lua_tolstring(self._state, -1, None)
        self._lua.lua_settop(self._state, 0)
        if code:
            raise LuaError((result or b"").decode())
        return None if result is None else result.decode()


def _library() -> ctypes.CDLL:
    folders = [Path("/usr/lib"), *Path("/usr/lib").glob("*-linux-gnu*")]
    for packages in Toolchain.from_environment().package_folders:
        folders = library_folders(packages) + folders
    path = next((folder / _NAME for folder in folders if (folder / _NAME).is_file()), None)
    if path is None:
        raise MissingProgram(_NAME)
    library = ctypes.CDLL(str(path))
    library.luaL_newstate.restype = ctypes.c_void_p
    library.lua_tolstring.restype = ctypes.c_char_p
    state, number, text = ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p
    library.luaL_openlibs.argtypes = [state]
    library.lua_close.argtypes = [state]
    library.luaL_loadstring.argtypes = [state, text]
    library.lua_pcall.argtypes = [state, number, number, number]
    library.lua_tolstring.argtypes = [state, number, ctypes.c_void_p]
    library.lua_settop.argtypes = [state, number]
    return library
