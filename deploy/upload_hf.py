"""Publishes a version to a private repository of the Hugging Face Hub, with a model card of our own.

`python -m deploy.upload_hf mayor@v3 --repo ORG/NAME --dry-run` shows what would go up; without `--dry-run` it goes up
under the tag v3, with the token from HF_TOKEN or `hf auth login`. `--kind` chooses the format: the adapter, the merged
model, or GGUF files. An adapter's folder that no registry knows can be published too. A second run does nothing.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from deploy.adapter import HUB_ID, Refusal
from deploy.card import render_card
from deploy.hub import find_token
from deploy.licences import check_name, notices
from deploy.release import ADAPTER, GGUF, KINDS, VERSION, Release, from_folder, from_registry
from deploy.scores import result_files
from deploy.staging import CARD, Staged

TAG = re.compile(r"[A-Za-z0-9][\w.-]{0,99}", re.ASCII)


def main(argv: Sequence[str] | None = None) -> int:
    """The command line: 0 when the Hub holds these files or the dry run was shown, else 1 with one sentence."""
    options = parser().parse_args(argv)
    quiet_client()
    try:
        publish(options)
    except Refusal as refusal:
        print(f"error: {refusal}", file=sys.stderr)
        return 1
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    result = argparse.ArgumentParser(prog="python -m deploy.upload_hf", description=(__doc__ or "").split("\n")[0])
    add = result.add_argument
    add("what", metavar="ROLE@vN|DIR", help="a registered version such as mayor@v3, or an adapter's folder")
    add("--repo", required=True, metavar="ORG/NAME", help="model repository on the Hub; made private")
    add("--kind", action="append", choices=KINDS, help="format of the version; several of GGUF may share a repository")
    add("--tag", metavar="NAME", help="name for this state of the repository (vN for a version, none for a folder)")
    add("--base-model", metavar="HUB/ID", help="Hub id of the base, where it was trained on a local folder")
    add("--root", type=Path, default=Path("output"), metavar="DIR", help="output tree with the registry (output)")
    add(
        "--eval",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="for a folder: result of eval.role_bench for the card; repeat it to show the base beside the adapter",
    )
    add("--manifest", type=Path, metavar="FILE", help="for a folder: manifest.json of the training data, for the card")
    add("--dry-run", action="store_true", help="list what would go up, with sizes; needs no token")
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
    if options.tag and not TAG.fullmatch(options.tag):
        raise Refusal(f"--tag {options.tag} is not a name for a tag. Use letters, digits, dots and dashes.")
    release = find_release(options)
    check_name(options.repo, release.base_model)
    tag = options.tag or (f"v{release.version.number}" if release.version else None)
    token = "" if options.dry_run else find_token()
    with tempfile.TemporaryDirectory(prefix="upload-") as folder:
        staged = stage_checked(release, options.repo, tag, Path(folder), token)
        if options.dry_run:
            show(staged, release, options.repo, tag)
        else:
            send(staged, release, options.repo, tag, token)


def find_release(options: argparse.Namespace) -> Release:
    """What is to be published: a version where the name is one, else the folder. Raises `Refusal`."""
    kinds = list(dict.fromkeys(options.kind or [ADAPTER]))
    match = VERSION.fullmatch(options.what)
    if match is None or Path(options.what).is_dir():
        if kinds != [ADAPTER]:
            raise Refusal(
                f"only a registered version has other formats, and {options.what} is none. "
                "Register it (python -m deploy.registry register DIR) and name it: mayor@v3."
            )
        return from_folder(Path(options.what), options.base_model, options.eval, options.manifest)
    if options.eval or options.manifest:
        raise Refusal("--eval and --manifest are for folders: the registry has those of a version. Leave them out.")
    if len(kinds) > 1 and not set(kinds) <= set(GGUF):
        raise Refusal(f"{' and '.join(kinds)} do not share a repository, only kinds of GGUF do. Push one at a time.")
    from deploy.registry import Registry

    with Registry.open(options.root) as registry:
        return from_registry(registry, match["role"], int(match["number"]), kinds, options.repo, options.base_model)


def stage_checked(release: Release, repo: str, tag: str | None, folder: Path, token: str) -> tuple[Staged, ...]:
    """The files as they will be published, scanned for everything private, our tokens included."""
    from deploy.privacy import Guard
    from deploy.staging import stage

    guard = Guard((token, os.environ.get("HF_TOKEN", "")), (repo, release.base_model))
    written = {
        CARD: render_card(release, repo, tag),
        **notices(release.base_model),
        **result_files(release, repo),
    }
    return stage(release.files, written, release.base_model, folder, guard)


def show(staged: Sequence[Staged], release: Release, repo: str, tag: str | None) -> None:
    """Prints the files of a dry run as a table."""
    from rich.console import Console
    from rich.table import Table

    title = f"would go to {repo} (private{f', tag {tag}' if tag else ''})"
    table = Table("file", "bytes", "sha256", "", title=title, title_justify="left")
    for file in staged:
        table.add_row(file.name, f"{file.size:,}", file.sha256[:12], "rewritten" if file.changed else "")
    table.columns[1].justify = "right"
    console = Console()
    console.print(table)
    if release.left_out:
        console.print(f"stays here: {', '.join(release.left_out)}", highlight=False)
    print(f"dry run: {len(staged)} files, {sum(file.size for file in staged):,} bytes, nothing was sent")


def send(staged: Sequence[Staged], release: Release, repo: str, tag: str | None, token: str) -> None:
    """Pushes and prints what is there now."""
    from deploy.hub import push

    what = release.name if release.kinds == (ADAPTER,) else f"{release.name} as {', '.join(release.kinds)}"
    done = push(staged, repo, token, f"{what}: {len(staged)} files", tag)
    where = f"commit {done.commit[:12]}{f', tag {tag}' if tag else ''}"
    if not done.changed:
        print(f"{done.url} already holds exactly these {len(staged)} files ({where})")
        return
    size = sum(file.size for file in staged)
    print(f"pushed {len(staged)} files ({size:,} bytes) to the private {done.url}, {where}")


if __name__ == "__main__":
    sys.exit(main())
