"""The sample town as a whole: the same seed gives the same bytes, every role is there, the folder is whole."""

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.sample.__main__ import main
from data.sample.disk import NotATownError, write_town
from data.sample.people import ROLES, TOWN, project_folder
from data.sample.town import FEWEST_SESSIONS, ODDITIES, SESSIONS, build_town
from tests.sample_oddities import default_town

PLAN_ROLES = ("mayor", "deacon", "witness", "refinery", "polecat", "crew")
ENVELOPE = {"parentUuid", "isSidechain", "userType", "cwd", "sessionId", "version", "gitBranch", "uuid", "timestamp"}
BEAD = re.compile(rb"\b(?:pe|ha|la|or|qu)-(\d+)\b")


@pytest.fixture(scope="module")
def town():
    return default_town()


def records(content: bytes) -> list[dict]:
    """The records of a file; damaged lines are left out here, the oddity tests look at them."""
    found = []
    for line in content.splitlines():
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return [record for record in found if isinstance(record, dict)]


def sessions_by_role(files) -> Counter:
    """How many session ids have their first record in a folder of each role."""
    seen: dict[str, str] = {}
    for content in files.values():
        for record in records(content):
            if record.get("cwd", "").startswith(TOWN) and not record["isSidechain"]:
                seen.setdefault(record["sessionId"], role_of(record["cwd"]))
    return Counter(seen.values())


def role_of(cwd: str) -> str:
    """The role by the path rules of the town, most special first."""
    parts = cwd.removeprefix(TOWN).strip("/").split("/")
    if parts[:2] == ["deacon", "dogs"]:
        return "boot" if parts[2] == "boot" else "dog"
    if parts[0] in ("mayor", "deacon"):
        return parts[0]
    return {"polecats": "polecat"}.get(parts[1], parts[1])


@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 2**40), extra=st.integers(0, 12))
def test_the_same_seed_gives_the_same_bytes_and_every_oddity(seed, extra):
    one, two = (build_town(FEWEST_SESSIONS + extra, seed) for _ in range(2))
    assert one == two
    assert {oddity.name for oddity in ODDITIES} <= one.oddities.keys()
    assert all(10 <= int(number) <= 799 for text in one.files.values() for number in BEAD.findall(text))


def test_another_seed_gives_another_town(town):
    other = build_town(seed=8)
    assert other.files["beads/issues.jsonl"] != town.files["beads/issues.jsonl"]
    assert other.files.keys() != town.files.keys()


def test_every_role_lives_in_the_town_and_the_plan_roles_have_enough_sessions(town):
    count = sessions_by_role(town.files)
    assert count.keys() == set(ROLES)
    assert all(count[role] >= 16 for role in PLAN_ROLES)
    assert all(4 <= count[role] < 16 for role in ("boot", "dog"))


def test_both_layouts_of_the_working_folders_are_there(town):
    folders = {record["cwd"] for text in town.files.values() for record in records(text) if "cwd" in record}
    places = [folder.removeprefix(f"{TOWN}/").split("/") for folder in folders if folder.startswith(TOWN)]
    assert {len(parts) for parts in places if parts[1:2] == ["polecats"]} >= {3, 4}
    assert {len(parts) for parts in places if parts[1:2] == ["witness"]} >= {2, 3}
    assert ["mayor"] in places and any(parts[1:] == ["mayor", "rig"] for parts in places)


def test_a_session_has_four_to_eleven_prompts_on_average(town):
    prompts = [
        sum(record.get("permissionMode") is not None and record["type"] == "user" for record in records(text))
        for path, text in town.files.items()
        if path.startswith("projects/") and text
    ]
    assert 4 <= sum(prompts) / len(prompts) <= 11


def test_records_of_the_chain_have_the_whole_envelope(town):
    for path, text in town.files.items():
        if not path.startswith("projects/"):
            continue
        for record in records(text):
            if record.get("type") in ("user", "assistant", "system", "progress", "attachment"):
                assert record.keys() >= ENVELOPE, path


def test_an_assistant_record_is_one_block_of_an_api_message(town):
    sizes, signed = Counter(), 0
    for text in town.files.values():
        for record in records(text):
            if record.get("type") == "assistant" and record["message"]["model"] != "<synthetic>":
                message = record["message"]
                sizes[len(message["content"])] += 1
                assert message["id"].startswith("msg_01") and message["usage"]["output_tokens"] > 0
                signed += any(block.get("signature") for block in message["content"])
    assert sizes[1] > 1000 and sizes.total() - sizes[1] == 1
    assert signed > 100


def test_beacons_come_in_the_forms_of_the_town_and_some_sessions_are_primed(town):
    text = b"".join(town.files.values()).decode()
    recipients = set(re.findall(r"\[GAS TOWN\] ([^<]+?) <- (\w+) • \d{4}-\d\d-\d\dT\d\d:\d\d • ([a-z-]+)", text))
    assert {topic for _, _, topic in recipients} >= {"patrol", "handoff", "assigned", "triage", "cold-start"}
    assert any("(rig: " in who for who, _, _ in recipients) and any("/" in who for who, _, _ in recipients)
    assert len(re.findall(r"\[GAS TOWN\] role:\S+ pid:\d+ session:[0-9a-f-]{36}", text)) > 10


def test_every_file_lies_in_the_folder_of_its_first_working_folder(town):
    moved = {town.oddities["moved_project_folder"].file}
    for path, text in town.files.items():
        if path.startswith("projects/") and path.endswith(".jsonl") and path not in moved:
            folders = [record["cwd"] for record in records(text) if "cwd" in record]
            assert not folders or path.split("/")[1] == project_folder(folders[0])


def test_sizes_are_those_of_a_sample(town):
    total = sum(map(len, town.files.values()))
    assert 2e6 < total < 12e6 and 120 <= SESSIONS <= 160
    assert len(records(town.files["beads/issues.jsonl"])) == town.beads == 30


def test_some_beads_are_those_that_sessions_work_on(town):
    ids = {bead["id"] for bead in records(town.files["beads/issues.jsonl"])}
    said = b"".join(text for path, text in town.files.items() if path.startswith("projects/"))
    worked = {match.decode() for match in re.findall(rb"(?:bd close|--issue) ((?:pe|ha|la|or|qu)-\d+)", said)}
    assert len(ids & worked) >= 3


def test_nothing_looks_like_a_live_token_or_a_path_of_this_machine(town):
    text = b"".join(town.files.values()).decode()
    assert set(re.findall(r"AKIA[0-9A-Z]{16}", text)) == {"AKIA" + "EXAMPLETOWNKEY23"[:16]}
    assert not re.search(r"sk-[A-Za-z0-9]{20}|ghp_[A-Za-z0-9]{30}|hf_[A-Za-z0-9]{30}", text)
    assert str(Path.cwd()) not in text and str(Path.home()) + "/" not in text


def test_a_town_is_written_whole_and_replaces_an_older_one(tmp_path, capsys):
    out = tmp_path / "town"
    assert main(["--out", str(out), "--seed", "1"]) == 0
    first = {path.relative_to(out) for path in out.rglob("*") if path.is_file()}
    assert main(["--out", str(out), "--seed", "2", "--sessions", str(FEWEST_SESSIONS)]) == 0
    second = {path.relative_to(out): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    expected = build_town(FEWEST_SESSIONS, 2).files
    assert {str(path): content for path, content in second.items()} == expected
    assert first != second.keys() and list(tmp_path.iterdir()) == [out]
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and re.fullmatch(r"wrote a sample town of \d+ sessions .* seed 1\) to .*town", lines[0])


def test_a_folder_with_other_content_is_left_alone(tmp_path, capsys):
    (tmp_path / "mine.txt").write_text("mine")
    assert main(["--out", str(tmp_path)]) == 1
    assert "Give another folder to --out" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_file_in_the_place_of_the_folder_is_left_alone(tmp_path):
    target = tmp_path / "file"
    target.write_text("mine")
    with pytest.raises(NotATownError, match="is a file"):
        write_town(target, {"oddities.json": b"{}"})
    assert target.read_text() == "mine"


def test_an_unfinished_town_never_takes_the_place_of_the_old_one(tmp_path):
    target = tmp_path / "town"
    write_town(target, {"oddities.json": b"old"})
    with pytest.raises(OSError):
        write_town(target, {"oddities.json": b"new", "oddities.json/below": b"impossible"})
    assert (target / "oddities.json").read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_that_cannot_be_written_ends_with_a_sentence(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["--out", str(tmp_path / "file" / "town")]) == 1
    assert capsys.readouterr().err.endswith("Give a folder that you may write to.\n")


def test_too_few_sessions_end_with_a_sentence(tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--out", str(tmp_path / "town"), "--sessions", "3"])
    assert stop.value.code == 2 and f"give {FEWEST_SESSIONS} or more" in capsys.readouterr().err
    assert not (tmp_path / "town").exists()
    with pytest.raises(ValueError, match="at least"):
        build_town(3)


def test_the_command_runs_as_a_module(tmp_path):
    command = [sys.executable, "-m", "data.sample", "--out", str(tmp_path / "town")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parent.parent)
    assert done.stdout.count("\n") == 1 and done.stderr == ""
    assert json.loads((tmp_path / "town" / "oddities.json").read_text()).keys() == default_town().oddities.keys()
