"""The whole pipeline on real transcripts, judged by a second, simpler reading of the same files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from data.pipeline import main
from data.record import SPLITS
from data.validate.schema import check_row

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def dataset(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("corpus-dataset")
    assert main(["all", "--sessions", str(corpus), "--out", str(out)]) == 0
    return out


def rows(dataset: Path) -> Iterator[dict[str, Any]]:
    for split in SPLITS:
        for line in (dataset / f"gastown_{split}.jsonl").read_text("utf-8").splitlines():
            yield json.loads(line)


def raw_replies(corpus: Path) -> tuple[dict[str, dict[str, str]], set[str]]:
    """Visible text by message id and block, and the ids of what the client wrote itself, straight from the lines."""
    texts: dict[str, dict[str, str]] = {}
    synthetic = set()
    for path in corpus.rglob("*.jsonl"):
        for line in path.read_text("utf-8").splitlines():
            try:
                record = json.loads(line)
            except ValueError:
                continue
            if not isinstance(record, dict) or record.get("type") != "assistant":
                continue
            message = record["message"]
            if message["model"] == "<synthetic>":
                synthetic.add(message["id"])
            for block in message["content"]:
                shown = block.get("text", "").strip() if block["type"] == "text" else block.get("id", "")
                if shown:
                    texts.setdefault(message["id"], {})[record["uuid"]] = block.get("text", "").strip()
    return texts, synthetic


def test_every_row_keeps_the_contract(dataset: Path) -> None:
    assert [problem for row in rows(dataset) for problem in check_row(row)] == []


def test_at_least_97_percent_of_the_visible_text_is_trained_once_and_the_rest_is_named(
    dataset: Path, corpus: Path
) -> None:
    texts, synthetic = raw_replies(corpus)
    trained = [i for row in rows(dataset) for i in row["metadata"]["trained_ids"]]
    assert len(trained) == len(set(trained))
    assert not synthetic & set(trained)
    shown = {i: sum(map(len, blocks.values())) for i, blocks in texts.items() if i not in synthetic}
    assert set(trained) <= set(shown)
    assert sum(shown[i] for i in trained) >= 0.97 * sum(shown.values())
    named = (dataset / "drops.jsonl").read_text("utf-8")
    assert [i for i in set(shown) - set(trained) if i not in named] == []


def test_a_session_is_in_one_split_only(dataset: Path) -> None:
    homes: dict[str, set[str]] = {}
    for split in SPLITS:
        for line in (dataset / f"gastown_{split}.jsonl").read_text("utf-8").splitlines():
            homes.setdefault(json.loads(line)["metadata"]["session_id"], set()).add(split)
    assert len(homes) == 34
    assert all(len(splits) == 1 for splits in homes.values())


def test_no_home_folder_of_a_person_is_left(dataset: Path, corpus: Path) -> None:
    working_folders = re.compile(r'"cwd":"/(?:Users|home)/([^/"]+)')
    people = {name for path in corpus.rglob("*.jsonl") for name in working_folders.findall(path.read_text("utf-8"))}
    assert people
    text = "".join(path.read_text("utf-8") for path in dataset.glob("gastown_*.jsonl"))
    for name in people:
        assert f"/Users/{name}/" not in text
        assert f"-Users-{name}-" not in text


def test_checkpoints_and_slices_of_the_same_sessions_change_no_row(dataset: Path, corpus: Path, tmp_path: Path) -> None:
    """Tools that copy a session at every checkpoint leave its beginning, and parts of it, under other names."""
    for path in corpus.rglob("*.jsonl"):
        copy = tmp_path / "projects" / path.relative_to(corpus)
        copy.parent.mkdir(parents=True, exist_ok=True)
        lines = path.read_bytes().splitlines(keepends=True)
        copy.write_bytes(b"".join(lines))
        copy.with_name(f"{copy.stem}-early.jsonl").write_bytes(b"".join(lines[: len(lines) * 3 // 5]))
        copy.with_name(f"a-part-{copy.name}").write_bytes(b"".join(lines[len(lines) * 2 // 5 : len(lines) * 4 // 5]))
    assert main(["all", "--sessions", str(tmp_path / "projects"), "--out", str(tmp_path / "out")]) == 0
    for split in SPLITS:
        name = f"gastown_{split}.jsonl"
        assert (tmp_path / "out" / name).read_bytes() == (dataset / name).read_bytes()
