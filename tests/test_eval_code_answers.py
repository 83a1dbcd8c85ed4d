"""Code in answers: found, read without running, run against hidden tests; and the shipped coding tasks."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.code_answers import MAX_CHARACTERS, CodeChecks, HiddenTest, correctness_of, extract_code, structure_of
from eval.domain_tasks import Task, load_tasks
from eval.sandbox import Sandbox, choose_sandbox
from tests.conftest import ROOT

CHECKS = CodeChecks("python", ("f", "Box"), (HiddenTest("f(2)", 4), HiddenTest("f('x')", raises="TypeError")))
WHOLE = (
    "def f(x):\n    return x + 2\n\n\nclass Box:\n    def __init__(self, content):\n        self.content = content\n"
)
TASKS = load_tasks(ROOT / "eval" / "domains" / "coding.jsonl").tasks


@pytest.fixture(scope="module")
def sandbox() -> Sandbox:
    return choose_sandbox()


# ---- finding the code ------------------------------------------------------------------------------------------------


@given(st.text())
def test_any_answer_can_be_searched_and_read(answer: str) -> None:
    code = extract_code(answer)
    assert code is None or 0 <= structure_of(code, CHECKS)[0] < 1
    assert 0 <= structure_of(answer, CHECKS)[0] < 1


@given(st.text(st.characters(exclude_characters="`~")), st.sampled_from(["```", "~~~", "````", "  ```"]))
def test_code_in_a_fence_is_found_in_any_prose(prose: str, fence: str) -> None:
    assert extract_code(f"{prose}\n{fence}python\n{WHOLE}{fence}\n{prose}") == WHOLE.rstrip("\n")


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ("def f(x):\n    return x", "def f(x):\n    return x"),
        ("Here it is:\n```\ndef f(x): return x\n```", "def f(x): return x"),
        ("```py\ndef f(x): return x\n```\nUse it so:\n```python\nprint(f(1 / 0))\n```", "def f(x): return x"),
        ("```python\nimport re\n```\nand\n```python\ndef f(x): return re\n```", "import re\n\ndef f(x): return re"),
        ("```bash\npip install f\n```\n```python\ndef f(x): return x\n```", "def f(x): return x"),
        ("1. So:\n   ```python\n   def f(x):\n       return x\n   ```", "def f(x):\n    return x"),
        ("```python\ndef f(x): return x", "def f(x): return x"),
        ("````\ndef f(x):\n    return '''\n```\n'''\n````", "def f(x):\n    return '''\n```\n'''"),
        ("```python\ndef f(x) return x\n```", "def f(x) return x"),
        ("```python\nprint(1)\n```", "print(1)"),
        ("I would write a function.", None),
        ("```json\n{}\n```", None),
        ("", None),
        ("x = 1\n" * MAX_CHARACTERS, None),
    ],
)
def test_the_code_of_an_answer(answer: str, code: str | None) -> None:
    assert extract_code(answer) == code


# ---- structure -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "share", "says"),
    [
        (WHOLE, 1.0, "The code parses and defines f, Box."),
        ("def f(x): return x", 0.7, "The code parses; missing or empty: Box."),
        ("f = lambda x: x\nBox: type = dict", 1.0, "The code parses and defines f, Box."),
        ("try:\n    import c\nexcept ImportError:\n    pass\nelse:\n    async def f(x): return x", 0.7, "missing"),
        ("def g(x): return x", 0.0, "nothing that was asked for: f, Box"),
        ("def f(x) return x", 0.0, "does not parse: expected ':', line 1"),
        ("f\nBox\ncache\nlist", 0.0, "nothing that was asked for"),
        ("def f(x): return 4\nclass Box: pass", 0.0, "nothing that was asked for"),
        ("def f(*given):\n    '''It.'''\n    return [4, -1]\ndef Box(): ...", 0.0, "nothing that was asked for"),
        ("def f(x):\n    y = 4\n    return y\nclass Box:\n    def put(self): return 1", 0.0, "nothing that was asked"),
        ("def f(x): raise ValueError(x)\nimport sys\nsys.exit(0)", 0.0, "nothing that was asked for"),
        ("(" * 5000, 0.0, "does not parse"),
        ("-" * 100_000 + "1", 0.0, "The code"),
        ("f = 1\0", 0.0, "does not parse"),
    ],
)
def test_structure_is_read_without_running(code: str, share: float, says: str) -> None:
    measured, sentence = structure_of(code, CHECKS)
    assert (measured, says in sentence) == (pytest.approx(share), True), sentence


# ---- correctness -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "share", "says"),
    [
        (WHOLE, 1.0, "2 of 2 hidden tests pass."),
        ("def f(x): return 4", 0.5, "1 of 2 hidden tests pass; f('x') gave 4 and should raise TypeError."),
        ("def f(x): return x", 0.0, "0 of 2 hidden tests pass; f(2) gave 2 and should give 4."),
        ("import no_such", 0.0, "0 of 2 hidden tests pass; the code cannot be loaded: ModuleNotFoundError"),
        ("def f(x) return x", 0.0, "0 of 2 hidden tests pass; the code cannot be loaded: SyntaxError"),
        ("x = 1\n" * MAX_CHARACTERS, 0.0, "was not run"),
    ],
)
def test_correctness_is_the_share_of_hidden_tests(sandbox: Sandbox, code: str, share: float, says: str) -> None:
    measured, sentence = correctness_of(code, CHECKS, sandbox)
    assert (measured, says in sentence) == (share, True), sentence


# ---- the shipped tasks -----------------------------------------------------------------------------------------------


def checks_of(task: Task) -> CodeChecks:
    assert task.code is not None
    return task.code


def measured(task: Task, answer: str, sandbox: Sandbox) -> tuple[float, float]:
    """Structure and correctness of an answer."""
    code = extract_code(answer) or ""
    return structure_of(code, checks_of(task))[0], correctness_of(code, checks_of(task), sandbox)[0]


def wanted(test: HiddenTest) -> str:
    return test.raises or json.dumps(test.expect)


def test_there_are_enough_coding_tasks() -> None:
    assert len(TASKS) >= 10
    assert len({task.category for task in TASKS}) >= 8


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.id)
def test_one_value_for_everything_stays_under_30(task: Task) -> None:
    """Even where it is well disguised. Nor can it be guessed: true, false and null are no answers to a test."""
    counted = Counter(map(wanted, checks_of(task).tests))
    tests = counted.total()
    assert tests >= 12
    assert 25 + 40 * counted.most_common(1)[0][1] / tests < 30, counted.most_common(2)
    assert counted["true"] + counted["false"] + counted["null"] <= 1


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.id)
def test_the_gold_answer_passes_every_hidden_test(sandbox: Sandbox, task: Task) -> None:
    code = extract_code(task.gold_answer)
    assert code is not None
    assert structure_of(code, checks_of(task))[0] == 1.0
    assert correctness_of(code, checks_of(task), sandbox) == (1.0, f"{len(checks_of(task).tests)} of "
        f"{len(checks_of(task).tests)} hidden tests pass.")  # fmt: skip


def stub(task: Task, body: str) -> str:
    return "\n".join(f"def {name}(*given, **named):\n    {body}\n" for name in checks_of(task).symbols)


def first_value(task: Task) -> str:
    return repr(next(test.expect for test in checks_of(task).tests if test.raises is None))


CHEATS = {
    "its keywords": lambda task: "\n".join({word for word in task.prompt.split() if word.isidentifier()}),
    "an empty stub": lambda task: stub(task, "pass"),
    "its first value": lambda task: stub(task, f"return {first_value(task)}"),
    "its first value, disguised": lambda task: stub(task, f"return (given, {first_value(task)})[1]"),
    "an exception": lambda task: stub(task, "raise ValueError(given)"),
    "an exception, disguised": lambda task: stub(task, "print(given)\n    raise ValueError"),
    "sys.exit": lambda task: f"{stub(task, 'return given')}\nimport sys\nsys.exit(0)",
    "another gold": lambda task: TASKS[TASKS.index(task) - 1].gold_answer,
    "the prompt": lambda task: task.prompt,
}


@pytest.mark.slow
@pytest.mark.parametrize("cheat", CHEATS)
@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.id)
def test_no_cheat_is_correct(sandbox: Sandbox, task: Task, cheat: str) -> None:
    structure, correctness = measured(task, CHEATS[cheat](task), sandbox)
    assert 25 * structure + 40 * correctness < 30


MUTATIONS = {
    "durations": ("re.IGNORECASE", "0"),
    "free-slots": (">= minutes", "> minutes"),
    "lru-cache": ("        self._values.move_to_end(key)\n        return", "        return"),
    "token-bucket": ("max(0, now - self._time)", "now - self._time"),
    "build-order": ("    heapq.heapify(ready)\n", ""),
    "split-cents": ("-parts[person][1]", "parts[person][1]"),
    "retry": ("min(wait, cap)", "wait"),
    "config-diff": ("json.dumps(before, sort_keys=True) != json.dumps(after, sort_keys=True)", "before != after"),
    "csv-line": ("parts.append('\"')", "pass"),
    "request-log": ("-(-95 * len(found) // 100)", "95 * len(found) // 100 + 1"),
    "sort-versions": ("(True, 0, part)", "(False, 0, part)"),
    "arithmetic": ("// _operand(tokens)", "/ _operand(tokens)"),
}


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.id)
def test_a_small_mistake_in_the_gold_answer_is_seen(sandbox: Sandbox, task: Task) -> None:
    right, wrong = MUTATIONS[task.id]
    assert right in task.gold_answer
    structure, correctness = measured(task, task.gold_answer.replace(right, wrong), sandbox)
    assert structure == 1.0 and correctness < 1.0
