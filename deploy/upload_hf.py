"""Publishes an adapter folder to a private repository of the Hugging Face Hub, with a model card of our own.

`python -m deploy.upload_hf output/adapters/mayor --repo ORG/NAME --dry-run` shows what would go up; without
`--dry-run` it goes up, with the token from HF_TOKEN or `hf auth login`. A second run without changes does nothing.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from deploy.adapter import HUB_ID, Adapter, Refusal, read_adapter
from deploy.card import render_card
from deploy.evidence import read_evaluations, read_manifest, read_training
from deploy.staging import Staged

EXIT_REFUSED = 2


def main(argv: Sequence[str] | None = None) -> int:
    """The command line: 0 when the Hub holds these files or the dry run was shown, else 2 with one sentence."""
    options = parser().parse_args(argv)
    quiet_client()
    try:
        publish(options)
    except Refusal as refusal:
        print(f"error: {refusal}", file=sys.stderr)
        return EXIT_REFUSED
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    result = argparse.ArgumentParser(prog="python -m deploy.upload_hf", description=(__doc__ or "").split("\n")[0])
    result.add_argument("folder", type=Path, metavar="DIR", help="adapter folder, such as output/adapters/mayor")
    result.add_argument("--repo", required=True, metavar="ORG/NAME", help="model repository on the Hub; made private")
    result.add_argument(
        "--base-model", metavar="HUB/ID", help="Hub id of the base, where it was trained on a local folder"
    )
    result.add_argument(
        "--eval",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="result of eval.role_bench for the card; repeat it to show the base beside the adapter",
    )
    result.add_argument(
        "--manifest", type=Path, metavar="FILE", help="manifest.json of the training data, for the card"
    )
    result.add_argument("--dry-run", action="store_true", help="list what would go up, with sizes; needs no token")
    return result


def quiet_client() -> None:
    """What we print says it better than the client's log; it reads these settings when it is imported."""
    os.environ.setdefault("HF_HUB_VERBOSITY", "error")
    if not sys.stderr.isatty():
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")


def publish(options: argparse.Namespace) -> None:
    """Stages, checks, and sends or lists; raises `Refusal`."""
    if not HUB_ID.fullmatch(options.repo):
        raise Refusal(
            f"--repo {options.repo} is not a repository name. Write it as ORG/NAME, such as my-town/mayor-lora."
        )
    adapter = read_adapter(options.folder, options.base_model)
    token = "" if options.dry_run else find_token()
    training = read_training(options.folder / "run.json")
    card = render_card(
        adapter,
        options.repo,
        training,
        read_evaluations(options.eval, options.folder),
        read_manifest(options.manifest, training) if options.manifest else None,
    )
    with tempfile.TemporaryDirectory(prefix="upload-") as folder:
        staged = stage_checked(adapter, card, options.repo, Path(folder), token)
        if options.dry_run:
            show(staged, adapter, options.repo)
        else:
            send(staged, options.repo, token)


def find_token() -> str:
    """The token of HF_TOKEN or of the hub's own login."""
    from huggingface_hub import get_token

    token = get_token()
    if not token:
        raise Refusal("there is no token for the Hub. Set HF_TOKEN, or run: hf auth login.")
    return token


def stage_checked(adapter: Adapter, card: str, repo: str, folder: Path, token: str) -> tuple[Staged, ...]:
    """The files as they will be published, scanned for everything private, our tokens included."""
    from deploy.privacy import Guard
    from deploy.staging import stage

    guard = Guard((token, os.environ.get("HF_TOKEN", "")), (repo, adapter.base_model))
    return stage(adapter, card, folder, guard)


def show(staged: Sequence[Staged], adapter: Adapter, repo: str) -> None:
    """Prints the files of a dry run as a table."""
    from rich.console import Console
    from rich.table import Table

    table = Table("file", "bytes", "sha256", "", title=f"would go to {repo} (private)", title_justify="left")
    for file in staged:
        table.add_row(file.name, f"{file.size:,}", file.sha256[:12], "rewritten" if file.changed else "")
    table.columns[1].justify = "right"
    console = Console()
    console.print(table)
    if adapter.left_out:
        console.print(f"stays here: {', '.join(adapter.left_out)}", highlight=False)
    print(f"dry run: {len(staged)} files, {sum(file.size for file in staged):,} bytes, nothing was sent")


def send(staged: Sequence[Staged], repo: str, token: str) -> None:
    """Pushes and prints what is there now."""
    from deploy.hub import push

    done = push(staged, repo, token, f"Adapter {staged[0].sha256[:12]}: {len(staged)} files")
    if not done.changed:
        print(f"{done.url} already holds exactly these {len(staged)} files (commit {done.commit[:12]})")
        return
    size = sum(file.size for file in staged)
    print(f"pushed {len(staged)} files ({size:,} bytes) to the private {done.url}, commit {done.commit[:12]}")


if __name__ == "__main__":
    sys.exit(main())
