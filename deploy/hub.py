"""The Hub as we use it: one private repository, one commit and one tag a version, nothing when nothing changed.

`push(staged, repo, token, message, tag)` uses only calls that huggingface_hub 1.17 and 2.x both have. A push that was
cut goes on: large files that are there already are not sent again, and nobody sees a half version, because the commit
comes last and the tag after it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from deploy.adapter import PUBLISHABLE, Refusal
from deploy.hub_errors import sentences
from deploy.staging import SUMS, Staged, read_sums

if TYPE_CHECKING:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
    from huggingface_hub.hf_api import ModelInfo


@dataclass(frozen=True)
class Pushed:
    """What is on the Hub after a push."""

    url: str
    commit: str
    created: bool
    """whether the repository is new"""
    changed: bool
    """False: it already held exactly these files"""


def find_token() -> str:
    """The token of HF_TOKEN or of the hub's own login. Raises `Refusal`."""
    from huggingface_hub import get_token

    token = get_token()
    if not token:
        raise Refusal("there is no token for the Hub. Set HF_TOKEN, or run: hf auth login.")
    return token


def push(staged: Sequence[Staged], repo: str, token: str, message: str, tag: str | None = None) -> Pushed:
    """Commits the staged files to the private model repository `repo` (ORG/NAME), which is made where it is missing.

    What an earlier push put there and is no longer staged is removed; files of others are left alone. A tag that exists
    is never moved. Raises `Refusal` where the repository is public, the tag means other files, or the server refuses.
    """
    from huggingface_hub import HfApi

    api = HfApi(token=token)
    with sentences(api.endpoint, repo, token):
        found = find(api, repo)
        if found and tag and (known := commit_of(api, repo, tag)):
            refuse_other_files(sums_at(api, repo, known), staged, repo, tag)
            return Pushed(f"{api.endpoint}/{repo}", known, created=False, changed=False)
        before = found or create_private(api, repo)
        stale = removals(before, sums_at(api, repo, before.sha or "main"), staged)
        operations: list[CommitOperationAdd | CommitOperationDelete] = [*additions(staged), *stale]
        commit = api.create_commit(repo, operations, commit_message=message, parent_commit=before.sha)
        if tag:
            api.create_tag(repo, tag=tag, revision=commit.oid, tag_message=message)
        return Pushed(f"{api.endpoint}/{repo}", commit.oid, found is None, commit.oid != before.sha)


def find(api: HfApi, repo: str) -> ModelInfo | None:
    """The repository, None where there is none; raises `Refusal` where it is not private."""
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        info = api.model_info(repo)
    except RepositoryNotFoundError:
        return None
    if not info.private:
        raise Refusal(
            f"{repo} exists and is public, so nothing was sent. "
            "Make it private in its settings on the Hub, or choose another --repo."
        )
    return info


def create_private(api: HfApi, repo: str) -> ModelInfo:
    """Makes the repository and looks whether it really is private, because the Hub's default is public."""
    api.create_repo(repo, private=True, exist_ok=True)
    info = find(api, repo)
    if info is None:
        raise Refusal(f"{repo} was made but cannot be read with this token. Give the token read access to it too.")
    return info


def commit_of(api: HfApi, repo: str, tag: str) -> str | None:
    """The commit of a tag, None where there is no such tag."""
    return next((ref.target_commit for ref in api.list_repo_refs(repo).tags if ref.name == tag), None)


def sums_at(api: HfApi, repo: str, revision: str) -> dict[str, str]:
    """The digests that a push wrote down at a revision, by name; empty where it was not ours."""
    from huggingface_hub.errors import RemoteEntryNotFoundError

    with tempfile.TemporaryDirectory(prefix="sums-") as folder:
        try:
            path = api.hf_hub_download(repo, SUMS, revision=revision, local_dir=folder)
        except RemoteEntryNotFoundError:
            return {}
        return read_sums(Path(path).read_text(encoding="utf-8"))


def refuse_other_files(there: Mapping[str, str], staged: Sequence[Staged], repo: str, tag: str) -> None:
    """Raises `Refusal` where a tag means other files than those that would be pushed under it."""
    ours = {file.name: file.sha256 for file in staged if file.name != SUMS}
    other = sorted(name for name in {*ours, *there} if ours.get(name) != there.get(name))
    if other:
        raise Refusal(
            f"the tag {tag} of {repo} already means other files ({', '.join(other)}), and a published version never "
            "changes. Push all kinds of a version at once, or choose another --repo or --tag."
        )


def additions(staged: Sequence[Staged]) -> list[CommitOperationAdd]:
    """The files to send. Raises `Refusal` where one is no longer what was checked."""
    from huggingface_hub import CommitOperationAdd

    found = [CommitOperationAdd(path_in_repo=file.name, path_or_fileobj=file.path) for file in staged]
    for operation, file in zip(found, staged, strict=True):
        if operation.upload_info.sha256.hex() != file.sha256:
            raise Refusal(f"{file.path} changed while it was checked, so nothing was sent. Run this again.")
    return found


def removals(before: ModelInfo, known: Mapping[str, str], staged: Sequence[Staged]) -> list[CommitOperationDelete]:
    """What is there from an earlier push and does not belong to this one."""
    from huggingface_hub import CommitOperationDelete

    there = {file.rfilename for file in before.siblings or ()}
    stale = there & {*known, *PUBLISHABLE} - {file.name for file in staged}
    return [CommitOperationDelete(path_in_repo=name) for name in sorted(stale)]
