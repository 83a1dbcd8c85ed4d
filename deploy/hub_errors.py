"""What the Hub's client raises, as one sentence with the fix and without the token."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from deploy.adapter import Refusal

AGAIN = "then run this again: what is there already is not sent twice"


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
        raise Refusal(sentence.replace(token, "***") if token else sentence) from None


def explain(problem: BaseException, endpoint: str, repo: str) -> str | None:
    """One sentence for an error of the client, or None where it is not the server's or the network's."""
    from huggingface_hub import errors

    if isinstance(problem, errors.RevisionNotFoundError):
        return f"{repo} has no such revision. Its tags are on {endpoint}/{repo}."
    if isinstance(problem, errors.HfHubHTTPError):
        return explain_status(problem.response.status_code, (problem.server_message or "").strip(), endpoint, repo)
    # httpx in 1.x, httpx2 in 2.x: the base of the client's own error names the right one.
    # A download whose line breaks says that the file is not in the cache either.
    broken = (errors.HfHubHTTPError.__bases__[0], errors.LocalEntryNotFoundError, ConnectionError, TimeoutError)
    if isinstance(problem, broken):
        return f"{endpoint} does not answer ({type(problem).__name__}). Check the network and HF_ENDPOINT, {AGAIN}."
    if isinstance(problem, ValueError) and "README.md" in str(problem):
        return f"the Hub refuses the model card: {' '.join(str(problem).split())}."
    return None


def explain_status(status: int, said: str, endpoint: str, repo: str) -> str:
    """The fix for an HTTP status of the Hub."""
    organization = repo.split("/")[0]
    match status:
        case 401:
            return f"{endpoint} does not accept the token. Make another one; set HF_TOKEN or run: hf auth login."
        case 403:
            return f"the token may not write to {organization}. Use a token with write access to it, or another --repo."
        case 404:
            return f"{repo} was not found on {endpoint}. Check the name and that the token may see it."
        case 412:
            return f"somebody else changed {repo} meanwhile. Look at it, {AGAIN}."
        case _:
            return f"{endpoint} refused with HTTP {status}{f' ({said})' if said else ''}. Wait a little, {AGAIN}."
