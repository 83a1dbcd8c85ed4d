"""Fetches what deploy.upload_hf published, and checks every byte of it.

`python -m deploy.pull_hf ORG/NAME --revision v3 --out DIR` puts it at DIR only when all files have the digests that the
push wrote down (SHA256SUMS). Stopped, the same command goes on; where DIR holds these files already, it does nothing.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from deploy.adapter import CONFIG, HUB_ID, Refusal
from deploy.hub import find_token, sums_at
from deploy.hub_errors import sentences
from deploy.staging import SUMS, file_sha256
from deploy.upload_hf import quiet_client

if TYPE_CHECKING:
    from huggingface_hub import HfApi


def main(argv: Sequence[str] | None = None) -> int:
    """The command line: 0 when the files are there with equal digests, else 1 with one sentence."""
    options = parser().parse_args(argv)
    quiet_client()
    try:
        commit, sums = pull(options.repo, options.revision, options.out, find_token())
    except (Refusal, OSError) as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 1
    where = f"{options.repo} at {options.revision} (commit {commit[:12]})"
    print(f"{options.out} holds {where}: {len(sums)} files, all digests are equal")
    if CONFIG in sums:
        print(f"to serve it: python -m deploy.registry register {options.out} --role ROLE")
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    result = argparse.ArgumentParser(prog="python -m deploy.pull_hf", description=(__doc__ or "").split("\n")[0])
    result.add_argument("repo", metavar="ORG/NAME", help="model repository on the Hub")
    result.add_argument("--revision", default="main", metavar="NAME", help="tag such as v3, or commit (main)")
    result.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to make")
    return result


def pull(repo: str, revision: str, out: Path, token: str) -> tuple[str, dict[str, str]]:
    """Fetches a revision to `out`; returns its commit and the digests by name. Raises `Refusal`."""
    from huggingface_hub import HfApi

    if not HUB_ID.fullmatch(repo):
        raise Refusal(f"{repo} is not a repository name. Write it as ORG/NAME, such as my-town/mayor-lora.")
    api = HfApi(token=token)
    with sentences(api.endpoint, repo, token):
        commit = api.model_info(repo, revision=revision).sha or revision
        sums = sums_at(api, repo, commit)
        if not sums:
            raise Refusal(f"{repo} at {revision} has no {SUMS}: deploy.upload_hf did not push it. Use: hf download.")
        if out.exists():
            refuse_other_folder(out, sums)
        else:
            fetch(api, repo, commit, sums, out)
    return commit, sums


def fetch(api: HfApi, repo: str, commit: str, sums: Mapping[str, str], out: Path) -> None:
    """All files into a hidden folder beside `out`, which takes its place when every digest is right."""
    out.parent.mkdir(parents=True, exist_ok=True)
    place = out.with_name(f".{out.name}.{commit[:12]}")
    for name in (*sums, SUMS):
        api.hf_hub_download(repo, name, revision=commit, local_dir=place)
    if wrong := faults(place, sums):
        for name in wrong:
            (place / name).unlink(missing_ok=True)
        raise Refusal(f"{', '.join(wrong)} did not arrive as sent. Run this again: only that is fetched.")
    shutil.rmtree(place / ".cache", ignore_errors=True)
    place.rename(out)


def refuse_other_folder(out: Path, sums: Mapping[str, str]) -> None:
    """Raises `Refusal` where a folder does not hold exactly these files."""
    if wrong := faults(out, sums):
        raise Refusal(f"{out} exists and holds something else ({', '.join(wrong)}). Choose another --out.")


def faults(folder: Path, sums: Mapping[str, str]) -> list[str]:
    """The files that are missing or have another digest."""
    return [
        name for name, digest in sums.items() if not (folder / name).is_file() or file_sha256(folder / name) != digest
    ]


if __name__ == "__main__":
    sys.exit(main())
