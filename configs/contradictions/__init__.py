"""Settings that are right one by one and wrong together, each with what to do: what Axolotl refuses only after it was
installed and started, and what it lets pass without a word.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from configs.contradictions import model, parallel, preferences, rows, schedule
from configs.contradictions.rule import Found, Rule

RULES: tuple[Rule, ...] = (*model.RULES, *rows.RULES, *schedule.RULES, *preferences.RULES, *parallel.RULES)
NOTES: tuple[Rule, ...] = (*model.NOTES, *rows.NOTES, *parallel.NOTES)


def contradictions(config: Mapping[str, Any]) -> Iterator[Found]:
    """What is wrong with a combined recipe."""
    yield from found(RULES, config)


def doubts(config: Mapping[str, Any]) -> Iterator[Found]:
    """What may be meant, and is worth a sentence."""
    yield from found(NOTES, config)


def found(rules: tuple[Rule, ...], config: Mapping[str, Any]) -> Iterator[Found]:
    yield from ((rule.keys, rule.sentence) for rule in rules if rule.holds(config))
