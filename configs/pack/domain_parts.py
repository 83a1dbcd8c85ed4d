"""The sections `data`, `training` and `eval` of a domain's JSON, each as the keys of a pack that say the same."""

from collections.abc import Mapping
from typing import Any

from configs.pack import domain_words as words
from configs.pack.domain_section import Section
from configs.pack.values import PARTS

Keys = dict[str, Any]


def seed_of(data: Section) -> Keys:
    seed = data.number(words.SEED)
    return {} if seed is None else {"seed": seed}


def data_of(data: Section) -> Keys:
    """Filters, duplicates and shares. 80/10/10 is what a domain means that says nothing."""
    quality: Keys = {}
    if (least := data.number(words.LEAST)) is not None:
        quality["min_answer_chars"] = least
    if data.take(words.CODE)[1]:
        quality["code"] = "required"
    dedup = dedup_of(data)
    if (threshold := data.number(words.THRESHOLD)) is not None and dedup["near"]:
        dedup["threshold"] = threshold
    return {**({"quality": quality} if quality else {}), "dedup": dedup, "split": shares_of(data)}


def dedup_of(data: Section) -> Keys:
    place, said = data.take(words.DEDUP)
    if isinstance(said, Mapping):
        inner = Section.of(place, said, data.notes)
        _, said = inner.take(("method", "type", "strategy"))
        data.notes.extend(inner.left())
    word = str(said).lower()
    if said is False or word in ("none", "off"):
        data.notes.append(f"{place} is off: here exact copies leave all the same.")
    elif place and said is not True and word not in (*words.EXACT, *words.NEAR):
        data.notes.append(f"{place}: {said!r} is no way to find copies here; exact ones leave.")
    return {"near": word in words.NEAR}


def shares_of(data: Section) -> Keys:
    place, given = data.take(words.SPLITS)
    if isinstance(given, list):
        given = dict(zip(words.SHARES, given, strict=False))
    inner = Section.of(place, given, data.notes) if given is not None else data
    shares = {name: inner.number(spellings) for name, spellings in words.SHARES.items()}
    if inner is not data:
        data.notes.extend(inner.left())
    scale = 100 if sum(share or 0 for share in shares.values()) > 1.5 else 1
    held = {name: 0.1 if (share := shares[name]) is None else share / scale for name in ("val", "test")}
    train = shares["train"]
    if train is not None and abs(train / scale + sum(held.values()) - 1) > 1e-6:
        data.notes.append(
            f"the split's shares are not 1 together: val {held['val']:g}, test {held['test']:g}, the rest trains."
        )
    return {**held, "exact": True}


def training_of(training: Section) -> Keys:
    """Axolotl's keys on top of configs/base.yml."""
    keys: Keys = {}
    for part in (training.section(words.LORA), training):
        keys = numbers_of(part, words.NUMBERS) | keys
        _, modules = part.take(words.MODULES)
        if isinstance(modules, list):
            keys["lora_target_modules"] = modules
        if part is not training:
            training.notes.extend(part.left())
    keys |= {key: text for key, spellings in words.TEXTS.items() if (text := training.text(spellings))}
    for key, value in words.ALREADY.items():
        if training.values.get(key) is value:
            del training.values[key]
    if "warmup_steps" in keys:
        keys = {key: value for key, value in keys.items() if key != "warmup_ratio"} | {"warmup_ratio": None}
    return keys


def numbers_of(section: Section, spellings: Mapping[str, words.Spellings]) -> Keys:
    found = {key: section.number(names) for key, names in spellings.items()}
    return {key: value for key, value in found.items() if value is not None}


def tasks_of(evaluation: Section) -> str:
    place, tasks = evaluation.take(words.TASKS)
    if place and not (isinstance(tasks, str) and tasks.endswith(".jsonl")):
        evaluation.notes.append(f"{place} is no .jsonl file of the rubric's tasks (docs/packs.md) and was left out.")
        return ""
    return tasks or ""


def weights_of(evaluation: Section) -> Keys:
    """The rubric's weights, where all four are there."""
    place, given = evaluation.take(words.WEIGHTS)
    if isinstance(given, Mapping) and isinstance(given.get("weights"), Mapping):
        given = given["weights"]
    if not place:
        return {}
    if not isinstance(given, Mapping) or set(given) != set(PARTS):
        evaluation.notes.append(f"{place} does not weigh {', '.join(PARTS)} and nothing else, and was left out.")
        return {}
    return {"rubric": {"weights": {part: given[part] for part in PARTS}}}
