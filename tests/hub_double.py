"""A Hub on 127.0.0.1 for tests: the calls of huggingface_hub that create, check, fill and read a model repository.

It keeps the rules that matter here: no anonymous reads of private repositories, large files by LFS with their digest
checked, cards whose base_model or datasets are not ids refused, unchanged files recognised by their object id."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import yaml

ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
REPOSITORY = r"(?P<repo>[\w.-]+/[\w.-]+)"


@dataclass
class Repository:
    private: bool
    files: dict[str, bytes] = field(default_factory=dict)
    commits: list[str] = field(default_factory=lambda: [hashlib.sha1(b"first").hexdigest()])


@dataclass
class HubDouble:
    """State of the server: tokens (with the organizations each may write to), repositories, LFS objects, requests."""

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
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        for method, pattern, name in ROUTES:
            match = re.fullmatch(pattern, path)
            if match and self.command in method.split():
                return self.answer(name, body, match.groupdict())
        return self.send(404, {"error": "no such page"})

    do_GET = do_HEAD = do_POST = do_PUT = handle_any

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
        siblings = [{"rfilename": name} for name in sorted(found.files)]
        self.send(200, {"id": repo, "sha": found.commits[-1], "private": found.private, "siblings": siblings})

    def answer_validate(self, body: bytes) -> None:
        self.send(*validated(json.loads(body)["content"]))

    # --- uploads -------------------------------------------------------------------------------------------------
    def answer_preupload(self, body: bytes, repo: str) -> None:
        files = self.writable(repo).files
        self.send(200, {"files": [self.upload_mode(item["path"], files) for item in json.loads(body)["files"]]})

    def upload_mode(self, path: str, files: dict[str, bytes]) -> dict[str, Any]:
        large = path.endswith((".safetensors", ".model"))
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
        for line in body.splitlines():
            item = json.loads(line)
            self.apply(found, item["key"], item["value"])
        found.commits.append(hashlib.sha1(body + found.commits[-1].encode()).hexdigest())
        url = f"{self.hub.endpoint}/{repo}/commit/{found.commits[-1]}"
        self.send(200, {"success": True, "commitOid": found.commits[-1], "commitUrl": url, "hookOutput": ""})

    def apply(self, repository: Repository, key: str, value: dict[str, Any]) -> None:
        match key:
            case "file":
                repository.files[value["path"]] = base64.b64decode(value["content"])
            case "lfsFile":
                repository.files[value["path"]] = self.hub.objects[value["oid"]]
            case "deletedFile":
                del repository.files[value["path"]]

    # --- downloads -----------------------------------------------------------------------------------------------
    def answer_tree(self, body: bytes, repo: str, revision: str) -> None:
        files = self.readable(repo).files
        found = [
            {"type": "file", "path": name, "oid": git_oid(files[name]), "size": len(files[name])} for name in files
        ]
        self.send(200, found)

    def answer_resolve(self, body: bytes, repo: str, revision: str, path: str) -> None:
        found = self.readable(repo)
        if path not in found.files:
            raise HubError(404, "Entry not found", "EntryNotFound")
        headers = {"ETag": f'"{git_oid(found.files[path])}"', "X-Repo-Commit": found.commits[-1]}
        self.send(200, found.files[path], headers)


ROUTES = (
    ("POST", "/api/repos/create", "answer_create"),
    ("POST", "/api/validate-yaml", "answer_validate"),
    ("GET", f"/api/models/{REPOSITORY}(?:/revision/(?P<revision>[^/]+))?", "answer_info"),
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
