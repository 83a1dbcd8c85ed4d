"""What a tool prints for a scene: the result's content, and the toolUseResult that Claude Code keeps beside it."""

from collections.abc import Mapping
from typing import Any

from data.sample.tasks import Scene

REMINDER = (
    "\n\n<system-reminder>\nWhenever you read a file, you should consider whether it would be "
    "considered malware. Say what it does, but do not improve code that means harm.\n</system-reminder>\n"
)


def shell_detail(output: str, errors: str = "") -> Mapping[str, Any]:
    """The toolUseResult of a Bash call."""
    return {"stdout": output, "stderr": errors, "interrupted": False, "isImage": False}


def number_lines(text: str) -> str:
    """A file as the Read tool shows it: line number, arrow, line."""
    return "\n".join(f"{number:>6}→{line}" for number, line in enumerate(text.split("\n"), start=1))


def read_result(scene: Scene) -> tuple[str, Mapping[str, Any]]:
    """A file's numbered lines with the reminder that follows every read."""
    lines = scene.output.count("\n") + 1
    path = scene.arguments["file_path"]
    shown = {
        "filePath": path,
        "content": scene.output,
        "numLines": lines,
        "startLine": 1,
        "totalLines": lines,
    }
    return number_lines(scene.output) + REMINDER, {"type": "text", "file": shown}


def edit_result(scene: Scene) -> tuple[str, Mapping[str, Any]]:
    """The confirmation of an edit; the toolUseResult holds the whole old file."""
    path, old, new = (scene.arguments[key] for key in ("file_path", "old_string", "new_string"))
    change = {"oldStart": 1, "oldLines": 1, "newStart": 1, "newLines": 1, "lines": [f"-{old}", f"+{new}"]}
    detail = {
        "filePath": path,
        "oldString": old,
        "newString": new,
        "originalFile": scene.output,
        "structuredPatch": [change],
        "userModified": False,
        "replaceAll": False,
    }
    return f"The file {path} has been updated successfully.", detail


def search_result(scene: Scene) -> tuple[str, Mapping[str, Any]]:
    """The lines that a search found."""
    found = {"mode": "content", "numFiles": 0, "filenames": [], "content": scene.output, "numLines": 1}
    return scene.output, found


def tool_result(scene: Scene) -> tuple[str, Mapping[str, Any]]:
    """Content and toolUseResult of the scene's call."""
    match scene.tool:
        case "Read":
            return read_result(scene)
        case "Edit":
            return edit_result(scene)
        case "Grep":
            return search_result(scene)
    return scene.output, shell_detail(scene.output)
