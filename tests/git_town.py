"""Makes invented git repositories for tests: `town = Town(folder)`, `town.commit("Message", {"a.py": "text"})`."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

WHO = {"NAME": "Ada", "EMAIL": "ada@example.com", "DATE": "2026-03-01T10:00:00Z"}
ALONE = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}


class Town:
    """A repository. Every commit is a minute after the one before."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.minute = 0
        folder.mkdir(parents=True, exist_ok=True)
        self.git("init", "-q", "-b", "main", *options)
        self.commit("The beginning", {"README.md": "hello\n"})

    def git(self, *words: str, author: str = "Ada") -> str:
        who = WHO | {"DATE": f"2026-03-01T10:{self.minute:02}:00Z"}
        named = {f"GIT_{side}_{key}": value for side in ("AUTHOR", "COMMITTER") for key, value in who.items()}
        env = os.environ | ALONE | named | {"GIT_AUTHOR_NAME": author}
        done = subprocess.run(["git", *words], cwd=self.folder, env=env, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def write(self, files: Mapping[str, str | bytes | None]) -> None:
        for name, content in files.items():
            path = self.folder / name
            if content is None:
                path.unlink()
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)

    def commit(self, message: str, files: Mapping[str, str | bytes | None], author: str = "Ada") -> str:
        """The id of a commit of these files; None takes one away."""
        self.write(files)
        self.minute += 1
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "--no-verify", "-m", message, author=author)
        return self.git("rev-parse", "HEAD")

    def merge(self, message: str, files: Mapping[str, str | bytes | None]) -> str:
        """The id of a merge of a branch with two commits, the second of which has these files."""
        self.git("checkout", "-q", "-b", f"side-{self.minute}")
        self.commit("wip", {"wip.txt": f"{self.minute}\n"})
        self.commit("more wip", files)
        self.git("checkout", "-q", "main")
        self.minute += 1
        self.git("merge", "-q", "--no-ff", "-m", message, "@{-1}")
        return self.git("rev-parse", "HEAD")
