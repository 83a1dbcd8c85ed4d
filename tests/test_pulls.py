"""Merged changes as examples: the answer is the change, nothing of a repository runs, what is left out has a name."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.config import PullsConfig
from data.extract import pulls, pulls_changes, pulls_diff, pulls_git
from data.extract.pulls_changes import Reason
from data.extract.pulls_diff import Left
from data.extract.unit import SourceError, Unit
from data.record import Assistant, Conversation, Drop, User
from tests.git_town import Town

DEFAULT = PullsConfig()
CODE = "def one():\n    return 1\n"


def read_all(path: Path, config: PullsConfig = DEFAULT) -> tuple[list[Conversation], list[Drop]]:
    outcomes = [item for unit in pulls.units(path, "", config) for item in pulls.read(unit)]
    made = [item for item in outcomes if isinstance(item, Conversation)]
    return made, [item for item in outcomes if isinstance(item, Drop)]


def asked(conversation: Conversation) -> str:
    question = conversation.messages[0]
    assert isinstance(question, User)
    return question.text


def diff(conversation: Conversation) -> str:
    answer = conversation.messages[-1]
    assert isinstance(answer, Assistant)
    first, _, rest = answer.text.partition("\n")
    assert first.endswith("diff") and answer.text.endswith(f"\n{first.removesuffix('diff')}")
    return rest.removesuffix(first.removesuffix("diff"))


def fates(drops: list[Drop]) -> Counter[str]:
    counted: Counter[str] = Counter()
    for drop in drops:
        counted[drop.reason] += drop.records
    return counted


texts = st.text(st.sampled_from("ab`-+ \n\té"), max_size=40)
names = st.sampled_from(["a.py", "src/b.py", "docs/c d.md", 'odd "ü".txt'])
trees = st.lists(st.dictionaries(names, texts, max_size=3), min_size=1, max_size=4)


@given(trees)
@settings(max_examples=8)
def test_the_answer_turns_the_parent_into_the_commit(history: list[dict[str, str]]) -> None:
    """Applied by git itself, which is stricter than a reader."""
    with TemporaryDirectory() as folder:
        town = Town(Path(folder) / "town")
        shas = [town.commit("Change what these files say", files) for files in history]
        made, drops = read_all(town.folder)
        assert len(made) + sum(drop.records for drop in drops if drop.reason != "used") == len(shas) + 1
        for one in made:
            town.git("checkout", "-q", f"{one.origin.session}~1")
            (town.folder / ".git" / "patch").write_text(diff(one))
            town.git("apply", "--index", "--whitespace=nowarn", ".git/patch")
            assert town.git("write-tree") == town.git("rev-parse", f"{one.origin.session}^{{tree}}")
            town.git("reset", "-q", "--hard")


def test_a_commit_asks_with_its_message_and_answers_with_its_diff(tmp_path: Path) -> None:
    town = Town(tmp_path / "town")
    message = (
        "Count the rows once (#41)\n\nThey were counted twice.\n\nFixes #40\nCloses: #7, #8\n"
        "Signed-off-by: Ada <ada@example.com>\nCo-authored-by: Bo <bo@example.com>"
    )
    sha = town.commit(message, {"src/rows.py": CODE, "tests/test_rows.py": CODE})
    (made,), drops = read_all(town.folder)
    assert asked(made) == f"Count the rows once\n\nThey were counted twice.\n\n{pulls_changes.ASKED}"
    assert diff(made).splitlines()[:6] == [
        "diff --git a/src/rows.py b/src/rows.py",
        "new file mode 100644",
        "--- /dev/null",
        "+++ b/src/rows.py",
        "@@ -0,0 +1,2 @@",
        "+def one():",
    ]
    assert made.about == {
        "commit": sha, "repository": "town", "files": "src/rows.py, tests/test_rows.py", "tests": "touched",
        "pull_request": "41",
    }  # fmt: skip
    assert (made.origin.session, made.origin.started, made.facts) == (sha, "2026-03-01T10:02:00Z", ("merge",))
    assert fates(drops) == {"used": 1, Reason.FIRST: 1}


@pytest.mark.parametrize(
    ("message", "task"),
    [
        ("Merge pull request #12 from ada/rows\n\nCount the rows once\n\nWhy not.", "Count the rows once\n\nWhy not."),
        ("Merge branch 'rows' into 'main'\n\nCount the rows once\n\nSee merge request a/b!12", "Count the rows once"),
    ],
)
def test_a_merge_is_one_change_and_asks_with_what_stands_below_it(tmp_path: Path, message: str, task: str) -> None:
    town = Town(tmp_path / "town")
    town.merge(message, {"rows.py": CODE})
    (made,), _ = read_all(town.folder)
    assert asked(made).removesuffix(f"\n\n{pulls_changes.ASKED}") == task
    assert made.about["files"] == "rows.py, wip.txt" and made.about["pull_request"] == "12"


@pytest.mark.parametrize("place", ["pulls.json", "open.pulls.json", "../town.pulls.json"])
@pytest.mark.parametrize("by", ["merge_commit_sha", "mergeCommit", "number"])
def test_an_exported_pull_request_asks_in_place_of_the_message(tmp_path: Path, place: str, by: str) -> None:
    town = Town(tmp_path / "town")
    sha = town.commit("fix (#9)" if by == "number" else "fix", {"rows.py": CODE})
    pull = {"number": 9, "title": "Count the rows once", "body": "<!-- template -->\r\nTwice.\r\n- [x] tests", "url": 1}
    pull |= {"merge_commit_sha": {"merge_commit_sha": sha}, "mergeCommit": {"mergeCommit": {"oid": sha}}}.get(by, {})
    (town.folder / place).write_text(json.dumps([pull, {"number": 1, "title": "Other", "body": None}]))
    (made,), _ = read_all(town.folder)
    assert asked(made) == f"Count the rows once\n\nTwice.\n\n{pulls_changes.ASKED}"
    assert made.about["pull_request"] == "9"


def test_a_file_of_pull_requests_that_is_none_is_named_and_the_messages_ask(tmp_path: Path) -> None:
    town = Town(tmp_path / "town")
    town.commit("Count the rows once", {"rows.py": CODE})
    (town.folder / "pulls.json").write_text('{"number": 1}')
    made, drops = read_all(town.folder)
    assert len(made) == 1
    (drop,) = [drop for drop in drops if drop.reason == Reason.BROKEN_EXPORT]
    assert drop.file.endswith("pulls.json") and drop.detail.endswith("Export them again with gh pr list --json.")


def left_out(town: Town) -> dict[Reason, str]:
    """A commit for every reason that a whole commit can have, by the id that is then set aside."""
    good = "Change the rows of the table"
    return {
        Reason.FIRST: town.git("rev-list", "--max-parents=0", "HEAD"),
        Reason.BOT: town.commit("Bump rows from 1 to 2", {"a.py": "1\n"}, author="dependabot[bot]"),
        Reason.REVERTED: (bad := town.commit(good, {"a.py": "2\n"})),
        Reason.REVERT: town.commit(f'Revert "{good}"\n\nThis reverts commit {bad}.', {"a.py": "1\n"}),
        Reason.NO_TEXT: town.merge("Merge branch 'rows'", {"b.py": "1\n"}),
        Reason.FEW_WORDS: town.commit("wip", {"a.py": "3\n"}),
        Reason.NO_CHANGE: town.commit(good, {}),
        Reason.NOT_WRITTEN: town.commit(good, {"package-lock.json": "{}\n", "vendor/x.c": "x\n"}),
        Reason.MANY_FILES: town.commit(good, {f"{n}.py": "1\n" for n in range(4)}),
        Reason.MANY_LINES: town.commit(good, {"c.py": "1\n" * 21}),
        Reason.TOO_LONG: town.commit(good, {"d.py": "1" * pulls_diff.MAX_DIFF + "\n"}),
        Reason.NOT_UTF8: town.commit(good, {"e.py": b"caf\xe9\n"}),
    }


def test_every_commit_that_is_no_example_has_a_reason(tmp_path: Path) -> None:
    town = Town(tmp_path / "town")
    expected = left_out(town)
    assert set(expected) | {Reason.UNREADABLE, Reason.BROKEN_EXPORT} == set(Reason)
    kept = town.commit("Change the rows of the table", {"good.py": CODE})
    made, drops = read_all(town.folder, PullsConfig(max_files=3, max_lines=20))
    assert {drop.reason: drop.subject for drop in drops if drop.stage == "pulls" and drop.reason != "used"} == expected
    assert [one.origin.session for one in made] == [kept]
    (not_written,) = [drop for drop in drops if drop.reason == Reason.NOT_WRITTEN]
    assert not_written.detail == "2 files, 0 lines written; 2 file that leave_out names"


def test_files_that_nobody_wrote_are_not_shown_and_counted(tmp_path: Path) -> None:
    town = Town(tmp_path / "town")
    marks = "*.gen linguist-generated\nlibs/** linguist-vendored\n*.dat -diff\n"
    town.commit("Say what is made", {".gitattributes": marks, "sub/.gitattributes": "x linguist-generated=true\n"})
    town.commit("Lay the ground for it", {"old.py": CODE, "run.sh": "true\n"})
    town.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},module")
    town.git("mv", "old.py", "new.py")
    (town.folder / "run.sh").chmod(0o755)
    files = {"a.gen": "1\n", "libs/b.py": "1\n", "c.dat": "1\n", "sub/x": "1\n", "d.bin": b"\0\1", "go.sum": "1\n"}
    town.write(files | {"rows.py": CODE})
    town.git("add", *files, "rows.py", "run.sh")
    town.git("commit", "-q", "-m", "Count the rows only once")
    made, drops = read_all(town.folder)
    assert made[0].about["files"] == "rows.py" and diff(made[0]).count("diff --git") == 1
    expected = dict.fromkeys(Left, 1) | {Left.GENERATED: 2, Left.BINARY: 2}
    assert fates([drop for drop in drops if drop.stage == "files of pulls"]) == expected


def test_a_file_that_becomes_a_link_does_not_shift_the_files_after_it(tmp_path: Path) -> None:
    town = Town(tmp_path / "town")
    town.commit("Lay the ground for it", {"b.py": CODE})
    (town.folder / "b.py").unlink()
    (town.folder / "b.py").symlink_to("README.md")
    town.commit("Make it a link to the text", {"a.lock": "1\n", "z.py": CODE})
    made, _ = read_all(town.folder)
    assert "z.py b/z.py" in diff(made[0]) and "a.lock" not in diff(made[0])
    assert diff(made[0]).count("diff --git a/b.py b/b.py\n") == 2  # taken away, and added as a link


def test_a_diff_with_fences_stands_in_a_longer_fence(tmp_path: Path) -> None:
    town = Town(tmp_path / "town")
    town.commit("Show how it is called", {"docs.md": "````py\none()\n````\n"})
    (made,), _ = read_all(town.folder)
    assert made.messages[-1].text.startswith("`````diff\n")  # type: ignore[union-attr]


def hostile(town: Town, trap: Path) -> None:
    """A repository whose configuration, attributes and hooks name a program wherever git would run one."""
    program = town.folder / ".git" / "trap.sh"
    program.write_text(f"#!/bin/sh\ntouch {trap}\ncat\n")
    program.chmod(0o755)
    run = str(program)
    for key in ("core.fsmonitor", "core.pager", "diff.external", "diff.x.textconv", "diff.x.command", "gpg.program"):
        town.git("config", key, run)
    for key, value in {
        "core.hooksPath": str(town.folder / ".git" / "hooks"), "log.showSignature": "true", "filter.x.smudge": run,
        "filter.x.clean": run, "core.sshCommand": run, "trailer.x.command": run, "pager.log": run,
        "diff.noprefix": "true", "color.ui": "always", "diff.context": "0",
        "core.alternateRefsCommand": run, "core.quotePath": "true",
        "uploadpack.packObjectsHook": run, "remote.origin.url": f"ext::{run}", "remote.origin.promisor": "true",
        "extensions.partialClone": "origin",
    }.items():  # fmt: skip
        town.git("config", key, value)
    (town.folder / ".git" / "info" / "attributes").write_text("* diff=x filter=x\n")
    for hook in ("post-checkout", "post-index-change", "reference-transaction", "fsmonitor-watchman"):
        shutil.copy(program, town.folder / ".git" / "hooks" / hook)


def test_nothing_that_a_repository_names_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    town = Town(tmp_path / "town")
    town.commit("Count the rows once", {"ö.py": CODE})
    before, _ = read_all(town.folder)
    trap = tmp_path / "sprung"
    hostile(town, trap)
    subprocess.run(["git", "log", "-p", "--ext-diff", "-1"], cwd=town.folder, check=False, capture_output=True)
    assert trap.exists()  # the trap works
    trap.unlink()
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", str(town.folder / ".git" / "trap.sh"))
    for name in ("GIT_DIR", "GIT_OBJECT_DIRECTORY", "GIT_NAMESPACE"):
        monkeypatch.setenv(name, "/nowhere")
    after, _ = read_all(town.folder)
    assert after == before and not trap.exists()


def test_a_missing_object_is_never_fetched_and_named(tmp_path: Path) -> None:
    town = Town(tmp_path / "town")
    town.commit("Count the rows once", {"a.py": CODE})
    town.commit("Count the rows once more", {"b.py": CODE * 2})
    blob = town.git("rev-parse", "HEAD:b.py")
    hostile(town, tmp_path / "sprung")
    (town.folder / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    made, drops = read_all(town.folder)
    (drop,) = [drop for drop in drops if drop.reason == Reason.UNREADABLE]
    assert blob in drop.detail and not (tmp_path / "sprung").exists()
    assert len(made) + sum(drop.records for drop in drops if drop.reason != "used") == 3


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_repository_of_somebody_else_is_read(tmp_path: Path) -> None:
    town = Town(tmp_path / "town")
    town.commit("Count the rows once", {"a.py": CODE})
    for path in [town.folder, *town.folder.rglob("*")]:
        os.chown(path, 12345, 12345)
    made, _ = read_all(town.folder)
    assert len(made) == 1


def test_bare_ones_worktrees_and_new_kinds_of_ids_are_read_alike(tmp_path: Path) -> None:
    town = Town(tmp_path / "towns" / "one")
    town.commit("Count the rows once", {"a.py": CODE})
    town.git("clone", "-q", "--bare", ".", "../two.git")
    town.git("worktree", "add", "-q", "../three", "HEAD")
    Town(tmp_path / "towns" / "owner" / "four", "--object-format=sha256").commit("Count the rows once", {"a.py": CODE})
    (tmp_path / "towns" / "no town").mkdir()
    made, _ = read_all(tmp_path / "towns")
    assert [one.about["repository"] for one in made] == ["one", "owner/four", "three", "two.git"]
    assert len({one.id for one in made}) == 4 and len({diff(one) for one in made}) == 1
    assert [len(one.about["commit"]) for one in made] == [40, 64, 40, 40]


def test_another_head_makes_another_unit_and_a_branch_is_chosen(tmp_path: Path) -> None:
    town = Town(tmp_path / "town")
    town.commit("Count the rows once", {"a.py": CODE})

    def names(config: PullsConfig = DEFAULT) -> list[str]:
        return [unit.name for unit in pulls.units(town.folder, "", config)]

    before = names()
    assert names() == before
    town.git("checkout", "-q", "-b", "side")
    town.commit("Count the rows elsewhere", {"b.py": CODE})
    assert names() != before and names(PullsConfig(branch="main")) == before
    made, _ = read_all(town.folder, PullsConfig(branch="main"))
    assert [one.about["files"] for one in made] == ["a.py"]


def test_parts_of_a_history_are_the_history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A change is also known to be taken back where that stands in another part."""
    town = Town(tmp_path / "town")
    shas = [town.commit(f"Count the rows of table {n}", {"a.py": f"{n}\n"}) for n in range(7)]
    town.commit(f"Take it back\n\nThis reverts commit {shas[1]}.", {"a.py": "0\n"})
    (town.folder / "pulls.json").write_text("[")
    whole = read_all(town.folder)
    monkeypatch.setattr(pulls, "PART", 2)
    assert len(list(pulls.units(town.folder, ""))) == 5
    made, drops = read_all(town.folder)
    assert made == whole[0] and fates(drops) == fates(whole[1])
    assert len(made) == 6


def test_what_cannot_be_a_source_is_one_sentence_with_the_fix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def problem(path: Path, config: PullsConfig = DEFAULT) -> str:
        with pytest.raises(SourceError) as error:
            list(pulls.units(path, "", config))
        return str(error.value)

    assert problem(tmp_path / "nowhere").endswith("does not exist. Clone the repository there, or remove the source.")
    assert problem(tmp_path).endswith("holds none. Clone one into it, or remove the source.")
    town = Town(tmp_path / "town")
    town.commit("Count the rows once", {"a.py": CODE})
    assert "git cannot read branch none (no commit). Give another branch" in problem(town.folder, PullsConfig("none"))
    assert "--all is no name of a branch" in problem(town.folder, PullsConfig("--all"))
    town.git("clone", "-q", "--depth", "1", f"file://{town.folder}", str(tmp_path / "shallow"))
    subprocess.run(["git", "init", "-q", str(tmp_path / "empty")], check=True)
    both = problem(tmp_path).splitlines()
    assert "the branch that is checked out (no commit)" in both[0] and both[1].endswith("fetch --unshallow`.")
    monkeypatch.setattr(pulls, "installed", lambda: False)
    assert "without git. Install git (apt install git)" in problem(town.folder)


def test_a_git_that_never_ends_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    town = Town(tmp_path / "town")
    town.commit("Count the rows once", {"a.py": CODE})
    units: list[Unit] = list(pulls.units(town.folder, ""))
    slow = tmp_path / "bin" / "git"
    slow.parent.mkdir()
    slow.write_text(f'#!/bin/sh\ncase "$*" in *" log "*) exec sleep 600;; esac\nexec {shutil.which("git")} "$@"\n')
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{slow.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(pulls_git, "LONG", 0.3)
    (drop,) = [item for unit in units for item in pulls.read(unit)]
    assert isinstance(drop, Drop)
    assert (drop.reason, drop.records, drop.detail) == (Reason.UNREADABLE, 2, "git took over 0.3 s")
