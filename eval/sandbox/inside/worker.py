"""One call of an answer, in a process of its own: load the code, evaluate the call, write what came of it as JSON.

The answer shares this process and can do in it what it likes. All it can reach is the result of this one call.
"""

import builtins
import json
import os
import resource
import sys
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from . import kernel, landlock, seccomp

# More than the driver has open.
MANY_FILES = 256
# Used after the answer could change what these names mean.
_compile, _eval, _dumps, _write, _exit = compile, eval, json.dumps, os.write, os._exit
_BUILTINS = dict(vars(builtins))
# What a class says of its bases may be a lie; this is what they are.
_base_of: Callable[[type], type] = type.__dict__["__base__"].__get__


def answer_call(code: str, call: str, pipe: int, settings: Mapping[str, Any]) -> None:
    """Writes the reply to `call` into `pipe` and ends the process. Never returns."""
    try:
        unwritten = _encode(_reply_to(code, call) if (why := _lock_up(pipe, settings)) is None else why)
        while unwritten:
            unwritten = unwritten[_write(pipe, unwritten) :]
    finally:
        _exit(0)


def _lock_up(pipe: int, settings: Mapping[str, Any]) -> dict[str, Any] | None:
    """Leaves the process nothing but its pipe, its folder and its limits; a reply where that cannot be done."""
    try:
        null = os.open(os.devnull, os.O_RDWR)
        for handle in (0, 1, 2):
            os.dup2(null, handle)
        os.closerange(3, pipe)
        os.closerange(pipe + 1, MANY_FILES)
        for name, limit in settings["limits"].items():
            resource.setrlimit(getattr(resource, name), (limit, limit))
        kernel.give_up_privileges()
        if settings["landlock"]:
            landlock.confine(settings["readable"], [settings["folder"], *settings["devices"]])
        seccomp.forbid_calls()
    except OSError as problem:
        return {"kind": "unloadable", "says": f"the sandbox cannot be closed ({problem.strerror})"}
    return None


def _reply_to(code: str, call: str) -> dict[str, Any]:
    module = ModuleType("answer")
    sys.modules["answer"] = module
    try:
        exec(compile(code, "answer.py", "exec", dont_inherit=True), module.__dict__)
    except BaseException as problem:
        return {"kind": "unloadable", "says": _describe(problem)}
    try:
        value = _eval(_compile(call, "test.py", "eval", dont_inherit=True), module.__dict__)
    except BaseException as problem:
        names = {"name": type(problem).__name__, "builtin": _nearest_builtin(problem)}
        return {"kind": "raised", **names, "says": _describe(problem)}
    return {"kind": "value", "value": value} if _is_plain(value) else {"kind": "unusable", "says": _kind_of(value)}


def _is_plain(value: Any, depth: int = 50) -> bool:
    """Whether it is JSON as it is: exact types, keys that are strings. A tuple stands for a list."""
    kind = type(value)
    if kind in (list, tuple):
        return depth > 0 and all(_is_plain(one, depth - 1) for one in value)
    if kind is dict:
        return depth > 0 and all(type(key) is str and _is_plain(one, depth - 1) for key, one in value.items())
    return value is None or kind in (str, int, float, bool)


def _encode(reply: dict[str, Any]) -> bytes:
    try:
        return _dumps(reply, allow_nan=False).encode()
    except (ValueError, RecursionError, MemoryError):
        return _dumps({"kind": "unusable", "says": _kind_of(reply.get("value"))}).encode()


def _nearest_builtin(problem: BaseException) -> str:
    """The first of its class, that class's base and so on that Python itself defines."""
    kind: type = type(problem)
    while _BUILTINS.get(name := str(kind.__name__)) is not kind:
        kind = _base_of(kind)
    return name


def _describe(problem: BaseException) -> str:
    try:
        return f"{type(problem).__name__}: {problem}"[:500]
    except BaseException:
        return type(problem).__name__


def _kind_of(value: object) -> str:
    return f"a {type(value).__name__}"
