"""Makes, lists and revokes keys of the gateway; one that runs sees every change at once.

`python -m deploy.serve.keys new --name ci --roles mayor --file F` prints a new key this once and keeps only its hash.

A key a line: the key itself or `sha256:HEX`, then what it may do: `name=ci roles=mayor,crew admin rate=60/m streams=4`.
"""

from __future__ import annotations

import argparse
import os
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path

from deploy.adapter import Refusal
from deploy.serve.key_line import Key, fingerprint, parse_keys

PREFIX = "sk-forge-"
# 256 random bits: nobody finds such a key from its hash, so a plain SHA-256 is as good here as a slow one.
RANDOM_BYTES = 32


def main(argv: Sequence[str] | None = None) -> int:
    """The command line: 0, or 1 with one sentence."""
    options = parser().parse_args(argv)
    try:
        options.action(options)
    except (Refusal, ValueError, OSError) as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 1
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    result = argparse.ArgumentParser(prog="python -m deploy.serve.keys", description=(__doc__ or "").split("\n")[0])
    actions = result.add_subparsers(required=True, metavar="ACTION")
    new = actions.add_parser("new", help="make a key, print it once, keep its hash")
    new.add_argument("--name", required=True, help="who uses it; shown in metrics and captures")
    new.add_argument("--roles", default="", metavar="A,B", help="roles that it may use; all where this is left out")
    new.add_argument("--admin", action="store_true", help="it may promote, roll back and see the status page")
    new.add_argument("--rate", default="", metavar="N/m", help="requests a second, minute or hour: 5/s, 60/m, 1000/h")
    new.add_argument("--streams", default="", metavar="N", help="answers at the same time")
    new.set_defaults(action=make)
    listing = actions.add_parser("list", help="the keys of a file by name, without what could be used")
    listing.set_defaults(action=show)
    revoke = actions.add_parser("revoke", help="take a key out")
    revoke.add_argument("--name", required=True)
    revoke.set_defaults(action=remove)
    for action in (new, listing, revoke):
        action.add_argument(
            "--file", required=True, type=Path, metavar="FILE", help="the key file of configs/serve.yml"
        )
    return result


def make(options: argparse.Namespace) -> None:
    """`new`: refuses a name that is taken, and scopes that say nothing."""
    key = PREFIX + secrets.token_urlsafe(RANDOM_BYTES)
    scopes = [f"name={options.name}", *(["admin"] if options.admin else [])]
    scopes += [f"{word}={value}" for word in ("roles", "rate", "streams") if (value := getattr(options, word))]
    line = " ".join([f"sha256:{fingerprint(key.encode()).hex()}", *scopes])
    text = options.file.read_text("utf-8") if options.file.exists() else ""
    # All lines together, so that a name is found that is there already.
    parse_keys(f"{text.rstrip()}\n{line}\n".lstrip(), options.file.name)
    append(options.file, line, text)
    print(key)
    print(f"{options.file} holds its hash. The key itself is shown this once.", file=sys.stderr)


def append(file: Path, line: str, before: str) -> None:
    """One write at the end, so that a gateway that reads meanwhile sees the whole line or none of it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    stream = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.fchmod(stream, 0o600)
        os.write(stream, f"{'' if before.endswith(chr(10)) or not before else chr(10)}{line}\n".encode())
    finally:
        os.close(stream)


def show(options: argparse.Namespace) -> None:
    """`list`."""
    for key in parse_keys(options.file.read_text("utf-8"), options.file.name):
        print(described(key))


def described(key: Key) -> str:
    """A key as people may see it: the start of its hash leads to the line and to nothing else."""
    roles = "all roles" if key.roles is None else ", ".join(sorted(key.roles))
    limits = [f"rate {key.rate}" if key.rate else "", f"{key.streams} streams" if key.streams else ""]
    return "; ".join(
        [f"{key.name} (sha256 {key.digest.hex()[:8]})", roles, *(["admin"] if key.admin else []), *filter(None, limits)]
    )


def remove(options: argparse.Namespace) -> None:
    """`revoke`: the file without that line; comments stay."""
    lines = options.file.read_text("utf-8").splitlines(keepends=True)
    kept = [line for line in lines if all(key.name != options.name for key in parse_keys(line, options.file.name))]
    if len(kept) == len(lines):
        raise Refusal(f"{options.file} has no key {options.name}. `list` shows the names.")
    replace(options.file, "".join(kept))
    print(f"{options.name} is revoked.")


def replace(file: Path, text: str) -> None:
    """The whole new file or the old one, for the owner alone."""
    unfinished = file.with_name(f".{file.name}.{os.getpid()}")
    unfinished.unlink(missing_ok=True)
    try:
        with os.fdopen(
            os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8"
        ) as stream:
            stream.write(text)
        unfinished.replace(file)
    finally:
        unfinished.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
