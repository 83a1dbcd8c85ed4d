"""Sentences, statements with their negation, and the parts of the rubric that read prose."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.domain_tasks import Requirement, Statement, shipped_domains
from eval.prose import completeness_of, coverage_of, structure_of_prose
from eval.sentences import MIN_WORDS, read_prose, visible
from eval.statements import compiled, normalise, reports_a_belief, states

VOCABULARY = "the court of a contract is not binding offer to price and seller"
WORDS = st.lists(st.sampled_from(VOCABULARY.split()), max_size=30)


def real(text: str, *known: str) -> list[str]:
    return [sentence.text for sentence in read_prose(text, known).real]


def says(*alternatives: str) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(alternative.split(" & ")) for alternative in alternatives)


@given(st.text(max_size=300))
def test_normalising_twice_changes_nothing(text: str) -> None:
    once = normalise(text)
    assert normalise(once) == once


@given(WORDS)
def test_saying_a_text_twice_adds_no_real_sentence(words: list[str]) -> None:
    text = f"{' '.join(words)}.".capitalize()
    assert len(real(f"{text} {text}\n\n{text}")) == len(real(text)) <= 1


@given(WORDS)
def test_a_text_that_is_the_prompt_holds_no_real_sentence(words: list[str]) -> None:
    text = f"{' '.join(words)}.".capitalize()
    assert real(text, text) == []


@given(st.text(max_size=400))
def test_any_text_can_be_read_and_measured(text: str) -> None:
    gold = read_prose("The buyer pays the price that both of them agreed on.")
    passage = read_prose(visible(text))
    measured = [structure_of_prose(passage, gold), coverage_of(passage, (Statement("x", says("offer*")),), ())]
    assert all(part.value is not None and 0 <= part.value <= 1 for part in measured)
    assert all(sentence.words >= MIN_WORDS for sentence in passage.real)


NOT_REAL = {
    "six words": "The seller must accept the offer.",
    "keywords": "Offer, acceptance, consideration, capacity, legality, intention, mutual assent, contract.",
    "keywords without commas": "Offer acceptance consideration capacity legality intention mutual assent contract",
    "a question": "Does the buyer have to pay the price of the goods at once?",
    "shuffled words": "Price the of buyer must the is pay the goods and contract the.",
    "a heading": "## The buyer must pay the price of the goods at once",
    "code": "```\nThe buyer must pay the price of the goods at once.\n```",
}


@pytest.mark.parametrize("text", NOT_REAL.values(), ids=NOT_REAL)
def test_what_is_no_statement_in_english_is_no_real_sentence(text: str) -> None:
    assert real(text) == []


def test_different_keywords_in_one_frame_are_one_sentence() -> None:
    frame = "In this case it is important to think of the {} and of the {}."
    assert len(real(" ".join(frame.format(*pair) for pair in [("offer", "price"), ("court", "judge")]))) == 1
    skeleton = "The {} is a thing that the {} can see in it."
    assert len(real(" ".join(skeleton.format(*pair) for pair in [("offer", "price"), ("court", "judge")]))) == 1


def test_sentences_are_found_in_paragraphs_lists_and_behind_abbreviations() -> None:
    text = (
        "## Duties\n\n**Price.** The buyer pays 1,000.50 in cash, e.g. Euros that\nthe seller accepts. "
        "The seller hands over the goods at the same time.\n\n"
        "1. The court decides when the two of them disagree.\n- **Costs** are borne by the one who loses the case.\n"
    )
    assert real(text) == [
        "the buyer pays 1000.50 in cash , eg euros that the seller accepts",
        "the seller hands over the goods at the same time",
        "the court decides when the two of them disagree",
        "costs are borne by the one who loses the case",
    ]
    assert len(read_prose(text).sections) == 2


def test_thoughts_and_what_follows_the_turn_are_not_seen() -> None:
    assert visible("<think>secret</think>Hello<|im_end|>\nmore") == "Hello"
    assert visible("<think>never closed") == ""


NOTATION = {
    "a word": ("offer", "an offer is made", True),
    "only whole words": ("offer", "an offered price", False),
    "a beginning": ("offer*", "an offered price", True),
    "alternatives": ("gift|offer", "an offer is made", True),
    "a phrase": ("an offer", "an offer is made", True),
    "a gap": ("not ~ binding", "it is not at all legally binding", True),
    "no gap": ("not ~ binding", "it is not binding", True),
    "too wide a gap": ("not ~ binding", "it is not one two three four five binding", False),
    "numbers": ("1157.63|150", "it is 1157.63 in all", True),
    "capitals": ("Offer", "an offer is made", True),
}


@pytest.mark.parametrize(("pattern", "text", "found"), NOTATION.values(), ids=NOTATION)
def test_patterns_find_words_beginnings_phrases_and_gaps(pattern: str, text: str, found: bool) -> None:
    assert any(choice.search(text) for choice in compiled(pattern)) is found


@pytest.mark.parametrize("pattern", ["", "*", "a**", "(a|b)", "a||b", "~ a", r"\w+", "a | "])
def test_a_pattern_outside_the_notation_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="word groups"):
        compiled(pattern)


SPELLINGS = {
    "It isn't, can't and won't": "it is not , can not and will not",
    "5 % of $1,000 = 50": "5 percent of 1000 equals 50",
    "6,000 / 12 = 500": "6000 divided by 12 equals 500",
    "1,000 × 0.05 * 3": "1000 times 0.05 times 3",
    "**Court's** long-term (view)": "courts long term ; view ;",
}


@pytest.mark.parametrize(("text", "normal"), SPELLINGS.items())
def test_signs_numbers_and_contractions_have_one_spelling(text: str, normal: str) -> None:
    assert normalise(text) == normal


NEGATIONS = {
    "stated": ("A contract needs an offer that is clear.", True),
    "negated": ("A contract does not need an offer that is clear.", False),
    "contracted": ("A contract doesn't need an offer that is clear.", False),
    "never": ("Never does a contract depend on an offer.", False),
    "across a list": ("These are not the price, the goods, a contract and an offer.", False),
    "told as wrong": ("It is wrong to say that a contract needs an offer.", False),
    "about something wrong": ("Where a price is wrong, the contract and the offer are void.", True),
    "denied as a whole": ("It is a myth that a contract needs an offer.", False),
    "negated in another clause": ("A gift is not enough, because a contract needs an offer.", True),
    "negated behind it": ("A contract needs an offer, but it need not be written.", True),
    "after a colon": ("This is not difficult: a contract needs an offer.", True),
    "not only": ("A contract needs not only an offer.", True),
    "whether or not": ("Whether or not there is a contract depends on the offer.", True),
}


@pytest.mark.parametrize(("text", "stated"), NEGATIONS.values(), ids=NEGATIONS)
def test_a_negation_before_the_words_of_a_fact_denies_it(text: str, stated: bool) -> None:
    assert states(normalise(text), says("contract & offer")) is stated


def test_a_negation_that_a_pattern_asks_for_denies_nothing() -> None:
    wanted = says("gift* & not ~ binding|unenforceable")
    assert states("a promise of a gift is not legally binding", wanted)
    assert states("a gift is unenforceable", wanted)
    assert not states("a gift is not unenforceable", wanted)
    assert not states("a gift is binding", wanted)


FACTS = (Statement("offer", says("offer* & clear")), Statement("price", says("price & paid|pays")))
WRONG = (Statement("free", says("goods & free")),)
OFFER, PAID = "An offer has to be clear to the other side.", "The price is paid when the goods change hands."
COVERAGES = {
    "both": (f"{OFFER} {PAID}", 1.0),
    "one": (OFFER, 0.5),
    "both in one sentence": ("An offer has to be clear and the price is paid later by the buyer.", 0.5),
    "one and a wrong one": (f"{OFFER} The goods are always free of any charge.", 0.0),
    "both and a short wrong one": (f"{OFFER} {PAID} Goods are free.", 0.5),
    "both and a wrong one told as a belief": (f"{OFFER} {PAID} Many people think that goods are free.", 1.0),
    "one, and the other denied": (f"{OFFER} The price is never paid by the one who buys.", 0.0),
    "denied and then stated": (f"{OFFER} The price is never paid in advance. {PAID}", 1.0),
}


@pytest.mark.parametrize(("text", "value"), COVERAGES.values(), ids=COVERAGES)
def test_coverage_is_facts_less_errors_one_fact_a_sentence(text: str, value: float) -> None:
    assert coverage_of(read_prose(text), FACTS, WRONG).value == value


def test_a_broad_sentence_leaves_the_narrow_fact_its_only_one() -> None:
    facts = (Statement("any", says("offer*")), Statement("narrow", says("offer* & clear")))
    text = f"{OFFER} The offer may be taken back before it is accepted."
    assert coverage_of(read_prose(text), facts, ()).value == 1.0


def test_at_most_two_requirements_are_met_by_one_sentence() -> None:
    requirements = [Requirement(name, says(name)) for name in ("offer", "price", "goods")]
    assert (
        completeness_of(read_prose("The offer names the price and the goods that are sold."), requirements).value
        == 2 / 3
    )
    both = read_prose("The offer names the price and the goods. The goods are what the buyer wants to have.")
    assert completeness_of(both, requirements).value == 1.0


def test_requirements_without_patterns_are_not_measured() -> None:
    assert completeness_of(read_prose(OFFER), [Requirement("Is polite.")]).value is None
    measured = completeness_of(read_prose(OFFER), [Requirement("Is polite."), Requirement("Offer.", says("offer"))])
    assert measured.value == 1.0


def test_structure_falls_with_length_filler_and_missing_sections() -> None:
    gold = read_prose(f"{OFFER}\n\n{PAID}")
    full = structure_of_prose(gold, gold).value
    filler = structure_of_prose(read_prose(f"{OFFER}\n\n{PAID}\n\n" + "I do not know.\n" * 6), gold).value
    merged = structure_of_prose(read_prose(f"{OFFER} {PAID}"), gold).value
    short = structure_of_prose(read_prose(OFFER), gold).value
    assert full == 1.0
    assert all(value is not None and value < 1.0 for value in (filler, merged, short))


def test_a_belief_is_told_and_not_claimed() -> None:
    assert reports_a_belief(normalise("Many pupils wrongly think that five is more."))
    assert not reports_a_belief(normalise("A court can assume that they agreed."))


def test_there_are_tasks_for_five_domains() -> None:
    assert {"coding", "education", "finance", "healthcare", "legal"} <= set(shipped_domains())
