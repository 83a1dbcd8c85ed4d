"""The invented questions and answers: the same bytes every time, right, and whole for the packs that read them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.extract.qna_lines import Found, pairs
from data.sample.qna import encode, invent, main
from data.sample.qna_texts import TEXTS

domains = st.sampled_from(sorted(TEXTS))


@given(domains, st.integers(0, 60), st.integers(0, 60), st.integers(0, 5))
def test_more_pairs_begin_with_the_fewer_and_no_question_stands_twice(
    domain: str, fewer: int, more: int, seed: int
) -> None:
    some, all_of_them = list(invent(domain, fewer, seed)), list(invent(domain, fewer + more, seed))
    assert all_of_them[:fewer] == some
    assert len({pair.input for pair in all_of_them}) == fewer + more


@given(domains, st.integers(0, 5))
def test_every_slot_is_filled_and_every_answer_is_long_enough_for_its_pack(domain: str, seed: int) -> None:
    for pair in invent(domain, 20, seed):
        assert len(pair.output) >= 200
        assert domain == "coding" or not re.search(r"[{}]", pair.input + pair.output)


def run(answer: str) -> dict[str, Any]:
    """What the code of an answer defines."""
    defined: dict[str, Any] = {}
    (code,) = re.findall(r"```python\n(.*?)```", answer, re.DOTALL)
    exec(code, defined)
    return defined


@pytest.mark.parametrize(
    ("place", "rows", "expected"),
    [
        (0, [{"weight": 9}, {}, {"weight": 7}, {"weight": 12}], [{"weight": 12}, {"weight": 9}]),
        (1, [{"stock": 2}, {"stock": 4}], 3),
        (1, [], 0.0),
        (2, [{"width": 23}, {"width": 34}, {"width": 5}], {23: [{"width": 23}, {"width": 34}], 0: [{"width": 5}]}),
    ],
)
def test_the_code_of_an_answer_runs_and_does_what_was_asked(place: int, rows: list[Any], expected: object) -> None:
    pair = list(invent("coding", 3))[place]
    (function,) = [one for name, one in run(pair.output).items() if callable(one)]
    assert function(rows) == expected


def test_the_sums_of_an_answer_are_right() -> None:
    for domain in ("finance", "education"):
        for pair in invent(domain, 40):
            for left, sign, right, result in re.findall(r"(\d+) ([×+]) (\d+) = (\d+)", pair.output):
                assert int(result) == (int(left) * int(right) if sign == "×" else int(left) + int(right))
            for capital, rate, yearly in re.findall(r"(\d+) × (\d+) / 100 = (\d+)", pair.output):
                assert int(capital) * int(rate) == 100 * int(yearly)
            for part, whole, pieces in re.findall(r"(\d+) / (\d+) = (\d+) pieces", pair.output):
                assert 0 <= int(pieces) * int(whole) - int(part) < int(whole)


@pytest.mark.parametrize("domain", TEXTS)
@pytest.mark.parametrize("suffix", [".jsonl", ".csv"])
def test_a_file_is_read_back_whole_and_the_same_command_writes_the_same_bytes(
    tmp_path: Path, domain: str, suffix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"a{suffix}"
    words = ["--out", str(path), "--domain", domain, "--count", "30"]
    assert main(words) == 0
    first = path.read_bytes()
    assert main(words) == 0 and path.read_bytes() == first
    read = [item.pair for item in pairs(path) if isinstance(item, Found)]
    assert [(one.input, one.output) for one in read] == [(one.input, one.output) for one in invent(domain, 30)]
    assert read[4].metadata | {"number": 4} == {"domain": domain, "topic": read[4].metadata["topic"], "number": 4}
    assert f"wrote 30 invented pairs of {domain} (seed 7) to {path}" in capsys.readouterr().out


def test_a_file_that_cannot_be_written_and_a_wrong_count_are_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a").write_text("")
    assert main(["--out", str(tmp_path / "a" / "b.jsonl"), "--domain", "legal"]) == 1
    assert "Give a file that you may write." in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["--out", str(tmp_path / "b.jsonl"), "--domain", "legal", "--count", "0"])
    assert "give 1 or more" in capsys.readouterr().err


def test_a_table_quotes_what_needs_it() -> None:
    (_, row) = encode(invent("coding", 1), table=True)
    assert row.count(b'"') % 2 == 0 and row.endswith(b",coding,lists,0\n")
