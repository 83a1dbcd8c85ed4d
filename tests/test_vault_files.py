"""Which files of a vault are read: notes and nothing else, some hundred together, none from outside."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data import pipeline
from data.extract import vault, vault_files, vault_note
from data.extract.vault_files import TOGETHER, batches, note_files, ties
from data.extract.vault_survey import Reason
from data.record import Conversation, Drop
from data.sample.disk import replace_folder
from data.sample.vault import SEED, build_vault, main
from tests.small_build import ROOT, build
from tests.test_vault import OTHER, SAID, drops, made, read, trained, write

MEGABYTE = 1_000_000


def reasons(folder: Path) -> dict[str, str]:
    return {Path(drop.file).name: drop.reason for drop in drops(read(folder))}


def test_links_to_other_files_are_named_and_not_read_and_a_loop_of_folders_comes_to_an_end(tmp_path: Path) -> None:
    write(tmp_path, {"secret.md": f"#insight\n{SAID}", "v/a.md": f"#insight\n{OTHER}", "v/sub/b.md": "Milk.\n"})
    v = tmp_path / "v"
    (v / "out.md").symlink_to(tmp_path / "secret.md")
    (v / "in.md").symlink_to(v / "a.md")
    (v / "self.md").symlink_to(v / "self.md")
    (v / "sub" / "up").symlink_to(v)
    (v / "elsewhere").symlink_to(tmp_path)
    assert [trained(one) for one in made(read(v))] == [[OTHER]]
    assert reasons(v) == dict.fromkeys(("out.md", "in.md", "self.md"), Reason.LINK) | {"b.md": Reason.NO_REFLECTION}


def test_a_vault_that_is_itself_a_link_is_read(tmp_path: Path) -> None:
    write(tmp_path / "real", {"a.md": f"#insight\n{SAID}"})
    (tmp_path / "vault").symlink_to(tmp_path / "real")
    (one,) = made(read(tmp_path / "vault"))
    assert one.about["source_file"] == "a.md"


def test_attachments_cost_nothing_because_only_notes_are_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, {"a.md": f"#insight\n{SAID}\n![[film.mp4]]\n![[b]]", "b.md": "Milk.", "sub/c.MD": "Bread."})
    for name in ("film.mp4", "Attachments/scan.pdf", "sub/a.md.png"):
        write(tmp_path, {name: b"x"})
        os.truncate(tmp_path / name, 1000 * MEGABYTE)
    opened: list[str] = []

    def open_and_tell(path: Path) -> object:
        opened.append(path.name)
        return vault_note_open(path)

    vault_note_open = vault_note.open_regular
    for module in (vault_note, vault_files):
        monkeypatch.setattr(module, "open_regular", open_and_tell)
    units = [*vault.units(tmp_path, "")]
    assert len([outcome for unit in units for outcome in vault.read(unit)]) == 4
    assert set(opened) == {"a.md", "b.md", "c.MD"}
    assert sum(unit.bytes for unit in units) < 1000


def test_a_note_of_fifty_megabytes_is_set_aside_without_being_held_in_memory(tmp_path: Path) -> None:
    write(tmp_path, {"a.md": f"#insight\n{SAID}", "large.md": b"#insight\n" + b"word " * 10 * MEGABYTE})
    code = (
        "import sys\nfrom pathlib import Path\nfrom data.extract import vault\n"
        "def peak():\n"
        "    status = Path('/proc/self/status').read_text()\n"
        "    return int(status.split('VmHWM:')[1].split()[0])\n"
        "before = peak()\n"
        "outcomes = [outcome for unit in vault.units(Path(sys.argv[1]), '') for outcome in vault.read(unit)]\n"
        "print(peak() - before, sorted(outcome.reason for outcome in outcomes if hasattr(outcome, 'reason')))\n"
    )
    run = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    grown, reasons = done.split(maxsplit=1)
    assert reasons == "['note over the size limit', 'used']\n"
    assert int(grown) < 40_000  # KiB


NAMES = [
    "C# notes.md",
    "a ^ b.md",
    "[draft].md",
    "one | two.md",
    "Ünïcödé 日本.md",
    "no.dots.in.it.md",
    " space .md",
    "ends.MD",
]


@pytest.mark.parametrize("name", NAMES)
def test_notes_of_any_name_are_read_and_shown(tmp_path: Path, name: str) -> None:
    notes = {name: f"#insight\n{SAID}", "other/b.md": f"#insight\n![[{name[:-3]}]]\n{OTHER}"}
    told = {one.about["source_file"]: trained(one) for one in made(read(write(tmp_path, notes)))}
    assert told[name] == [SAID]
    assert told["other/b.md"][0].endswith(OTHER)


def test_a_name_that_is_no_utf8_is_written_down_all_the_same(tmp_path: Path) -> None:
    try:
        (tmp_path / os.fsdecode(b"caf\xe9.md")).write_text(f"#insight\n{SAID}")
    except OSError:
        pytest.skip("this file system takes no such name")
    (one,) = made(read(tmp_path))
    assert one.about["source_file"] == r"caf\xe9.md"
    assert json.dumps(one.about).encode("utf-8")


def test_a_note_in_a_folder_that_is_left_out_is_not_shown_elsewhere_either(tmp_path: Path) -> None:
    notes = {"a.md": f"#insight\n{SAID}\n\n![[secret]]", "Templates/secret.md": OTHER}
    assert [trained(one) for one in made(read(write(tmp_path, notes)))] == [[SAID]]


small = st.lists(st.sampled_from([f"{folder}{n}.md" for n, folder in enumerate(("", "a/", "b/") * 3)]), unique=True)


@given(small, st.data())
def test_notes_are_tied_exactly_where_a_chain_of_embeds_leads(notes: list[str], data: st.DataObject) -> None:
    paths = sorted(map(PurePosixPath, notes))
    edges = data.draw(st.lists(st.tuples(st.sampled_from(paths), st.sampled_from(paths)), max_size=8)) if paths else []
    first = ties(paths, [(one, [str(two)]) for one, two in edges])
    groups = {path: {path} for path in paths}
    for one, two in edges * len(paths):
        groups[one] |= groups[two]
        for path in groups[one]:
            groups[path] = groups[one]
    assert {path: first.get(path, path) for path in paths} == {path: min(groups[path]) for path in paths}


@settings(deadline=None, max_examples=20)
@given(st.lists(st.integers(0, 5000), unique=True, min_size=1, max_size=60), st.integers(0, 5000))
def test_every_note_is_in_one_batch_and_a_new_one_changes_one_batch_only(
    tmp_path_factory: pytest.TempPathFactory, numbers: list[int], new: int
) -> None:
    folder = tmp_path_factory.mktemp("v")
    notes = sorted(PurePosixPath(f"f{number % 3}/{number}.md") for number in numbers)
    before = [*batches(folder, notes)]
    assert sorted(note for batch in before for note in batch) == notes
    after = [*batches(folder, sorted({*notes, PurePosixPath(f"f{new % 3}/{new}.md")}))]
    assert len([batch for batch in after if batch not in before]) <= 1


def test_many_notes_of_one_folder_are_parted(tmp_path: Path) -> None:
    sizes = [len(batch) for batch in batches(tmp_path, [PurePosixPath(f"{n}.md") for n in range(10 * TOGETHER)])]
    assert 10 <= len(sizes) <= 20 and max(sizes) < 1.3 * TOGETHER


def test_a_changed_note_is_read_again_and_so_is_what_shows_it(tmp_path: Path) -> None:
    (tmp_path / "projects").mkdir()
    notes = {"a/one.md": f"#insight\n{SAID}\n\n![[two]]", "b/two.md": "The first words of it."}
    write(tmp_path / "v", notes)
    source = {"kind": "vault", "path": str(tmp_path / "v"), "role": "companion"}
    for words in ("The first words of it.", "Other words are there now."):
        write(tmp_path / "v", {"b/two.md": words})
        assert build(tmp_path, {"companion": {"system": "You think as I do."}}, sources=[source]) == 0
        rows = b"".join(path.read_bytes() for path in (tmp_path / "out").glob("companion_*.jsonl"))
        assert words.encode() in rows


def test_a_build_of_no_vault_stops_with_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "projects").mkdir()
    (tmp_path / "empty").mkdir()
    source = {"kind": "vault", "path": str(tmp_path / "empty"), "role": "companion"}
    assert build(tmp_path, {"companion": {"system": "x"}}, sources=[source]) == 2
    assert capsys.readouterr().err == (
        f"{tmp_path / 'empty'} holds no note (*.md). Give the folder of an Obsidian vault, or remove the source.\n"
    )
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_a_note_can_be_forgotten_and_explained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "v", {"a.md": f"#insight\n{SAID}", "b.md": f"#insight\n{OTHER}"})
    (tmp_path / "projects").mkdir()
    session = next(one.origin.session for one in made(read(tmp_path / "v")) if one.about["source_file"] == "a.md")
    source = {"kind": "vault", "path": str(tmp_path / "v"), "role": "companion"}
    settings = {"sources": [source], "forgotten": str(tmp_path / "forgotten.txt")}
    (tmp_path / "forgotten.txt").write_text(f"{session}\n")
    assert build(tmp_path, {"companion": {"system": "x"}}, **settings) == 0
    capsys.readouterr()
    out = ["--out", str(tmp_path / "out"), "--config", str(tmp_path / "data.yml")]
    out += ["--sessions", str(tmp_path / "projects")]
    assert pipeline.main(["explain", "--session", session, *out]) == 0
    assert "forgotten" in capsys.readouterr().out
    rows = b"".join(path.read_bytes() for path in (tmp_path / "out").glob("companion_*.jsonl"))
    assert OTHER.encode() in rows and SAID.encode() not in rows


def test_the_sample_vault_is_the_same_for_the_same_seed_and_replaces_only_itself(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "vault"
    assert build_vault(60, SEED) == build_vault(60, SEED) != build_vault(60, SEED + 1)
    assert main(["--out", str(out), "--notes", "300"]) == 0
    assert "wrote a sample vault of 30" in capsys.readouterr().out
    assert main(["--out", str(out), "--notes", "40"]) == 0
    assert len(note_files(out)[0]) == sum(name.endswith(".md") for name in build_vault(40))
    write(tmp_path / "mine", {"a.md": SAID})
    assert main(["--out", str(tmp_path / "mine")]) == 1
    assert "Give another folder" in capsys.readouterr().err
    assert main(["--out", str(tmp_path / "mine" / "a.md")]) == 1
    with pytest.raises(SystemExit):
        main(["--out", str(out), "--notes", "3"])


def test_the_sample_vault_shows_every_fate_that_a_folder_can_have_without_links(tmp_path: Path) -> None:
    replace_folder(tmp_path / "vault", build_vault(300))
    outcomes = read(tmp_path / "vault")
    seen = {drop.reason for drop in outcomes if isinstance(drop, Drop)}
    assert seen >= {"used", Reason.LEFT_OUT, Reason.EMPTY, Reason.NO_REFLECTION, Reason.BROKEN_TEXT}
    assert len([one for one in outcomes if isinstance(one, Conversation)]) >= 100
