"""What this machine is: its cards, memory, disk and processor, found without loading torch."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

GIB: Final = 2**30
# A card offers a little less than the box says; one with this share of a card's memory counts as one of its size.
ALIKE: Final = 0.97


@dataclass(frozen=True, slots=True)
class Hardware:
    """`kind` is cuda, apple or cpu; `cards` are (name, GiB) of NVIDIA; sizes are in GiB."""

    kind: str
    cards: tuple[tuple[str, float], ...]
    memory_gib: float
    free_disk_gib: float
    cores: int
    python: str
    driver: str = ""

    @property
    def words(self) -> str:
        if self.cards:
            several = f"{len(self.cards)} x " if len(self.cards) > 1 else ""
            return f"CUDA: {several}{self.cards[0][0]}, {self.cards[0][1]:.1f} GiB (driver {self.driver})"
        return "Apple silicon (Metal)" if self.kind == "apple" else "CPU only, no NVIDIA driver answers"


def find_hardware(folder: Path) -> Hardware:
    """This machine, and the room on the disk of `folder`."""
    cards, driver = nvidia_cards()
    apple = platform.system() == "Darwin" and platform.machine() == "arm64"
    return Hardware(
        kind="cuda" if cards else "apple" if apple else "cpu",
        cards=cards,
        memory_gib=round(memory_bytes() / GIB, 1),
        free_disk_gib=round(shutil.disk_usage(existing(folder)).free / GIB, 1),
        cores=os.cpu_count() or 1,
        python=platform.python_version(),
        driver=driver,
    )


def nvidia_cards() -> tuple[tuple[tuple[str, float], ...], str]:
    """(name, GiB) of each card, and the driver's version; nothing where NVIDIA's tool is not there or fails."""
    asked = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader,nounits"]
    try:
        said = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=30).stdout
        lines = [[part.strip() for part in line.split(",")] for line in said.splitlines() if line.strip()]
        cards = tuple((name, round(float(mib) / 1024, 1)) for name, mib, _ in lines)
        return cards, lines[0][2] if lines else ""
    except (OSError, subprocess.SubprocessError, ValueError):
        return (), ""


def memory_bytes() -> int:
    """Of the whole machine; on macOS too."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    whole = folder.absolute()
    return next(part for part in (whole, *whole.parents) if part.exists())


def like(hardware: Hardware) -> str | None:
    """The card of configs/plan/gpus.yml that plans for this machine's first: of its name, else the largest that is no
    larger. None without an NVIDIA card.
    """
    from configs.plan.tables import load_gpus

    if not hardware.cards:
        return None
    name, memory = hardware.cards[0]
    plain = "".join(letter for letter in name.lower() if letter.isalnum())
    gpus = load_gpus()
    fitting = [key for key, gpu in gpus.items() if gpu.memory_gib * ALIKE <= memory]
    named = [key for key in fitting if key.split("-")[0] in plain]
    smallest = min(gpus, key=lambda key: gpus[key].memory_gib)
    return max(named or fitting or [smallest], key=lambda key: gpus[key].memory_gib)
