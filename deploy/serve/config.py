"""configs/serve.yml as typed values.

`load_config(file)` returns a `ServeConfig` or raises `ConfigError` with every problem at once.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import msgspec

from configs.strict_yaml import ConfigError, load_mapping
from deploy.pack import Prefix, read_packs
from deploy.serve.engine_config import EngineConfig, LlamaServer
from deploy.serve.engine_config import problems as engine_problems
from deploy.serve.key_line import Rate
from deploy.serve.keyring import VARIABLE, KeyRing

Count = Annotated[int, msgspec.Meta(ge=1)]
Seconds = Annotated[float, msgspec.Meta(gt=0)]
Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]


class LimitsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much one key, and all of them together, may take. A key's own line in the key file says otherwise."""

    body_bytes: Count = 4_194_304
    """of one request"""
    rate: str = "3000/m"
    """requests of one key"""
    streams: Count = 64
    """answers at the same time for one key"""
    at_once: Count = 64
    """requests that the engine has at the same time, of all keys; it has slots of its own"""
    waiting: Annotated[int, msgspec.Meta(ge=0)] = 128
    """requests that wait for one of those; what comes later is told to come back"""


class TimeoutsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Seconds."""

    body: Seconds = 30.0
    """until a client has sent its whole request"""
    queue: Seconds = 30.0
    """until a waiting request is answered with 503"""
    connect: Seconds = 2.0
    """until the engine takes a connection"""
    first_byte: Seconds = 300.0
    """until the engine begins to answer: it reads the prompt first, which takes long on a CPU"""
    idle: Seconds = 60.0
    """between two parts of an answer, on either side: a client that stops reading is left then"""
    total: Seconds = 1800.0
    """for a whole answer"""
    drain: Seconds = 30.0
    """for the answers that are under way when the gateway is stopped"""


class CaptureConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Prompts and answers, kept for training. Nobody's are unless `enabled` is set."""

    enabled: bool = False
    folder: str = "output/captures"
    rules: str = "configs/data.yml"
    """whose redaction is used, the same as for transcripts"""


class ServeConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the gateway listens, what it serves, and for whom."""

    host: str = "127.0.0.1"
    port: Port = 18793
    root: str = "output"
    """the folder with registry.db, adapters and exports"""
    prefix: Prefix = "gastown"
    """roles are also called PREFIX-ROLE:latest and PREFIX-ROLE:v3, as clients of Ollama write them"""
    packs: tuple[str, ...] = ()
    """packs, or folders of them: what they say of names and sampling holds for their roles"""
    keys_file: str = ""
    """keys, one a line; further ones come from FORGE_API_KEYS"""
    engine: EngineConfig = LlamaServer()
    limits: LimitsConfig = LimitsConfig()
    timeouts: TimeoutsConfig = TimeoutsConfig()
    capture: CaptureConfig = CaptureConfig()


def load_config(file: Path) -> ServeConfig:
    """The configuration in `file`; raises `ConfigError` with every problem of it at once."""
    given = load_mapping(file)
    problems = list(mistakes(given, ServeConfig, ()))
    if problems:
        raise ConfigError(f"{file}: {problem}" for problem in problems)
    config = msgspec.convert(given, ServeConfig, strict=True)
    problems = [*engine_problems(config.engine), *wrong_values(config)]
    if problems:
        raise ConfigError(f"{file}: {problem}" for problem in problems)
    return config


def mistakes(given: Any, kind: Any, at: tuple[str, ...]) -> Iterator[str]:
    """What does not fit the types: one field after the other, as msgspec stops at the first."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and isinstance(given, dict):
        known = get_type_hints(kind, include_extras=True)
        for name, value in given.items():
            if name not in known:
                yield f"{'.'.join((*at, str(name)))}: there is no such setting. There are {', '.join(known)}."
            else:
                yield from mistakes(value, known[name], (*at, str(name)))
        return
    try:
        msgspec.convert(given, kind, strict=True)
    except msgspec.ValidationError as problem:
        reason, _, inner = str(problem).partition(" - at `$")
        yield f"{'.'.join(at) or 'the file'}{inner.rstrip('`')}: {reason[0].lower()}{reason[1:]}."


def wrong_values(config: ServeConfig) -> Iterator[str]:
    """What the types cannot say."""
    try:
        Rate.parse(config.limits.rate)
    except ValueError as problem:
        yield f"limits.rate: {problem}."
    try:
        read_packs(config.packs)
    except ConfigError as error:
        yield from (f"packs: {problem}" for problem in error.problems)
    if config.host != "localhost" and not is_address(config.host):
        yield f"host: {config.host!r} is no IP address. 127.0.0.1 is this machine alone, 0.0.0.0 everybody."
    try:
        required = key_ring(config).required
    except OSError as problem:
        file = config.keys_file
        yield f"keys_file: {file} cannot be read ({problem.strerror}). Make a first key: {NEW_KEY} --file {file}"
    except ValueError as problem:
        yield from (f"keys_file: {line}" for line in str(problem).splitlines())
    else:
        if not required and not is_loopback(config.host):
            yield (
                f"host: {config.host} is reachable from elsewhere, and there are no keys. Set keys_file or {VARIABLE} "
                f"({NEW_KEY} --file FILE), or listen on 127.0.0.1."
            )


NEW_KEY = "python -m deploy.serve.keys new --name NAME"


def key_ring(config: ServeConfig) -> KeyRing:
    """The keys of the file and of the environment; raises ValueError or OSError."""
    return KeyRing(Path(config.keys_file) if config.keys_file else None, os.environ.get(VARIABLE, ""))


def is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether an address is this machine's own, `::ffff:127.0.0.1` included."""
    if host == "localhost":
        return True
    if not is_address(host):
        return False
    address = ipaddress.ip_address(re.sub(r"(?i)^::ffff:(?=\d+\.)", "", host))
    return address.is_loopback
