"""Writes the gateway's prompt and answer pairs to a file a day, without secrets and names.

The gateway starts it (`python -m data.capture --out output/captures`) and sends one exchange as a line of JSON at a
time. Nothing is written, and nothing is said, before it is redacted; for each line the fate is answered.
"""

from __future__ import annotations

import argparse
import os
import select
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import msgspec

from data.capture_clean import Cleaner, Exchange, Fate, people_at_home
from data.capture_file import Busy, DayFiles
from data.config import ConfigError, load_config

READY = "ready"
_SAVE_EVERY = 2.0  # seconds of captures that a power cut may cost; a crash of this process costs none
_decoder = msgspec.json.Decoder(Exchange)
_encoder = msgspec.json.Encoder()


def capture(lines: Iterator[bytes | None], clean: Cleaner, files: DayFiles) -> Iterator[Fate]:
    """Write the pairs of the exchanges in some lines, and say what became of each. None stands for a pause."""
    saved = time.monotonic()
    for line in lines:
        if line is not None:
            yield write(line, clean, files)
        if line is None or time.monotonic() - saved > _SAVE_EVERY:
            files.save()
            saved = time.monotonic()


def write(line: bytes, clean: Cleaner, files: DayFiles) -> Fate:
    """Write the pair of one exchange. No error shows what the exchange holds."""
    try:
        exchange = _decoder.decode(line)
        pair = clean(exchange)
        if isinstance(pair, Fate):
            return pair
        content = _encoder.encode(pair)
    except Exception as error:  # an error's words may quote what must not be seen
        _say_once(f"Exchanges that could not be made pairs are left out ({type(error).__name__}).")
        return Fate.BROKEN
    try:
        files.append(time.strftime("%Y-%m-%d", time.gmtime()), content)
    except OSError as error:
        _say_once(f"Pairs could not be written and are left out: {error.strerror}.")
        return Fate.DISK
    return Fate.WRITTEN


@cache
def _say_once(sentence: str) -> None:
    """What goes wrong once may go wrong a thousand times; how often, the fates tell."""
    print(sentence, file=sys.stderr)


def arriving(source: int, patience: float = _SAVE_EVERY) -> Iterator[bytes | None]:
    """The lines that come from a pipe until its other end is closed; None where none came for some seconds."""
    pieces: list[bytes] = []
    while True:
        if not select.select([source], [], [], patience)[0]:
            yield None
            continue
        piece = os.read(source, 1 << 20)
        if not piece:
            return  # half a line is what a gateway that died could not send
        first, *more = piece.split(b"\n")
        pieces.append(first)
        if more:
            yield b"".join(pieces)
            yield from more[:-1]
            pieces = [more[-1]]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m data.capture", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("output/captures"), help="folder of the files")
    parser.add_argument("--config", type=Path, default=Path("configs/data.yml"), help="whose redact and audit count")
    options = parser.parse_args(argv)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the gateway, and its end ends this
    try:
        clean = Cleaner(load_config(options.config), people_at_home())
        files = DayFiles(options.out)
        clean.warm_up()
    except (ConfigError, Busy) as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{options.out}: cannot be written ({error.strerror}). Give another folder with --out.", file=sys.stderr)
        return 1
    for path in files.repaired:
        print(f"{path}: half a line at its end, of a crash, was cut off.", file=sys.stderr)
    _answer(READY)
    try:
        for fate in capture(arriving(sys.stdin.fileno()), clean, files):
            _answer(fate.value)
    except BrokenPipeError:  # the gateway is gone; what it had sent is written
        return 0
    finally:
        files.close()
    return 0


def _answer(word: str) -> None:
    os.write(sys.stdout.fileno(), word.encode() + b"\n")


if __name__ == "__main__":
    sys.exit(main())
