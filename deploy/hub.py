"""The Hub as we use it: one private repository, one commit, nothing when nothing changed.

`push(staged, repo, token, message)` uses only calls that huggingface_hub 1.17 and 2.x both have.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from deploy.adapter import PUBLISHABLE, Refusal
from deploy.staging import Staged

if TYPE_CHECKING:
    from huggingface_hub import HfApi
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


def push(staged: Sequence[Staged], repo: str, token: str, message: str) -> Pushed:
    """Commits the staged files to the private model repository `repo` (ORG/NAME), which is made where it is missing.

    Earlier files of an adapter that are no longer staged are removed there; others are left alone.
    Raises `Refusal` where the repository is public, or the server refuses or does not answer.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

    api = HfApi(token=token)
    with sentences(api.endpoint, repo, token):
        found = find(api, repo)
        before = found or create_private(api, repo)
        stale = {file.rfilename for file in before.siblings or ()} & set(PUBLISHABLE) - {file.name for file in staged}
        commit = api.create_commit(
            repo,
            [
                *(CommitOperationAdd(path_in_repo=file.name, path_or_fileobj=file.path) for file in staged),
                *(CommitOperationDelete(path_in_repo=name) for name in sorted(stale)),
            ],
            commit_message=message,
        )
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


@contextmanager
def sentences(endpoint: str, repo: str, token: str) -> Iterator[None]:
    """Turns the client's errors into a `Refusal` without the token."""
    from huggingface_hub import errors

    try:
        yield
    except Refusal:
        raise
    except errors.OfflineModeIsEnabled:
        raise Refusal("the Hub client is told to stay offline. Unset HF_HUB_OFFLINE.") from None
    except Exception as problem:
        # An upload of a large file arrives wrapped: RuntimeError("Error while uploading ...") from the real one.
        cause = problem.__cause__ if isinstance(problem, RuntimeError) and problem.__cause__ else problem
        sentence = explain(cause, endpoint, repo)
        if sentence is None:
            raise
        raise Refusal(sentence.replace(token, "***")) from None


def explain(problem: BaseException, endpoint: str, repo: str) -> str | None:
    """One sentence for an error of the client, or None where it is not the server's or the network's."""
    from huggingface_hub import errors

    if isinstance(problem, errors.HfHubHTTPError):
        return explain_status(problem.response.status_code, (problem.server_message or "").strip(), endpoint, repo)
    # httpx in 1.x, httpx2 in 2.x: the base of the client's own error names the right one.
    if isinstance(problem, (errors.HfHubHTTPError.__bases__[0], ConnectionError, TimeoutError)):
        return f"{endpoint} does not answer ({type(problem).__name__}). Check the network and HF_ENDPOINT, then retry."
    if isinstance(problem, ValueError) and "README.md" in str(problem):
        return f"the Hub refuses the model card: {' '.join(str(problem).split())}."
    return None


def explain_status(status: int, said: str, endpoint: str, repo: str) -> str:
    """The fix for an HTTP status of the Hub."""
    organization = repo.split("/")[0]
    match status:
        case 401:
            return f"{endpoint} does not accept the token. Make one that may write; set HF_TOKEN or run: hf auth login."
        case 403:
            return f"the token may not write to {organization}. Use a token with write access to it, or another --repo."
        case 404:
            return f"{repo} was not found on {endpoint}. Check --repo and that the token may see it."
        case _:
            return f"{endpoint} refused with HTTP {status}{f' ({said})' if said else ''}. Run this again later."
