"""bubblewrap: namespaces and a private root by a small program that Flatpak relies on. Preferred where it works."""

import shutil
from pathlib import Path

from eval.sandbox import paths
from eval.sandbox.launch import MAX_FOLDER_BYTES, Launch, Unusable

FIX = "apt-get install bubblewrap"


def launch(place: Path) -> Launch:
    """New namespaces of every kind, a root of what Python needs, an empty /tmp in memory."""
    program = shutil.which("bwrap")
    if program is None:
        raise Unusable("bwrap is not installed")
    private = ("--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL")
    views = [word for path in paths.readable() for word in _view(path)]
    views += ["--ro-bind", str(paths.INSIDE), "/inside"]
    views += [word for path in paths.devices() for word in ("--dev-bind", path, path)]
    memory = ("--size", str(MAX_FOLDER_BYTES), "--tmpfs", "/tmp", "--remount-ro", "/")
    return Launch((program, *private, *views, *memory, "--"), "/tmp", driver="/")


def _view(path: str) -> tuple[str, str, str]:
    if Path(path).is_symlink():
        return "--symlink", str(Path(path).readlink()), path
    return "--ro-bind", path, path
