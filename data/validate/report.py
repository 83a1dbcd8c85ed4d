"""A build as one page that needs nothing but itself: numbers, what was left out and why, and rows to read.

`python -m data.validate.report DIR [--out FILE.html] [--megabytes N]` writes the page. Charts and tables are plain
HTML; a small script searches and shows the rows, in which trained, context and left-out text have different colours.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path

from data.files import write_atomically
from data.validate import report_charts as charts
from data.validate.report_rows import embed, pick_rows
from data.validate.rows import DatasetError, open_build
from data.validate.stats import collect
from data.validate.tables import plain, share

HERE = Path(__file__).parent
MEGABYTES = 15  # of row text; a browser opens such a page at once, and it still goes into an e-mail


def build_report(folder: Path, megabytes: float = MEGABYTES) -> str:
    """The page of a finished build. Raises DatasetError where there is none."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    manifest, stats = open_build(folder), collect(folder)
    rows = pick_rows(folder, int(megabytes * 1_000_000))
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"plain": plain, "number": "{:,}".format}
    environment.globals |= {"share": share, "told": charts.told, "charts": charts}
    style, script = ((HERE / name).read_text("utf-8") for name in ("report_page.css", "report_browser.js"))
    return environment.get_template("report.html.jinja").render(
        name=folder.resolve().name,
        manifest=manifest,
        stats=stats,
        shown=len(rows),
        rows=Markup(embed(rows)),
        style=Markup(style),
        script=Markup(script),
        policy=f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; base-uri 'none'",
    )


def _hash(text: str) -> str:
    """The name of an embedded text in the page's content security policy, so that nothing else can run."""
    return f"'sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _write(page: Path, options: argparse.Namespace) -> None:
    """Write the page whole or not at all; say on a terminal that this goes on, since a large build takes seconds."""
    from rich.console import Console

    with Console(stderr=True).status(f"Reading the rows of {options.folder} ..."):
        text = build_report(options.folder, options.megabytes)
    write_atomically(page, text.encode())
    page.chmod(0o644)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m data.validate.report", description="A build as one page.")
    parser.add_argument("folder", type=Path, metavar="DIR", help="the output folder of a build")
    parser.add_argument("--out", type=Path, metavar="FILE.html", help="default: DIR/report.html")
    parser.add_argument(
        "--megabytes", type=float, default=MEGABYTES, metavar="N", help="text of rows at most (default: %(default)s)"
    )
    options = parser.parse_args(arguments)
    out = options.out or options.folder / "report.html"
    try:
        _write(out, options)
    except DatasetError as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{out}: cannot be written ({error.strerror}). Give another file with --out.", file=sys.stderr)
        return 1
    print(f"wrote {out}: open it in a browser")
    return 0


if __name__ == "__main__":
    sys.exit(main())
