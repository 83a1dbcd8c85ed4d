"""YAML that means what it says: a doubled key or a number that YAML 1.1 reads as text is an error with its
line.

PyYAML, Axolotl's own parser, keeps the last of two equal keys and reads `2e-4` as a string, both without a
word.
"""

import re
from collections.abc import Iterable
from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import yaml

# A float to everybody but YAML 1.1, which wants a dot and a signed exponent.
LOOKS_LIKE_A_NUMBER: Final = re.compile(r"[-+]?(\d[\d_]*\.?\d*|\.\d+)[eE][-+]?\d+")


class ConfigError(Exception):
    """Everything that is wrong with a configuration, one sentence with its fix per problem."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class StrictLoader(yaml.SafeLoader):
    """PyYAML's safe loader that collects doubled keys and numbers that are none."""

    def __init__(self, text: str, file: Path) -> None:
        super().__init__(text)
        self.file = file
        self.problems: list[str] = []

    def complain(self, node: yaml.Node, sentence: str) -> None:
        self.problems.append(f"{self.file}:{node.start_mark.line + 1}: {sentence}")

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        first_lines: dict[str, int] = {}
        for key, _ in node.value:
            if key.value in first_lines:
                self.complain(key, f"`{key.value}` is already set in line {first_lines[key.value]}. Keep one of them.")
            first_lines.setdefault(key.value, key.start_mark.line + 1)
        return super().construct_mapping(node, deep=deep)

    def plain_string(self, node: yaml.ScalarNode) -> str:
        if node.style is None and LOOKS_LIKE_A_NUMBER.fullmatch(node.value):
            digits, exponent = re.split("[eE]", node.value)
            sign = "" if exponent[0] in "+-" else "+"
            better = f"{digits if '.' in digits else digits + '.0'}e{sign}{exponent}"
            self.complain(node, f"`{node.value}` is text to YAML. Write {better}.")
        return str(self.construct_scalar(node))


StrictLoader.add_constructor("tag:yaml.org,2002:str", StrictLoader.plain_string)


def load_mapping(file: Path) -> dict[str, Any]:
    """The mapping in a YAML file. Raises `ConfigError` with every problem of the file at once."""
    try:
        value, problems = parsed(file.read_text(encoding="utf-8"), file)
    except FileNotFoundError:
        raise ConfigError([f"{file}: no such file."]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{file}: cannot be read ({error})."]) from error
    except yaml.YAMLError as error:
        raise ConfigError([yaml_problem(file, error)]) from error
    if problems:
        raise ConfigError(problems)
    if not isinstance(value, dict | None):
        raise ConfigError([f"{file}: holds a {type(value).__name__}, not `key: value` lines."])
    return deepcopy(value) or {}


@lru_cache(maxsize=64)
def parsed(text: str, file: Path) -> tuple[Any, tuple[str, ...]]:
    """What YAML makes of a text, and the slips in it. The same few files make hundreds of recipes: once is enough."""
    loader = StrictLoader(text, file)
    return loader.get_single_data(), tuple(loader.problems)


def yaml_problem(file: Path, error: yaml.YAMLError) -> str:
    """PyYAML's complaint in one line."""
    mark = getattr(error, "problem_mark", None)
    where = f"{file}:{mark.line + 1}" if mark else str(file)
    return f"{where}: not valid YAML: {getattr(error, 'problem', None) or error}."


def line_of(file: Path, keys: tuple[str | int, ...]) -> int | None:
    """The line on which a value stands, by its path of keys; the nearest parent's line when it is not in the file."""
    node = yaml.compose(file.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    line = None
    for key in keys:
        if isinstance(node, yaml.MappingNode):
            found = next((pair for pair in node.value if pair[0].value == key), None)
        elif isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
            found = (node.value[key], node.value[key])
        else:
            found = None
        if found is None:
            return line
        line, node = found[0].start_mark.line + 1, found[1]
    return line
