"""Wrong answers made from the tasks themselves, and what they score: `python -m eval.rubric --attack`.

The attacks must stay under 30 of 100. The limits are printed beside them: answers that deterministic scoring of prose
cannot tell from right ones, which is why it is called coverage and a judge or a person has the last word.
"""

import random
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from eval.domain_tasks import Task, TaskFile
from eval.marker import Marker
from eval.sentences import END
from eval.statements import Alternatives

Attack = Callable[[Task], str]
WAFFLE = """This is a very important question that many people ask themselves in their daily lives. There are several
points of view, and each of them has its own merits for those who hold it. It is always a good idea to look at the
matter from all sides before one comes to a conclusion.

On the one hand, some experts believe that the matter is quite simple. On the other hand, others have shown that it
depends on the circumstances of every single case. What counts in the end is that everybody involved is treated well.

In conclusion, the topic remains interesting and will keep us busy for years to come. We should therefore stay open to
new ideas and learn from the mistakes of the past."""
# Sentences that say nothing about the words put into them; unlike one frame, so many different ones pass as real.
FRAMES = """Anyone who asks about this should first think of {}.
It follows from what was said that {} have their place here.
Without {} there would be little to say about it.
The next thing to look at, and not the last, is {}.
As every textbook shows, {} belong together in this.
In practice one will often meet {} when this comes up.
Another part of the answer has to do with {}.
What many forget, and what matters most, are {}.
There is also a link between {} that is worth knowing.
To sum up what remains, we can name {} as well.
From the other side the same is true for {}.
At the end of the day it is {} that count.""".splitlines()
REFUSAL = "I am sorry, but I do not know the answer to this part of the question."
AUXILIARY = re.compile(r"\b(is|are|was|were|can|could|may|might|must|should|will|would|has|have|does|do)\b(?! not)")
NEGATION = re.compile(r" (?:not|never)\b|(?<=can)not\b")


@dataclass(frozen=True)
class Row:
    """What one kind of answer scores in one domain, 0..100: mean, worst (highest) task, and mean correctness."""

    attack: str
    domain: str
    mean: float
    highest: float
    correctness: float


def attack_rows(file: TaskFile, marker: Marker, attacks: Mapping[str, Attack]) -> Iterator[Row]:
    """The score of each kind of answer over the tasks of a domain."""
    for name, attack in attacks.items():
        scores = [marker.mark(task, attack(task)) for task in file.tasks]
        totals = [100 * score.total for score in scores]
        correct = sum(100 * (score.part("correctness") or 0.0) for score in scores) / len(scores)
        yield Row(name, file.domain, sum(totals) / len(totals), max(totals), correct)


def attacks_on(file: TaskFile) -> dict[str, Attack]:
    """Answers that must score under 30; what stands in the prompt, the task file or another task earns nothing."""
    shared: dict[str, Attack] = {
        "nothing": lambda task: "",
        "prompt echo": lambda task: f"{task.prompt}\n\n{task.prompt} {task.prompt}",
        "requirement list": lambda task: "\n".join(f"- {requirement.text}" for requirement in task.requirements),
        "promises": _promises,
        "headings and refusals": _headings_and_refusals,
        "waffle": lambda task: WAFFLE,
        "gold in a thought": lambda task: f"<think>\n{task.gold_answer}\n</think>",
        "next task's gold": lambda task: _later(file, task, 1),
        "another task's gold": lambda task: _later(file, task, len(file.tasks) // 2),
    }
    if all(task.code is not None for task in file.tasks):
        return shared | {"stub and exit": _stub_and_exit, "keywords in a comment": _commented}
    return shared | {"keyword list": _keyword_list, "keyword lines": _keyword_lines, "keywords in a frame": _framed}


def limits_of(file: TaskFile) -> dict[str, Attack]:
    """The gold answer and changes of it, for the record: no bound holds for them."""
    shared: dict[str, Attack] = {"gold": lambda task: task.gold_answer}
    if all(task.code is not None for task in file.tasks):
        return shared | {"first expected value": _constant}
    return shared | {
        "keywords in many frames": _in_many_frames,
        "first half of the gold": lambda task: task.gold_answer[: len(task.gold_answer) // 2],
        "gold, words shuffled": _shuffled,
        "gold, claims negated": lambda task: _by_sentence(task.gold_answer, negated),
        "gold, claims denied": lambda task: _by_sentence(task.gold_answer, denied),
    }


def negated(sentence: str) -> str:
    """The sentence with `not` behind every auxiliary, or taken out where it stands; denied where it has neither."""
    if NEGATION.search(sentence):
        return NEGATION.sub("", sentence)
    turned = AUXILIARY.sub(r"\1 not", sentence)
    return turned if turned != sentence else denied(sentence)


def denied(sentence: str) -> str:
    """The sentence as something that is not true."""
    return f"It is not true that {sentence[:1].lower()}{sentence[1:]}"


def _by_sentence(text: str, change: Callable[[str], str]) -> str:
    return "\n\n".join(" ".join(map(change, END.split(paragraph))) for paragraph in text.split("\n\n"))


def _later(file: TaskFile, task: Task, steps: int) -> str:
    """The gold answer so many tasks later, from the end back to the start."""
    return file.tasks[(file.tasks.index(task) + steps) % len(file.tasks)].gold_answer


def _promises(task: Task) -> str:
    return " ".join(f"In the following answer I {item.text[:1].lower()}{item.text[1:]}" for item in task.requirements)


def _headings_and_refusals(task: Task) -> str:
    return "\n\n".join(f"## {item.text}\n\n{REFUSAL}" for _ in range(5) for item in task.requirements)


def _keywords(task: Task) -> list[list[str]]:
    """The words that each fact is found by, the first choice of every group."""
    return [_first_choices(fact.says) for fact in task.facts]


def _first_choices(says: Alternatives) -> list[str]:
    return [re.sub(r"\*| ~", "", pattern.split("|")[0]) for pattern in says[0]]


def _keyword_list(task: Task) -> str:
    return ", ".join(word for words in _keywords(task) for word in words)


def _keyword_lines(task: Task) -> str:
    return "\n".join(f"- {' '.join(words * 4)}." for words in _keywords(task))


def _framed(task: Task) -> str:
    return " ".join(
        f"It is important to think of the {', the '.join(words)} in this case." for words in _keywords(task)
    )


def _in_many_frames(task: Task) -> str:
    pairs = zip(_keywords(task), FRAMES, strict=False)
    return " ".join(frame.format(" and ".join(words)) for words, frame in pairs)


def _shuffled(task: Task) -> str:
    """The words of each sentence in a drawn order, always the same one."""
    draw = random.Random(task.id)

    def shuffle(sentence: str) -> str:
        words = sentence.rstrip(".").split()
        return f"{' '.join(draw.sample(words, len(words)))}.".capitalize()

    return _by_sentence(task.gold_answer, shuffle)


def _stub(task: Task, value: str) -> str:
    names = task.code.symbols if task.code else ()
    return "\n".join(f"def {name}(*args, **kwargs):\n    return {value}\n" for name in names)


def _stub_and_exit(task: Task) -> str:
    return f"```python\n{_stub(task, 'None')}\nimport sys\nprint('all tests passed')\nsys.exit(0)\n```"


def _constant(task: Task) -> str:
    expected = task.code.tests[0].expect if task.code else None
    return f"```python\n{_stub(task, repr(expected))}```"


def _commented(task: Task) -> str:
    words = " ".join(item.text for item in task.requirements)
    return f"```python\n# {task.prompt} {words}\npass\n```".replace("\n\n", " ")
