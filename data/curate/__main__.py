"""Curation: read the examples of a dataset and approve, reject, edit or trim them; the next build does as you decided.

`python -m data.curate --rows output/datasets` reads the rows and opens a page on this machine; `--terminal` does the
same in the terminal. `--apply`, `--export`, `--import` and `--status` need nobody.
"""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from data.config import ConfigError, DataConfig, load_config, repository_path
from data.validate.rows import DatasetError

if TYPE_CHECKING:
    from data.curate.store import Store

ROWS = Path("output/datasets")
PORT = 18794


def main(argv: Sequence[str] | None = None) -> int:
    """0 when it is done, 1 where some lines of a file were not taken, 2 with a sentence where nothing could be done."""
    options = _parser().parse_args(argv)
    from data.curate.change import Refused

    try:
        return _run(options, load_config(options.config))
    except (ConfigError, DatasetError, Refused) as problem:
        print(problem, file=sys.stderr)
        return 2
    except OSError as problem:
        print(f"{problem.filename or options.database}: {problem.strerror}. Nothing was decided.", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Ended. Every decision is stored.", file=sys.stderr)
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m data.curate", description=__doc__)
    parser.add_argument("--rows", type=Path, help=f"folder of a finished dataset (default {ROWS} where it is there)")
    parser.add_argument("--config", type=Path, default=Path("configs/data.yml"), help="of the dataset, or a pack")
    parser.add_argument(
        "--database", type=Path, help="where decisions are kept (default: curation.decisions in --config)"
    )
    parser.add_argument("--author", default="", help="who decides (default: your user name); rows never name anybody")
    parser.add_argument("--host", default="127.0.0.1", help="a loopback address; the page never opens to others")
    parser.add_argument("--port", type=int, default=PORT, help=f"of the page (default {PORT}; 0 takes a free one)")
    parser.add_argument("--json", action="store_true", help="print results as JSON")
    act = parser.add_mutually_exclusive_group()
    act.add_argument("--terminal", action="store_true", help="decide in this terminal instead of a browser")
    act.add_argument("--apply", type=Path, metavar="FILE", help="take decisions from lines of JSON: key or id, action")
    act.add_argument("--export", type=Path, metavar="FILE", help="write all examples as records that Argilla reads")
    act.add_argument(
        "--import", type=Path, metavar="FILE", dest="import_", help="take responses from Argilla's records"
    )
    act.add_argument("--status", action="store_true", help="say how much is decided")
    return parser


def _run(options: argparse.Namespace, config: DataConfig) -> int:
    from data.curate.guards import Guards
    from data.curate.loopback import check_host
    from data.curate.store import Store

    options.database = options.database or repository_path(config.curation.decisions)
    options.author = options.author.strip() or getpass.getuser()
    check_host(options.host)
    guards = Guards(config)
    with Store(options.database, guards) as store:
        _read(store, options, config)
        if options.terminal:
            from data.curate.terminal import run_terminal

            return run_terminal(store, options.author)
        if options.apply or options.export or options.import_ or options.status:
            return _unattended(store, options)
        from data.curate.serving import serve

        return serve(store, options.author, options.host, options.port, guards)


def _read(store: Store, options: argparse.Namespace, config: DataConfig) -> None:
    """Forget what was asked to be forgotten, and read the dataset where it is another one than before."""
    from data.curate.forgetting import forget
    from data.curate.loading import load
    from data.forgotten import load_forgotten

    forgotten = load_forgotten(repository_path(config.forgotten))
    gone, decisions = forget(store.database, forgotten)
    if gone:
        _say(f"Forgot {gone} examples and {decisions} decisions of sessions in {config.forgotten}.")
    rows = options.rows or (ROWS if (ROWS / "manifest.json").is_file() else None)
    if rows is None:
        if not store.database.execute("SELECT 1 FROM examples LIMIT 1").fetchone():
            raise DatasetError(f"There is nothing to curate: {ROWS} holds no dataset. Run `make all`, or give --rows.")
        return
    read = load(store, rows, forgotten, keep_missing=config.curation.use == "approved")
    if not read.unchanged:
        left_out = f", {read.forgotten} forgotten" if read.forgotten else ""
        _say(f"Read {read.met:,} examples of {rows}: {read.new:,} new{left_out}.")


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr)


def _unattended(store: Store, options: argparse.Namespace) -> int:
    from data.curate import argilla
    from data.curate.apply import apply_file, report, status

    if options.status:
        return status(store, options.json)
    if options.export:
        return report(argilla.export(store, options.export), options.json)
    if options.import_:
        return report(argilla.import_file(store, options.import_, options.author), options.json)
    return report(apply_file(store, options.apply, options.author), options.json)


if __name__ == "__main__":
    sys.exit(main())
