"""What deploy.privacy lets through and what it stops."""

from __future__ import annotations

import getpass
import json
import socket
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.privacy import MACHINE_KEYS, ORIGIN_KEYS, Guard, publishable_json

BASE = "Qwen/Qwen2.5-7B-Instruct"
GUARD = Guard(("hf_secretsecretsecret",), ("my-town/mayor-lora", BASE))
part = st.text(string.ascii_lowercase + string.digits + "._-", min_size=2, max_size=12).filter(
    lambda text: text.strip(".")
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*ORIGIN_KEYS, *MACHINE_KEYS, "r"]), inner)
    ),
    max_leaves=12,
)


@given(st.lists(part, min_size=2, max_size=5), st.sampled_from(['"{}"', "see {} there", "path={}", "('{}')"]))
def test_an_absolute_path_is_found_wherever_it_stands(parts: list[str], around: str) -> None:
    assert "a local path" in (GUARD.fault(around.format("/" + "/".join(parts))) or "")


@given(st.lists(part, min_size=1, max_size=4))
def test_links_to_the_hub_and_relative_names_are_not_paths(parts: list[str]) -> None:
    text = f"[x](https://huggingface.co/{BASE}/{'/'.join(parts)}) and/or {'/'.join(parts)} </tool_call> 3/4"
    assert GUARD.fault(text) is None


@given(st.text(string.ascii_letters + " \n", max_size=60), st.text(string.ascii_letters + " \n", max_size=60))
def test_our_token_is_found_in_every_kind_of_text_with_its_line_and_never_quoted(before: str, after: str) -> None:
    for vocabulary in (False, True):
        fault = GUARD.fault(f"{before}hf_secretsecretsecret{after}", vocabulary)
        assert fault == f"line {before.count(chr(10)) + 1}: a token"


@given(values)
def test_cleaning_leaves_no_origin_but_the_base_and_is_done_in_one_pass(value: Any) -> None:
    text = publishable_json(json.dumps(value), BASE)
    assert publishable_json(text, BASE) == text
    assert all(origin == BASE for origin in origins(json.loads(text)))


def origins(value: Any) -> list[str]:
    """All strings under a key that names where a model was loaded from."""
    if isinstance(value, list):
        return [found for item in value for found in origins(item)]
    if not isinstance(value, dict):
        return []
    assert not set(value) & set(MACHINE_KEYS)
    here = [item for key, item in value.items() if key in ORIGIN_KEYS and isinstance(item, str)]
    return here + [found for item in value.values() for found in origins(item)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("trained on gpu-box-7", "the name of this machine"),
        ("trained on gpu-box-71", None),
        ("alice@gpu", "a user name"),
        ('{"owner": "alice"}', "a user name"),
        ("alice in wonderland", None),
        ("my-town/mayor-lora", None),
        ("~/notes/today.md", "a local path"),
        ("file://x", "a local path"),
        (r"C:\Users\alice", "a local path"),
    ],
)
@pytest.mark.usefixtures("one_scanner")
def test_names_of_this_machine_and_its_user_are_found_as_names_only(
    monkeypatch: pytest.MonkeyPatch, text: str, found: str | None
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "gpu-box-7.lan")
    monkeypatch.setattr(getpass, "getuser", lambda: "alice")
    monkeypatch.delenv("SUDO_USER", raising=False)
    fault = Guard(public=("my-town/mayor-lora",)).fault(text)
    assert (fault is None) if found is None else (fault is not None and found in fault)
