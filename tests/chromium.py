"""A real browser for tests: Chromium without a window, steered over a pair of pipes with its DevTools protocol.

It types, presses keys and clicks as a person does, and remembers what the page asked for and complained about.
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

COMMANDS = ("chromium", "chromium-browser", "google-chrome")
PATIENCE = 30  # seconds until something that should come is given up

# No sandbox: it needs rights that containers lack, and the pages are our own. No network: a page must not need any.
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--force-color-profile=srgb",
    "--remote-debugging-pipe",
)

KEY_CODES = {"Escape": 27, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}


def needed_chromium() -> str:
    """The command of a Chromium; without one the test is skipped, but not in CI."""
    command = find_chromium()
    if command is None and "CI" not in os.environ:
        pytest.skip("no Chromium on this machine: `apt-get install chromium` runs the tests of pages")
    assert command, "CI needs Chromium: apt-get install chromium"
    return command


def find_chromium() -> str | None:
    """The browser of this machine, where it has one."""
    return next((found for name in COMMANDS if (found := shutil.which(name))), None)


class Chromium:
    """One page in one browser. `requests` are the addresses it asked for, `complaints` what went wrong in it."""

    def __init__(self, command: str, profile: Path, width: int = 1280, height: int = 900) -> None:
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self._number = 0
        commands, self._to = os.pipe()
        self._from, answers = os.pipe()
        # The browser reads its commands from descriptor 3 and answers on 4.
        line = f'exec "$0" "$@" 3<&{commands} 4>&{answers}'
        self._process = subprocess.Popen(
            ["bash", "-c", line, command, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
            pass_fds=(commands, answers),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(commands)
        os.close(answers)
        self._rest = b""
        self._session = ""
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self._call(f"{domain}.enable")
        self.resize(width, height)

    def __enter__(self) -> Chromium:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.terminate()
        self._process.wait(PATIENCE)
        for descriptor in (self._to, self._from):
            os.close(descriptor)

    def open(self, address: str) -> None:
        """Open an address and wait until the page has loaded."""
        self._call("Page.navigate", url="about:blank")
        self.requests.clear()
        self.complaints.clear()
        self._call("Page.navigate", url=address)
        self.wait(f"document.readyState === 'complete' && location.href === {json.dumps(address)}")

    def resize(self, width: int, height: int, dark: bool = False) -> None:
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self._call("Emulation.setDeviceMetricsOverride", **size)
        feature = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._call("Emulation.setEmulatedMedia", features=[feature])

    def run_scripts(self, allowed: bool) -> None:
        """Whether pages that are opened from now on may run JavaScript."""
        self._call("Emulation.setScriptExecutionDisabled", value=not allowed)

    def evaluate(self, expression: str) -> Any:
        """The value of an expression in the page. Raises AssertionError where it throws."""
        answer = self._call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, condition: str) -> None:
        """Wait until an expression is true in the page."""
        end = time.monotonic() + PATIENCE
        while not self.evaluate(condition):
            assert time.monotonic() < end, f"never true: {condition}"
            time.sleep(0.02)

    def click(self, selector: str) -> None:
        """Scroll to an element and click on its middle, with the mouse."""
        place = f"document.querySelector({json.dumps(selector)})"
        self.evaluate(f"{place}.scrollIntoView({{block: 'center', behavior: 'instant'}})")
        where = f"(({{x, y, width, height}}) => [x + width / 2, y + height / 2])({place}.getBoundingClientRect())"
        box = self.evaluate(where)
        while (again := self.evaluate(where)) != box:  # the page still moves
            box = again
        for kind in ("mousePressed", "mouseReleased"):
            self._call("Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], button="left", clickCount=1)

    def type(self, text: str) -> None:
        """Type a text, key by key, into what has the focus."""
        for character in text:
            self.press(character, character)

    def press(self, key: str, text: str = "") -> None:
        """Press and release one key, such as `ArrowRight` or `j`; a key that writes something needs its text."""
        code = {"windowsVirtualKeyCode": KEY_CODES[key]} if key in KEY_CODES else {}
        written = {"text": text} if text else {}
        self._call("Input.dispatchKeyEvent", type="keyDown", key=key, **code, **written)
        self._call("Input.dispatchKeyEvent", type="keyUp", key=key, **code)

    def focus(self, selector: str) -> None:
        """Put the focus on an element, as the tabulator key would."""
        self.evaluate(f"document.querySelector({json.dumps(selector)}).focus()")

    def choose(self, selector: str, start: str) -> None:
        """Choose the option of a select element that begins with a text, with the arrow key."""
        self.focus(selector)
        select = f"document.querySelector({json.dumps(selector)})"
        for _ in range(self.evaluate(f"{select}.length")):
            if self.evaluate(f"{select}.selectedOptions[0].text").startswith(start):
                return
            before = self.evaluate(f"{select}.selectedIndex")
            self.press("ArrowDown")
            self.wait(f"{select}.selectedIndex !== {before}")  # the key is handled in the page's own time
        raise AssertionError(f"{selector} offers nothing that begins with {start}")

    def photograph(self, path: Path) -> None:
        """Write what the window shows as PNG."""
        path.write_bytes(base64.b64decode(self._call("Page.captureScreenshot", format="png")["data"]))

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while (answer := self._receive()).get("id") != self._number:
            self._note(answer.get("method", ""), answer.get("params", {}))
        assert "error" not in answer, answer["error"]
        result: dict[str, Any] = answer.get("result", {})
        return result

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            assert select.select([self._from], [], [], PATIENCE)[0], "the browser does not answer"
            piece = os.read(self._from, 1 << 20)
            assert piece, "the browser ended"
            self._rest += piece
        message, _, self._rest = self._rest.partition(b"\0")
        received: dict[str, Any] = json.loads(message)
        return received

    def _note(self, event: str, about: dict[str, Any]) -> None:
        if event == "Network.requestWillBeSent":
            self.requests.append(about["request"]["url"])
        elif event == "Runtime.exceptionThrown":
            self.complaints.append(str(about["exceptionDetails"]))
        elif event == "Log.entryAdded":
            self.complaints.append(about["entry"]["text"])
        elif event == "Page.javascriptDialogOpening":
            self.complaints.append(f"dialog: {about['message']}")
