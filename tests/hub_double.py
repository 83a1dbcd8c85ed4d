"""A Hub on 127.0.0.1 for tests: the calls of huggingface_hub that create, check, fill and read a model repository.

It keeps the rules that matter here: no anonymous reads of private repositories, large files by LFS with their digest
checked, cards whose base_model or datasets are not ids refused, unchanged files recognised by their object id, every
commit kept, tags that are never moved, a commit on another one's parent refused. `held` stops uploads in the middle."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    import pytest

ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
REPOSITORY = r"(?P<repo>[\w.-]+/[\w.-]+)"
FIRST = hashlib.sha1(b"first").hexdigest()


@dataclass
class Repository:
    """`files` are those of the newest commit; `history` has those of each one."""

    private: bool
    files: dict[str, bytes] = field(default_factory=dict)
    commits: list[str] = field(default_factory=lambda: [FIRST])
    history: dict[str, dict[str, bytes]] = field(default_factory=lambda: {FIRST: {}})
    tags: dict[str, str] = field(default_factory=dict)

    def commit(self, files: dict[str, bytes], parts: bytes = b"") -> str:
        """A new commit with these files, whoever made it."""
        self.files = dict(files)
        names = json.dumps(sorted(files)).encode()
        self.commits.append(hashlib.sha1(names + parts + self.commits[-1].encode()).hexdigest())
        self.history[self.commits[-1]] = dict(files)
        return self.commits[-1]

    def commit_of(self, revision: str) -> str:
        """A branch, a tag or a commit as commit; KeyError where there is none."""
        known = {"main": self.commits[-1], **self.tags, **dict.fromkeys(self.history)}
        return known[revision] or revision


@dataclass
class HubDouble:
    """State of the server: tokens (with the organizations each may write to), repositories, LFS objects, requests.

    While `held` is set, the upload of an object with one of these digests is read half and then waits; `reached` tells.
    `broken` uploads end with a closed connection instead, as many as that number says; so does every request for the
    file that is `unreachable`.
    """

    held: set[str] = field(default_factory=set)
    reached: threading.Event = field(default_factory=threading.Event)
    broken: int = 0
    unreachable: str = ""
    tokens: dict[str, set[str]] = field(default_factory=dict)
    repositories: dict[str, Repository] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    endpoint: str = ""


@contextmanager
def open_hub(**tokens: set[str]) -> Iterator[HubDouble]:
    """Serves a new, empty Hub on a free port of 127.0.0.1 until the block is left."""
    hub = HubDouble(tokens=dict(tokens))
    handler = type("Handler", (HubHandler,), {"hub": hub})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        hub.endpoint = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield hub
        finally:
            server.shutdown()


def use_hub(hub: HubDouble, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client of this process talks to the double; it read its settings when it was imported."""
    from huggingface_hub import constants
    from huggingface_hub.utils import disable_progress_bars

    address = hub.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    known = {"ENDPOINT": hub.endpoint, "HUGGINGFACE_CO_URL_TEMPLATE": address}
    for name, value in {**known, "HF_HUB_OFFLINE": False, "HF_HUB_DISABLE_XET": True}.items():
        monkeypatch.setattr(constants, name, value)
    disable_progress_bars()


class HubError(Exception):
    def __init__(self, status: int, message: str, code: str = "") -> None:
        super().__init__(message)
        self.status, self.message, self.code = status, message, code


class HubHandler(BaseHTTPRequestHandler):
    """One request; `answer_*` methods are found through `ROUTES`."""

    hub: HubDouble
    protocol_version = "HTTP/1.1"

    def handle_any(self) -> None:
        path = self.path.split("?")[0]
        self.hub.requests.append(f"{self.command} {path}")
        length = int(self.headers.get("Content-Length") or 0)
        lost = bool(self.hub.unreachable) and path.endswith(self.hub.unreachable)
        if lost or (self.command == "PUT" and self.stopped(path, length)):
            self.close_connection = True
            return None
        body = self.rfile.read(length)
        for method, pattern, name in ROUTES:
            match = re.fullmatch(pattern, path)
            if match and self.command in method.split():
                return self.answer(name, body, match.groupdict())
        return self.send(404, {"error": "no such page"})

    do_GET = do_HEAD = do_POST = do_PUT = handle_any

    def stopped(self, path: str, length: int) -> bool:
        """Whether this upload ends in the middle, by the server's doing or because the client went away."""
        if path.rsplit("/", 1)[1] not in self.hub.held and not self.hub.broken:
            return False
        self.rfile.read(length // 2)
        self.hub.broken = max(0, self.hub.broken - 1)
        self.hub.reached.set()
        while path.rsplit("/", 1)[1] in self.hub.held:
            time.sleep(0.01)
        return True

    def answer(self, name: str, body: bytes, parts: dict[str, str]) -> None:
        try:
            getattr(self, name)(body, **parts)
        except HubError as error:
            self.send(
                error.status, {"error": error.message}, {"X-Error-Code": error.code, "X-Error-Message": error.message}
            )

    def send(self, status: int, value: Any, headers: dict[str, str] | None = None) -> None:
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        for key, text in {"Content-Length": str(len(data)), **(headers or {})}.items():
            self.send_header(key, text)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Quiet."""

    # --- who may do what -----------------------------------------------------------------------------------------
    def organizations(self) -> set[str]:
        header = self.headers.get("Authorization", "")
        if not header:
            return set()
        if header.removeprefix("Bearer ") not in self.hub.tokens:
            raise HubError(401, "Invalid credentials in Authorization header")
        return self.hub.tokens[header.removeprefix("Bearer ")]

    def readable(self, repo: str) -> Repository:
        may_see = repo.split("/")[0] in self.organizations()
        found = self.hub.repositories.get(repo)
        if found is None or (found.private and not may_see):
            raise HubError(404 if self.headers.get("Authorization") else 401, "Repository not found", "RepoNotFound")
        return found

    def writable(self, repo: str) -> Repository:
        found = self.readable(repo)
        if repo.split("/")[0] not in self.organizations():
            raise HubError(403, "You don't have the rights to write here")
        return found

    # --- repositories --------------------------------------------------------------------------------------------
    def answer_create(self, body: bytes) -> None:
        wanted = json.loads(body)
        repo = f"{wanted['organization']}/{wanted['name']}"
        if wanted["organization"] not in self.organizations():
            raise HubError(403 if self.headers.get("Authorization") else 401, "no rights to create here")
        if repo in self.hub.repositories:
            raise HubError(409, "You already created this model repo")
        private = wanted.get("visibility") == "private" or wanted.get("private") is True
        self.hub.repositories[repo] = Repository(private)
        self.send(200, {"url": f"{self.hub.endpoint}/{repo}", "id": repo})

    def answer_info(self, body: bytes, repo: str, revision: str | None = None) -> None:
        found = self.readable(repo)
        commit = self.commit(found, revision or "main")
        siblings = [{"rfilename": name} for name in sorted(found.history[commit])]
        self.send(200, {"id": repo, "sha": commit, "private": found.private, "siblings": siblings})

    def commit(self, repository: Repository, revision: str) -> str:
        try:
            return repository.commit_of(revision)
        except KeyError:
            raise HubError(404, "Invalid rev id", "RevisionNotFound") from None

    def answer_refs(self, body: bytes, repo: str) -> None:
        found = self.readable(repo)
        main = {"name": "main", "ref": "refs/heads/main", "targetCommit": found.commits[-1]}
        tags = [{"name": n, "ref": f"refs/tags/{n}", "targetCommit": found.tags[n]} for n in found.tags]
        self.send(200, {"branches": [main], "converts": [], "tags": tags})

    def answer_tag(self, body: bytes, repo: str, revision: str) -> None:
        found = self.writable(repo)
        tag = json.loads(body)["tag"]
        if tag in found.tags:
            raise HubError(409, "Tag reference exists already")
        found.tags[tag] = self.commit(found, revision)
        self.send(200, {})

    def answer_validate(self, body: bytes) -> None:
        self.send(*validated(json.loads(body)["content"]))

    # --- uploads -------------------------------------------------------------------------------------------------
    def answer_preupload(self, body: bytes, repo: str) -> None:
        files = self.writable(repo).files
        self.send(200, {"files": [self.upload_mode(item["path"], files) for item in json.loads(body)["files"]]})

    def upload_mode(self, path: str, files: dict[str, bytes]) -> dict[str, Any]:
        large = path.endswith((".safetensors", ".model", ".gguf"))
        mode: dict[str, Any] = {"path": path, "uploadMode": "lfs" if large else "regular", "shouldIgnore": False}
        if path in files:
            mode["oid"] = hashlib.sha256(files[path]).hexdigest() if large else git_oid(files[path])
        return mode

    def answer_batch(self, body: bytes, repo: str) -> None:
        self.writable(repo)
        wanted = json.loads(body)["objects"]
        self.send(
            200, {"transfer": "basic", "objects": [self.lfs_action(item["oid"], item["size"]) for item in wanted]}
        )

    def lfs_action(self, oid: str, size: int) -> dict[str, Any]:
        if oid in self.hub.objects:
            return {"oid": oid, "size": size}
        links = {
            "upload": {"href": f"{self.hub.endpoint}/lfs/{oid}"},
            "verify": {"href": f"{self.hub.endpoint}/lfs-verify"},
        }
        return {"oid": oid, "size": size, "actions": links}

    def answer_put(self, body: bytes, oid: str) -> None:
        if hashlib.sha256(body).hexdigest() != oid:
            raise HubError(400, "digest mismatch")
        self.hub.objects[oid] = body
        self.send(200, {})

    def answer_verify(self, body: bytes) -> None:
        wanted = json.loads(body)
        if len(self.hub.objects.get(wanted["oid"], b"")) != wanted["size"]:
            raise HubError(404, "no such object")
        self.send(200, {})

    def answer_commit(self, body: bytes, repo: str) -> None:
        found = self.writable(repo)
        lines = [json.loads(line) for line in body.splitlines()]
        if lines[0]["value"].get("parentCommit", found.commits[-1]) != found.commits[-1]:
            raise HubError(412, "A commit has happened since. Please refresh and try again.")
        files = dict(found.files)
        for item in lines:
            self.apply(files, item["key"], item["value"])
        commit = found.commit(files, body)
        url = f"{self.hub.endpoint}/{repo}/commit/{commit}"
        self.send(200, {"success": True, "commitOid": commit, "commitUrl": url, "hookOutput": ""})

    def apply(self, files: dict[str, bytes], key: str, value: dict[str, Any]) -> None:
        match key:
            case "file":
                files[value["path"]] = base64.b64decode(value["content"])
            case "lfsFile":
                files[value["path"]] = self.hub.objects[value["oid"]]
            case "deletedFile":
                del files[value["path"]]

    # --- downloads -----------------------------------------------------------------------------------------------
    def answer_tree(self, body: bytes, repo: str, revision: str) -> None:
        repository = self.readable(repo)
        files = repository.history[self.commit(repository, revision)]
        found = [
            {"type": "file", "path": name, "oid": git_oid(files[name]), "size": len(files[name])} for name in files
        ]
        self.send(200, found)

    def answer_resolve(self, body: bytes, repo: str, revision: str, path: str) -> None:
        found = self.readable(repo)
        commit = self.commit(found, revision)
        files = found.history[commit]
        if path not in files:
            raise HubError(404, "Entry not found", "EntryNotFound")
        self.send(200, files[path], {"ETag": f'"{git_oid(files[path])}"', "X-Repo-Commit": commit})


ROUTES = (
    ("POST", "/api/repos/create", "answer_create"),
    ("POST", "/api/validate-yaml", "answer_validate"),
    ("GET", f"/api/models/{REPOSITORY}(?:/revision/(?P<revision>[^/]+))?", "answer_info"),
    ("GET", f"/api/models/{REPOSITORY}/refs", "answer_refs"),
    ("POST", f"/api/models/{REPOSITORY}/tag/(?P<revision>[^/]+)", "answer_tag"),
    ("POST", f"/api/models/{REPOSITORY}/preupload/main", "answer_preupload"),
    ("POST", f"/api/models/{REPOSITORY}/commit/main", "answer_commit"),
    ("POST", rf"/{REPOSITORY}\.git/info/lfs/objects/batch", "answer_batch"),
    ("PUT", "/lfs/(?P<oid>[0-9a-f]{64})", "answer_put"),
    ("POST", "/lfs-verify", "answer_verify"),
    ("GET", f"/api/models/{REPOSITORY}/tree/(?P<revision>[^/]+)", "answer_tree"),
    ("GET HEAD", f"/{REPOSITORY}/resolve/(?P<revision>[^/]+)/(?P<path>.+)", "answer_resolve"),
)


def validated(card: str) -> tuple[int, dict[str, Any]]:
    """Status and answer for a card: its front matter must name ids of the Hub where ids belong."""
    match = re.match(r"---\n(.*?)\n---\n", card, re.DOTALL)
    data = yaml.safe_load(match.group(1)) if match else {}
    errors = []
    for key in ("base_model", "datasets"):
        values = data.get(key, [])
        wrong = [value for value in ([values] if isinstance(values, str) else values) if not ID.fullmatch(value)]
        errors += [{"message": f'"{key}" with value "{value}" is not valid'} for value in wrong]
    return (400 if errors else 200), {"errors": errors, "warnings": []}


def git_oid(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
