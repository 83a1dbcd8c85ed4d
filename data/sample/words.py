"""The words of the sample town: its rigs, names, problems and files, and the draw of one set of values.

Ids and cycle numbers stay in 10-799. The evaluation scenarios use 800-999, so that no scenario is in the town.
"""

from collections.abc import Mapping
from random import Random
from typing import Final

RIGS: Final[Mapping[str, str]] = {
    "petals": "pe",
    "harbor": "ha",
    "lantern": "la",
    "orchard": "or",
    "quarry": "qu",
}
NAMES: Final = ("rust", "chrome", "nitro", "ember", "flint", "sable", "topaz", "willow")
SEVERITIES: Final = ("low", "medium", "high", "critical")
PLUGINS: Final = ("compact", "backup", "reaper", "rebuild")
MODULES: Final = (
    "parser",
    "queue",
    "mailer",
    "ledger",
    "router",
    "cache",
    "config",
    "export",
    "search",
    "locks",
)
PATHS: Final = (
    "src/parser.py",
    "src/queue.py",
    "src/mailer.py",
    "src/ledger.py",
    "src/router.py",
    "src/cache.py",
    "src/config.py",
    "src/export.py",
    "src/search.py",
    "src/locks.py",
    "src/rows/reader.py",
    "src/rows/writer.py",
    "src/web/forms.py",
    "src/web/pages.py",
    "lib/clock.py",
    "lib/names.py",
    "lib/retry.py",
    "tools/seed.py",
    "tools/report.py",
    "docs/setup.md",
)
SYMBOLS: Final = (
    "parse_row",
    "max_rows",
    "send_mail",
    "open_queue",
    "page_size",
    "load_config",
    "merge_rows",
    "retry_limit",
    "lock_path",
    "next_token",
    "write_page",
    "cache_ttl",
    "find_route",
    "split_line",
    "user_name",
    "row_count",
    "read_clock",
    "flush_log",
    "start_worker",
    "base_url",
)
PROBLEMS: Final = (
    "login fails after a timeout",
    "the export skips the last row",
    "the cache never expires",
    "search ignores capital letters",
    "mail is sent twice",
    "the queue stalls at midnight",
    "the report shows the wrong year",
    "the page is empty without a filter",
    "long names break the table",
    "the lock stays after a crash",
    "the clock jumps in winter",
    "the router drops the query",
    "retries never stop",
    "the parser chokes on tabs",
    "the config file is read twice",
    "old tokens stay valid",
    "the form loses its comment",
    "the worker leaks memory",
    "totals are rounded too early",
    "the log grows without limit",
)
LOWEST_ID: Final = 10
HIGHEST_ID: Final = 799


def bead_id(rng: Random, rig: str) -> str:
    """A bead id of the rig, such as `pe-42`."""
    return f"{RIGS[rig]}-{rng.randint(LOWEST_ID, HIGHEST_ID)}"


def bead_title(bead: str) -> str:
    """The problem that a bead is about: the same bead has the same title in every session."""
    prefix, number = bead.split("-")
    return PROBLEMS[(int(number) * 7 + ord(prefix[0])) % len(PROBLEMS)]


def draw_values(rng: Random, rig: str | None = None, name: str | None = None) -> dict[str, str]:
    """One value for every slot of the task templates; `rig` and `name` fix the ones of the place."""
    rig = rig or rng.choice(tuple(RIGS))
    bead = bead_id(rng, rig)
    old, new = rng.sample(SYMBOLS, 2)
    return {
        "rig": rig,
        "prefix": RIGS[rig],
        "name": name or rng.choice(NAMES),
        "id": bead,
        "fresh_id": bead_id(rng, rig),
        "title": bead_title(bead),
        "problem": rng.choice(PROBLEMS),
        "p": str(rng.randint(0, 4)),
        "sev": rng.choice(SEVERITIES),
        "n": str(rng.randint(5, 95)),
        "cycle": str(rng.randint(LOWEST_ID, HIGHEST_ID)),
        "plugin": rng.choice(PLUGINS),
        "sha": f"{rng.getrandbits(28):07x}",
        "path": rng.choice(PATHS),
        "old": old,
        "new": new,
        "symbol": rng.choice(SYMBOLS),
        "module": rng.choice(MODULES),
        "line": str(rng.randint(3, 180)),
        "count": str(rng.randint(2, 48)),
    }
