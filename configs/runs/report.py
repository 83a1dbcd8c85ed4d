"""One training as a page: `python -m configs.runs.report mayor` (`make run-report ROLE=mayor`).

RUN is a name under ROOT/checkpoints or ROOT/adapters, or a folder. The page needs nothing but itself: curves, whether
the run over-fitted, which checkpoint is the best, what differs from base.yml, and the rows. A run under way has one
as well, and so has one that failed.
"""

import argparse
import sys
from pathlib import Path

from configs.files import write_text
from configs.runs.page import build_page
from configs.runs.reading import find_run, read_run


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m configs.runs.report", description=__doc__.splitlines()[0])
    parser.add_argument("run", metavar="RUN", help="a run's name, or its folder")
    parser.add_argument("--root", type=Path, default=Path("output"), help="the output folder (default: output)")
    parser.add_argument("--out", type=Path, metavar="FILE.html", help="default: report.html in the run's folder")
    options = parser.parse_args(arguments)
    try:
        folder = find_run(options.run, options.root)
        told = read_run(folder, options.run)
        out = options.out or folder / "report.html"
        write_text(out, build_page(told, folder))
    except ValueError as error:
        print(f"report: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"report: {error.filename}: {error.strerror}.", file=sys.stderr)
        return 1
    if told.overfit:
        print(told.overfit)
    print(f"{told.best_checkpoint}\nwrote {out}: open it in a browser")
    return 0


if __name__ == "__main__":
    sys.exit(main())
