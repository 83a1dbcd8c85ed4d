"""What an argument or a word of a command may be asked to be: the types of matchers, and whether a value fits one.

A matcher is a JSON object with one key. eval.matchers applies them to calls, eval.command_words to words of commands.
"""

import functools
import json
import posixpath
import re
from collections.abc import Callable
from typing import Annotated, Any, Literal

import jsonschema
import msgspec

Unset = msgspec.UnsetType
Several = Annotated[tuple["Matcher", ...], msgspec.Meta(min_length=1)]


class Cmd(msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """A command: program, leading words (`gt mail send` has sub mail, send), positionals and flags.

    A flag's key lists its spellings (`priority|p`); its value is true, or the matcher of its value.
    `optional` flags may be there; any other flag is a mismatch, unless `any_flags`. Without `args` the positionals
    are free. A flag that keeps the command from its work (--help, --dry-run) must be named to be right.
    """

    prog: str
    sub: tuple[str, ...] = ()
    args: "tuple[Matcher, ...] | None" = None
    flags: "dict[str, Matcher | Literal[True]]" = {}
    optional: "dict[str, Matcher | Literal[True]]" = {}
    any_flags: bool = False

    def __hash__(self) -> int:
        return self._hash

    @functools.cached_property
    def _hash(self) -> int:
        return hash(msgspec.json.encode(self))


class Similar(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Text that is much like another, by edit distance without case: 100 is the same."""

    text: str
    ratio: Annotated[int, msgspec.Meta(ge=1, le=100)] = 90


class Matcher(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Exactly one of the keys.

    `exact` (types count), `regex` (of the whole text), `contains`, `any_of`, `all_of`, `none_of`, `schema` (a JSON
    Schema of the value), `path` (the same path but for ./ and //, without ..), `similar`, `absent` (the argument or
    flag is not there), `cmd`.
    """

    exact: Any = msgspec.UNSET
    regex: str | Unset = msgspec.UNSET
    any_of: "Several | Unset" = msgspec.UNSET
    all_of: "Several | Unset" = msgspec.UNSET
    none_of: "Several | Unset" = msgspec.UNSET
    contains: str | Unset = msgspec.UNSET
    schema: dict[str, Any] | Unset = msgspec.UNSET
    path: str | Unset = msgspec.UNSET
    similar: Similar | Unset = msgspec.UNSET
    absent: Literal[True] | Unset = msgspec.UNSET
    cmd: Cmd | Unset = msgspec.UNSET

    def __post_init__(self) -> None:
        given = [name for name in self.__struct_fields__ if getattr(self, name) is not msgspec.UNSET]
        if len(given) != 1:
            raise ValueError(f"a matcher has one key of {', '.join(self.__struct_fields__)}, here {given or 'none'}")
        if isinstance(self.regex, str):
            try:
                re.compile(self.regex)
            except re.error as problem:
                raise ValueError(f"regex {self.regex!r} does not compile: {problem}") from None
        if isinstance(self.schema, dict):
            try:
                jsonschema.Draft202012Validator.check_schema(self.schema)
            except jsonschema.SchemaError as problem:
                raise ValueError(f"schema is no JSON Schema: {problem.message}") from None


def value_matches(matcher: Matcher, value: Any, runs: Callable[[Cmd, str], bool] = lambda cmd, script: False) -> bool:
    """Whether a value fits; 1 is not true, UNSET is an argument that is not given. `runs` judges scripts by a `cmd`."""
    if isinstance(matcher.any_of, tuple):
        return any(value_matches(option, value, runs) for option in matcher.any_of)
    if isinstance(matcher.all_of, tuple):
        return all(value_matches(option, value, runs) for option in matcher.all_of)
    if isinstance(matcher.none_of, tuple):
        return value is not msgspec.UNSET and not any(value_matches(option, value, runs) for option in matcher.none_of)
    if matcher.absent is True or value is msgspec.UNSET:
        return matcher.absent is True and value is msgspec.UNSET
    if isinstance(matcher.schema, dict):
        return _validator(json.dumps(matcher.schema)).is_valid(value)
    if matcher.exact is not msgspec.UNSET:
        return type(value) is type(matcher.exact) and bool(value == matcher.exact)
    if isinstance(matcher.cmd, Cmd):
        return isinstance(value, str) and runs(matcher.cmd, value)
    return isinstance(value, str) and _text_matches(matcher, value)


def parts(matcher: Matcher) -> tuple[Matcher, ...]:
    """The matchers inside a matcher."""
    for several in (matcher.any_of, matcher.all_of, matcher.none_of):
        if isinstance(several, tuple):
            return several
    if not isinstance(matcher.cmd, Cmd):
        return ()
    inside = (*(matcher.cmd.args or ()), *matcher.cmd.flags.values(), *matcher.cmd.optional.values())
    return tuple(inner for inner in inside if isinstance(inner, Matcher))


def same_path(one: str, other: str) -> bool:
    """Whether two paths lead to the same place, as far as their words tell."""
    return posixpath.normpath(one.replace("//", "/")) == posixpath.normpath(other.replace("//", "/"))


def _text_matches(matcher: Matcher, text: str) -> bool:
    if isinstance(matcher.regex, str):
        return re.fullmatch(matcher.regex, text) is not None
    if isinstance(matcher.contains, str):
        return matcher.contains in text
    if isinstance(matcher.path, str):
        return same_path(matcher.path, text) and ".." not in text.split("/")
    return isinstance(matcher.similar, Similar) and _is_similar(matcher.similar, text)


def _is_similar(wanted: Similar, text: str) -> bool:
    from rapidfuzz import fuzz

    return fuzz.ratio(wanted.text.casefold(), text.casefold()) >= wanted.ratio


@functools.cache
def _validator(schema: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(json.loads(schema))
