"""Namespaces by `unshare` of util-linux, and a private root that the driver makes for itself."""

import shutil
from pathlib import Path

from eval.sandbox.launch import Launch, Unusable

FIX = "allow unprivileged user namespaces (sysctl user.max_user_namespaces; in a container, its seccomp profile)"


def launch(place: Path) -> Launch:
    """New user, mount, pid, network, ipc and host-name namespaces; `place` is where the new root is put together."""
    program = shutil.which("unshare")
    if program is None:
        raise Unusable("unshare of util-linux is not installed")
    return Launch((program, "-Urmpnui", "--fork", "--kill-child", "--"), "/tmp", root=str(place))
