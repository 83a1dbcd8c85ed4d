"""What the machine is: its GPUs, what their driver can do, and whether a process still runs.

Nothing here names the machine itself: what is recorded goes out with the adapter's record.
"""

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

GIB: Final = 2**30
BOOT: Final = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Machine:
    """`gpus` are (name, bytes of memory) that torch can use, `free` the bytes free on the first of them.

    `cuda` is what torch was built for (None: CPU only), `driver_cuda` the newest that the driver can run (None: no
    driver); `bf16` says whether the first GPU computes in it.
    """

    torch: str
    cuda: str | None
    driver_cuda: str | None
    gpus: tuple[tuple[str, int], ...] = ()
    free: int = 0
    bf16: bool = False

    def as_json(self) -> dict[str, Any]:
        return {
            "gpus": [{"name": name, "memory": memory} for name, memory in self.gpus],
            "cpus": os.cpu_count(),
            "cuda": self.cuda,
            "driver_cuda": self.driver_cuda,
        }


def this_machine() -> Machine:
    """Ask torch and the driver; takes the seconds that torch needs to load."""
    import torch

    seen = Machine(str(torch.__version__), torch.version.cuda, driver_cuda(nvidia_smi()))
    if not torch.cuda.is_available():
        return seen
    properties = map(torch.cuda.get_device_properties, range(torch.cuda.device_count()))
    return Machine(
        seen.torch,
        seen.cuda,
        seen.driver_cuda,
        gpus=tuple((card.name, int(card.total_memory)) for card in properties),
        free=int(torch.cuda.mem_get_info(0)[0]),
        bf16=bool(torch.cuda.is_bf16_supported(including_emulation=False)),
    )


def nvidia_smi() -> str:
    """What NVIDIA's tool prints; empty where there is no driver."""
    try:
        said = subprocess.run(["nvidia-smi"], capture_output=True, text=True, check=False, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return said.stdout


def driver_cuda(smi: str) -> str | None:
    """The CUDA version in the head of nvidia-smi's table."""
    match = re.search(r"CUDA(?: UMD)? Version:\s*([\d.]+)", smi)
    return match[1] if match else None


def process_mark(pid: int) -> str | None:
    """A process by number, start time and boot, because numbers are used again; None where it does not run."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
        boot = BOOT.read_text(encoding="utf-8").strip()
    except OSError:
        return None
    # The name in brackets may hold spaces. What follows it are the fields from the third on: the state, and as the
    # twenty-second the start in clock ticks (proc(5)).
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] == "Z" else f"{pid} {fields[19]} {boot}"


def is_alive(mark: str) -> bool:
    """Whether the very process of a mark still runs here."""
    number = mark.split(" ", 1)[0]
    return number.isdigit() and process_mark(int(number)) == mark
