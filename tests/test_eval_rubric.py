"""The rubric for domains: the shipped tasks, the marks, the attacks on them, and the command."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from eval.code_answers import CodeChecks, HiddenTest
from eval.domain_tasks import DOMAINS, Requirement, Statement, Task, TaskFile, load_tasks, shipped_domains, task_schema
from eval.errors import BadInput, one_sentence
from eval.marker import ENOUGH_CORRECT, Marker, Score
from eval.models import Prompt, Reply, Sampling
from eval.rubric import rubric
from eval.rubric_attacks import attack_rows, attacks_on, limits_of, negated
from eval.rubric_config import DEFAULT_WEIGHTS, load_rubric_config
from eval.rubric_marking import sandbox_for
from eval.rubric_results import read_rubric
from eval.rubric_tasks import load_files
from eval.sandbox import Sandbox
from tests.chat_server import chat_server, says
from tests.rubric_paraphrases import PARAPHRASES

PROSE = ("companion", "education", "finance", "healthcare", "legal")
FILES = {domain: load_tasks(DOMAINS / f"{domain}.jsonl") for domain in shipped_domains()}
MARKERS = {domain: Marker(FILES[domain], DEFAULT_WEIGHTS) for domain in PROSE}
TASKS = [(domain, task) for domain in PROSE for task in FILES[domain].tasks]
UNDER = 0.30


def task_of(name: str) -> tuple[str, Task]:
    return next((domain, task) for domain, task in TASKS if task.id == name)


# The tasks


def test_the_schema_file_is_what_the_module_prints() -> None:
    shown = subprocess.run([sys.executable, "-m", "eval.domain_tasks"], capture_output=True, text=True, check=True)
    assert json.loads(shown.stdout) == json.loads(json.dumps(task_schema()))
    assert (DOMAINS.parent / "domain_task.schema.json").read_text() == shown.stdout


@pytest.mark.parametrize("domain", shipped_domains())
def test_every_shipped_line_holds_to_the_schema(domain: str) -> None:
    validator = jsonschema.Draft202012Validator(task_schema())
    lines = (DOMAINS / f"{domain}.jsonl").read_text().splitlines()
    assert len(lines) >= 10
    assert not [error.message for line in lines for error in validator.iter_errors(json.loads(line))]


@pytest.mark.parametrize("domain", PROSE)
def test_prose_tasks_have_facts_errors_and_measurable_requirements(domain: str) -> None:
    for task in FILES[domain].tasks:
        assert len(task.facts) >= 7 and len(task.wrong) >= 2, task.id
        assert sum(bool(item.says or item.asks) for item in task.requirements) >= 3, task.id
        assert task.id.startswith(f"{domain}-")


def test_a_prompt_never_says_its_own_facts() -> None:
    for domain, task in TASKS:
        assert MARKERS[domain].mark(task, task.prompt).total == 0, task.id


# The marks


@pytest.mark.parametrize("domain", PROSE)
def test_every_gold_answer_scores_100(domain: str) -> None:
    for task in FILES[domain].tasks:
        score = MARKERS[domain].mark(task, task.gold_answer)
        assert score.total >= 0.995, f"{task.id}: {score.explanation}"


@pytest.mark.parametrize("domain", PROSE)
def test_every_attack_on_every_task_stays_under_30(domain: str) -> None:
    file = FILES[domain]
    for row in attack_rows(file, MARKERS[domain], attacks_on(file)):
        assert row.highest < 100 * UNDER, row


@pytest.mark.slow
@pytest.mark.parametrize("domain", PROSE)
def test_no_gold_answer_of_another_task_reaches_30(domain: str) -> None:
    for task in FILES[domain].tasks:
        for other in FILES[domain].tasks:
            if other.id != task.id:
                assert MARKERS[domain].mark(task, other.gold_answer).total < UNDER, (task.id, other.id)


@pytest.mark.parametrize("domain", PROSE)
def test_negated_claims_lose_nearly_all_coverage(domain: str) -> None:
    rows = {row.attack: row for row in attack_rows(FILES[domain], MARKERS[domain], limits_of(FILES[domain]))}
    assert rows["gold"].mean == pytest.approx(100)
    assert rows["gold, claims negated"].correctness < 10 and rows["gold, claims negated"].mean < 35
    assert rows["gold, claims denied"].mean < 10
    assert 40 < rows["first half of the gold"].mean < 60


def test_right_answers_in_other_words_are_covered() -> None:
    """Six of the fourteen were written after the patterns; as first written these covered 82 %."""
    found = {}
    for name, text in PARAPHRASES.items():
        domain, task = task_of(name)
        score = MARKERS[domain].mark(task, text)
        found[name] = score.part("correctness") or 0.0
        assert score.total > 0.7, f"{name}: {score.explanation}"
    assert len(found) == 14 and min(found.values()) >= 0.85 and sum(found.values()) / len(found) > 0.95


@given(st.integers(0, len(TASKS) - 1), st.integers(0, 3000))
def test_any_start_of_a_gold_answer_scores_between_nothing_and_all(index: int, length: int) -> None:
    domain, task = TASKS[index]
    score = MARKERS[domain].mark(task, task.gold_answer[:length])
    assert 0 <= score.total <= 1
    assert all(part.value is None or 0 <= part.value <= 1 for part in score.parts)
    if (score.part("correctness") or 0) < ENOUGH_CORRECT:
        assert score.part("similarity") == score.part("completeness") == 0


@pytest.mark.parametrize(
    ("sentence", "turned"),
    [
        ("A gift is binding.", "A gift is not binding."),
        ("A gift is not binding.", "A gift is binding."),
        ("Courts cannot help.", "Courts can help."),
        ("Prices rise.", "It is not true that prices rise."),
    ],
)
def test_the_negation_of_the_attack_turns_a_claim(sentence: str, turned: str) -> None:
    assert negated(sentence) == turned


FACT = Statement("offer", (("offer*",),))
GOLD = "An offer has to be clear to the other side."
ALONE = Task("alone", "x", "What?", (Requirement("Is polite."),), GOLD, (FACT,))


def mark(task: Task, answer: str, *others: Task, weights: dict[str, float] | None = None) -> Score:
    return Marker(TaskFile("own", (task, *others), ""), weights or DEFAULT_WEIGHTS).mark(task, answer)


def test_parts_that_cannot_be_measured_are_rescaled_and_never_awarded() -> None:
    score = mark(ALONE, GOLD)
    assert score.part("similarity") is None and score.part("completeness") is None
    assert score.total == 1
    half = mark(msgspec.structs.replace(ALONE, facts=(FACT, Statement("price", (("price",),)))), GOLD)
    assert half.total == pytest.approx((25 + 40 / 2) / 65)
    assert "similarity n/a" in half.explanation


def test_weights_decide_what_a_part_is_worth() -> None:
    other = msgspec.structs.replace(
        ALONE, id="other", gold_answer="Wash your hands with soap before you eat at the table."
    )
    two_facts = msgspec.structs.replace(ALONE, facts=(FACT, Statement("price", (("price",),))))
    weights = {"structure": 1.0, "correctness": 7.0, "similarity": 1.0, "completeness": 1.0}
    assert mark(two_facts, GOLD, other, weights=weights).total == pytest.approx((1 + 3.5 + 1) / 9)
    assert mark(two_facts, GOLD, other).total == pytest.approx((25 + 20 + 20) / 85)


CODE = CodeChecks(
    "python", ("double",), (HiddenTest("double(2)", 4, shows=(1,)), HiddenTest("double(-1)", -2, shows=(1, 2)))
)
DOUBLES = (Requirement("It doubles."), Requirement("Also below zero."), Requirement("It is kind."))
CODE_TASK = Task("double", "x", "Double it.", DOUBLES, "```python\n```", (), (), CODE)


def own_sandbox(file: TaskFile) -> Sandbox | None:
    try:
        return sandbox_for([file])
    except BadInput as problem:
        pytest.skip(str(problem))


@pytest.mark.parametrize(
    ("answer", "correctness"),
    [("```python\ndef double(x):\n    return 2 * x\n```", 1), ("```python\ndef double(x):\n    return x + 2\n```", 0.5),
     ("It is two times x.", 0)],
)  # fmt: skip
def test_code_is_marked_by_its_hidden_tests(answer: str, correctness: float) -> None:
    file = TaskFile("own", (CODE_TASK,), "")
    score = Marker(file, DEFAULT_WEIGHTS, own_sandbox(file)).mark(CODE_TASK, answer)
    assert score.part("correctness") == correctness


def test_a_requirement_of_code_is_met_when_every_test_that_shows_it_passes() -> None:
    file = TaskFile("own", (CODE_TASK,), "")
    marker = Marker(file, DEFAULT_WEIGHTS, own_sandbox(file))
    right = marker.mark(CODE_TASK, "```python\ndef double(x):\n    return 2 * x\n```")
    assert right.part("completeness") == 1
    positive = marker.mark(CODE_TASK, "```python\ndef double(x):\n    return 2 * abs(x)\n```")
    assert positive.part("completeness") == 0
    assert 'missing "It doubles.", "Also below zero."' in positive.explanation
    wrong = marker.mark(CODE_TASK, "```python\ndef double(x):\n    return -2 if x < 0 else 5\n```")
    assert wrong.part("completeness") == 0.5


@pytest.mark.parametrize(
    ("requirements", "shows", "said"),
    [
        ((Requirement("It doubles.", (("twice",),)),), (1,), "a requirement of code has no says or asks"),
        ((Requirement("It doubles."),), (2,), "a test shows requirement 2, but there are 1"),
    ],
)
def test_requirements_of_code_are_shown_by_tests_that_name_them(
    requirements: tuple[Requirement, ...], shows: tuple[int, ...], said: str
) -> None:
    code = CodeChecks("python", ("double",), (HiddenTest("double(2)", 4, shows=shows),))
    with pytest.raises(ValueError, match=said):
        Task("double", "x", "Double it.", requirements, "x", (), (), code)


def test_code_is_not_marked_without_a_sandbox() -> None:
    with pytest.raises(ValueError, match="sandbox"):
        mark(CODE_TASK, "```python\ndef double(x):\n    return 2 * x\n```")


@pytest.mark.slow
def test_coding_golds_score_100_and_attacks_on_code_stay_under_30() -> None:
    file = FILES["coding"]
    marker = Marker(file, DEFAULT_WEIGHTS, own_sandbox(file))
    assert all(marker.mark(task, task.gold_answer).total >= 0.995 for task in file.tasks)
    for row in attack_rows(file, marker, attacks_on(file)):
        assert row.highest < 100 * UNDER, row
    rows = {row.attack: row for row in attack_rows(file, marker, limits_of(file))}
    assert rows["first expected value"].mean < 100 * UNDER


# The weights


@given(st.fixed_dictionaries({part: st.floats(0.001, 1e6) for part in DEFAULT_WEIGHTS}))
def test_positive_weights_are_read_as_they_stand(
    tmp_path_factory: pytest.TempPathFactory, weights: dict[str, float]
) -> None:
    path = tmp_path_factory.mktemp("pack") / "pack.yml"
    path.write_text(yaml.safe_dump({"rubric": {"weights": weights}, "sources": []}))
    assert load_rubric_config(path).weights == weights


def test_the_shipped_config_gives_the_default_weights_and_the_base_model() -> None:
    config = load_rubric_config(Path("configs/data.yml"))
    assert config.weights == {"structure": 25, "correctness": 40, "similarity": 20, "completeness": 15}
    assert config.base_model == "Qwen/Qwen2.5-7B-Instruct"


def test_a_packs_tasks_lie_beside_it_or_in_the_repository(tmp_path: Path) -> None:
    path = tmp_path / "pack.yml"
    roles = {"uncle": {"system": "Be kind."}, "unknown": {"system": "?"}}
    path.write_text(yaml.safe_dump({"eval": {"tasks": "eval/domains/legal.jsonl"}, "roles": roles}))
    shipped = load_rubric_config(path)
    assert shipped.tasks == DOMAINS / "legal.jsonl"
    (file,) = load_files(None, None, shipped)
    assert (file.domain, file.sha256) == ("uncle", FILES["legal"].sha256)
    (named,) = load_files(["legal"], None, shipped)
    assert named.domain == "legal"
    (tmp_path / "own.jsonl").write_text(json.dumps(TASK_LINE))
    path.write_text(yaml.safe_dump({"eval": {"tasks": "own.jsonl"}, "roles": roles | {"aunt": {"system": "x"}}}))
    beside = load_rubric_config(path)
    assert beside.tasks == tmp_path / "own.jsonl"
    assert [one.domain for one in load_files(None, None, beside)] == ["own"]
    assert [one.domain for one in load_files(None, None, load_rubric_config(Path("configs/data.yml")))] == [
        *shipped_domains()
    ]


BAD_WEIGHTS = {
    "no mapping": ("- x", ["no mapping of keys"]),
    "no YAML": ("a: [", ["not readable YAML"]),
    "rubric is a list": ("rubric: []", ["rubric must be a mapping"]),
    "weights are a number": ("rubric: {weights: 5}", ["must give a number for each part"]),
    "all at once": (
        "rubric: {weights: {structure: 0, correctness: much, tone: 5, similarity: true}, limit: 3}",
        ["rubric.limit is unknown", "weights.tone is no part", "weights.completeness is missing",
         "weights.structure is 0", "weights.correctness is 'much'", "weights.similarity is True"],
    ),
    "eval is a list": ("eval: []", ["eval must be a mapping"]),
    "tasks are a list": ("eval: {tasks: [a.jsonl]}\nrubric: []", ["eval.tasks is ['a.jsonl']", "rubric must be"]),
}  # fmt: skip


@pytest.mark.parametrize(("text", "said"), BAD_WEIGHTS.values(), ids=BAD_WEIGHTS)
def test_wrong_weights_are_refused_with_every_problem_at_once(tmp_path: Path, text: str, said: list[str]) -> None:
    (tmp_path / "pack.yml").write_text(text)
    with pytest.raises(BadInput) as problem:
        load_rubric_config(tmp_path / "pack.yml")
    assert all(words in str(problem.value) for words in said), problem.value


# The command

TASK_LINE: dict[str, Any] = {
    "id": "offer",
    "category": "contracts",
    "prompt": "What is an offer?",
    "requirements": [{"text": "Names the other side.", "says": [["other side"]]}],
    "facts": [{"id": "clear", "says": [["offer*", "clear"]]}],
    "gold_answer": GOLD,
}
BAD_LINES = {
    "no JSON": ("{", ":1: "),
    "a key missing": ({"id": "x"}, ":1: "),
    "an unknown key": (TASK_LINE | {"fact": []}, ":1: "),
    "neither facts nor code": (TASK_LINE | {"facts": []}, "either facts (prose), or code"),
    "a pattern that is none": (TASK_LINE | {"facts": [{"id": "x", "says": [["(a"]]}]}, "not in word groups"),
    "an id twice in a task": (TASK_LINE | {"wrong": [{"id": "clear", "says": [["x"]]}]}, "clear names two facts"),
    "no task": ("", "holds no task"),
}


def task_file(folder: Path, *lines: object, name: str = "own.jsonl") -> Path:
    path = folder / name
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return path


@pytest.mark.parametrize(("line", "said"), BAD_LINES.values(), ids=BAD_LINES)
def test_a_faulty_task_line_is_named_with_its_number(tmp_path: Path, line: object, said: str) -> None:
    with pytest.raises(BadInput) as problem:
        load_tasks(task_file(tmp_path, line))
    assert said in str(problem.value) and str(tmp_path / "own.jsonl") in str(problem.value)


def test_an_id_used_twice_is_named_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"own\.jsonl:2: id offer is used twice"):
        load_tasks(task_file(tmp_path, TASK_LINE, TASK_LINE))


def run(capsys: pytest.CaptureFixture[str], *argv: object) -> tuple[int, str, str]:
    code = one_sentence(rubric, [str(part) for part in argv])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def answers(folder: Path, domain: str, texts: Sequence[str], name: str = "answers.jsonl") -> Path:
    tasks = FILES[domain].tasks
    return task_file(
        folder, *({"id": task.id, "answer": text} for task, text in zip(tasks, texts, strict=True)), name=name
    )


def test_stored_answers_are_marked_and_compared_without_a_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    golds = [task.gold_answer for task in FILES["legal"].tasks]
    halves = answers(tmp_path, "legal", [gold[: len(gold) // 2] for gold in golds], "halves.jsonl")
    base, better = tmp_path / "base.json", tmp_path / "better.json"
    code, out, err = run(capsys, "--answers", halves, "--domain", "legal", "--out", base)
    assert (code, err) == (0, "") and "57 % coverage" in out and "Coverage is not correctness" in out
    assert "legal/legal-" in out and "facts, missing" in out
    stored = answers(tmp_path, "legal", golds)
    code, out, err = run(capsys, "--answers", stored, "--domain", "legal", "--out", better, "--compare", base)
    assert (code, err) == (0, "") and "10 / 0 / 0" in out and "better" in out and "+49" in out
    result = read_rubric(better)
    assert [one.answer for one in result.results] == golds
    assert result.summary["legal"]["total"] == pytest.approx(1)
    assert result.tasks == {"legal": FILES["legal"].sha256} and result.versions["sacrebleu"] == "2.6.0"


def test_equal_answers_are_inconclusive_and_never_called_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stored = answers(tmp_path, "finance", [task.prompt for task in FILES["finance"].tasks])
    first = tmp_path / "first.json"
    run(capsys, "--answers", stored, "--domain", "finance", "--out", first)
    code, out, _ = run(capsys, "--answers", stored, "--domain", "finance", "--compare", first)
    assert code == 0 and "inconclusive" in out and "0 / 0 / 10" in out


def test_attacks_are_shown_for_a_file_of_ones_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = TASK_LINE | {"id": "hands", "gold_answer": "Wash your hands with soap before you eat at the table."}
    other |= {"facts": [{"id": "soap", "says": [["soap"]]}], "requirements": [{"text": "Says when."}]}
    code, out, err = run(capsys, "--attack", "--tasks", task_file(tmp_path, TASK_LINE, other))
    assert (code, err) == (0, "")
    assert "keyword list" in out and "gold, claims negated" in out and "100 (100) 100 %" in out


class Scripted:
    """A model that answers every prompt with the same text, unless it is to be interrupted."""

    base = None

    def __init__(self, text: str, stop_after: int = 99) -> None:
        self.facts = {"backend": "scripted", "base_model": "b"}
        self.asked: list[Prompt] = []
        self._text, self._left = text, stop_after

    def room(self, prompt: Prompt) -> int | None:
        return None

    def reply(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[Reply]:
        if self._left == 0:
            raise KeyboardInterrupt
        self._left -= 1
        self.asked += prompts
        return [Reply(self._text, truncated=True, new_tokens=5) for _ in prompts]


def pack(folder: Path) -> Path:
    path = folder / "pack.yml"
    weights = {"structure": 1, "correctness": 2, "similarity": 3, "completeness": 4}
    roles = {"own": {"system": "Be exact."}}
    path.write_text(yaml.safe_dump({"base_model": "b", "roles": roles, "rubric": {"weights": weights}}))
    return path


def test_a_model_sees_the_system_prompt_of_the_pack_and_the_prompt_and_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Scripted(GOLD)
    monkeypatch.setattr("eval.rubric.open_model", lambda *_: model)
    tasks, out = task_file(tmp_path, TASK_LINE), tmp_path / "out.json"
    code, said, _ = run(capsys, "--model", "base", "--tasks", tasks, "--config", pack(tmp_path), "--out", out)
    assert code == 0 and "1 of 1 answers hit the token limit" in said and "correctness 2" in said
    assert [list(prompt.messages) for prompt in model.asked] == [
        [{"role": "system", "content": "Be exact."}, {"role": "user", "content": "What is an offer?"}]
    ]
    stored = read_rubric(out)
    assert stored.facts["backend"] == "scripted" and stored.weights["completeness"] == 4 and stored.systems["own"]
    assert stored.results[0].new_tokens == 5 and stored.results[0].truncated


def test_an_interrupted_run_goes_on_where_it_stopped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = task_file(tmp_path, TASK_LINE, name="first.jsonl")
    second = task_file(tmp_path, TASK_LINE | {"id": "hands"}, name="second.jsonl")
    models = [Scripted(GOLD, stop_after=1), Scripted(GOLD)]
    monkeypatch.setattr("eval.rubric.open_model", lambda *_: models.pop(0))
    out = tmp_path / "out.json"
    argv = ["--model", "base", "--tasks", first, "--tasks", second, "--config", pack(tmp_path), "--out", out]
    stopped, again = models
    assert run(capsys, *argv)[0] == 130 and not out.exists()
    assert run(capsys, *argv)[0] == 0
    assert len(stopped.asked) == len(again.asked) == 1
    assert [one.key for one in read_rubric(out).results] == ["first/offer", "second/hands"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first.jsonl", "out.json", "pack.yml", "second.jsonl"]


BAD_INPUT = {
    "unknown domain": (["--domain", "cooking"], "domain 'cooking' has no tasks; choose from coding"),
    "missing tasks": (["--tasks", "nowhere.jsonl"], "nowhere.jsonl cannot be read"),
    "missing config": (["--config", "nowhere.yml"], "nowhere.yml does not exist"),
    "missing earlier run": (["--compare", "nowhere.json"], "nowhere.json does not exist"),
    "earlier run of another kind": (["--compare", "configs/data.yml"], "configs/data.yml is no result of the rubric"),
    "output is a folder": (["--out", "."], "cannot be written"),
    "an answer missing": ([], "answers.jsonl has no answer for"),
    "two files for a domain": (["--tasks", "eval/domains/legal.jsonl"], "two task files are named legal"),
}


@pytest.mark.parametrize(("options", "said"), BAD_INPUT.values(), ids=BAD_INPUT)
def test_bad_input_ends_in_one_sentence_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], said: str
) -> None:
    stored = task_file(tmp_path, {"id": "legal-negligence", "answer": "x"}, name="answers.jsonl")
    argv = ["--answers", stored, "--domain", "legal", "--out", tmp_path / "out" / "r.json", *options]
    code, out, err = run(capsys, *argv)
    assert code == 2 and said in err and err.startswith("error: ") and err.count("\n") == 1 and not out
    assert not list(tmp_path.glob("out/*"))


BAD_ANSWERS = {
    "no JSON": ("x", ":1: "),
    "an unknown id": ('{"id": "x", "answer": "y"}', ":1: there is no task x"),
    "twice": ('{"id": "offer", "answer": "y"}\n{"id": "offer", "answer": "z"}', ":2: offer is answered twice"),
}


@pytest.mark.parametrize(("text", "said"), BAD_ANSWERS.values(), ids=BAD_ANSWERS)
def test_a_faulty_line_of_answers_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, said: str
) -> None:
    stored = task_file(tmp_path, text, name="answers.jsonl")
    code, _, err = run(capsys, "--answers", stored, "--tasks", task_file(tmp_path, TASK_LINE))
    assert code == 2 and f"answers.jsonl{said}" in err


MODEL_WITHOUT = {
    "an output for itself": (["--model", "nowhere", "--base-out", "r.json"], "--model needs --out"),
    "two outputs": (["--model", "nowhere", "--out", "r.json", "--base-out", "r.json"], "another file in --out"),
    "an output": (["--model", "base"], "--model needs --out"),
    "a base model": (["--model", "base", "--out", "r.json"], "names no base_model; give --base-model"),
    "an adapter": (["--model", "nowhere", "--out", "r.json"], "there is no adapter folder nowhere"),
}


@pytest.mark.parametrize(("argv", "said"), MODEL_WITHOUT.values(), ids=MODEL_WITHOUT)
def test_a_model_that_cannot_be_asked_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, argv: list[str], said: str
) -> None:
    tasks = task_file(tmp_path, TASK_LINE)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.yml").write_text("{}")
    code, _, err = run(capsys, *argv, "--tasks", tasks, "--config", "empty.yml")
    assert code == 2 and said in err
    assert not (tmp_path / "r.json").exists()


OTHER_CONDITIONS = {
    "tasks": ({"tasks": {}}, "other domains, tasks or system prompts"),
    "results": ({"results": ()}, "holds no answers"),
    "weights": ({"weights": {}}, "weigh the parts differently"),
    "settings": ({"settings": {"max_new_tokens": 5}}, "differ in settings"),
    "base": ({"facts": {"base_model": "other"}}, "different base models"),
}


@pytest.mark.parametrize(("change", "said"), OTHER_CONDITIONS.values(), ids=OTHER_CONDITIONS)
def test_runs_under_other_conditions_are_not_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: dict[str, Any], said: str
) -> None:
    tasks = task_file(tmp_path, TASK_LINE)
    stored = task_file(tmp_path, {"id": "offer", "answer": GOLD}, name="answers.jsonl")
    first = tmp_path / "first.json"
    argv = ["--answers", stored, "--tasks", tasks]
    assert run(capsys, *argv, "--out", first)[0] == 0
    first.write_text(json.dumps(json.loads(first.read_text()) | change))
    code, _, err = run(capsys, *argv, "--compare", first)
    assert code == 2 and said in err


def test_what_has_no_adapter_has_no_base_to_ask_beside_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eval.rubric.open_model", lambda *_: Scripted(GOLD))
    argv = ["--model", "base", "--tasks", task_file(tmp_path, TASK_LINE), "--config", pack(tmp_path)]
    code, _, err = run(capsys, *argv, "--out", tmp_path / "out.json", "--base-out", tmp_path / "base.json")
    assert code == 2 and "--base-out needs an adapter that is loaded here; base is none" in err


@pytest.mark.slow
def test_a_served_model_is_asked_and_marked_end_to_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("lm_eval")
    golds = {task.prompt: task.gold_answer for task in FILES["legal"].tasks}
    with chat_server(lambda messages: says(golds[messages[-1]["content"]])) as (address, requests):
        out = tmp_path / "served.json"
        code, said, _ = run(capsys, "--model", address, "--domain", "legal", "--out", out)
    assert code == 0 and "100 % coverage" in said and len(requests) == 10
    assert read_rubric(out).summary["legal"]["total"] == pytest.approx(1)


@pytest.mark.slow
def test_a_tiny_model_is_asked_and_marked_end_to_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("lm_eval")
    from tests.eval_models import make_base

    base, out = make_base(tmp_path / "base"), tmp_path / "tiny.json"
    argv = ["--model", "base", "--base-model", base, "--max-new-tokens", 16, "--domain", "legal", "--out", out]
    code, said, err = run(capsys, *argv)
    assert code == 0, err
    assert "0 % coverage" in said
    stored = read_rubric(out)
    assert len(stored.results) == 10 and stored.versions["torch"] and all(one.total < UNDER for one in stored.results)
