"""Structure and correctness of a code answer: does it define what was asked, and do hidden tests pass.

`extract_code` finds the code in an answer, `structure_of` reads it without running it, `correctness_of` runs it
in a sandbox of `eval.sandbox`. Both scores are shares of 1 with a sentence.
"""

import ast
import re
import textwrap
from collections.abc import Iterator, Sequence
from typing import Annotated, Literal, NamedTuple

from msgspec import Meta, Struct

from eval.sandbox import HiddenTest, Sandbox, TestResult

__all__ = [
    "CodeChecks",
    "HiddenTest",
    "correctness_of",
    "extract_code",
    "requirements_met",
    "run_tests",
    "share_of",
    "structure_of",
]

# Longer than any answer of a model; what is longer is not read.
MAX_CHARACTERS = 200_000
# Of structure: code that parses but writes out none of the symbols has nothing, one that writes out all has 1.
FOR_PARSING = 0.4
FENCE = re.compile(r"^[ \t]*(`{3,}|~{3,})[ \t]*([\w+.-]*)[^\n`]*$")
PYTHON = {"python", "py", "python3", "py3", ""}

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


class CodeChecks(Struct, frozen=True, forbid_unknown_fields=True):
    """How a code answer is checked: the names that it must define, and calls of them."""

    language: Literal["python"]
    symbols: Annotated[tuple[str, ...], Meta(min_length=1)]
    tests: Annotated[tuple[HiddenTest, ...], Meta(min_length=1)]


class Block(NamedTuple):
    """A fenced block: the word behind the fence, and the lines within."""

    language: str
    text: str


def extract_code(answer: str) -> str | None:
    """The Python code of an answer, or None where there is none.

    Its fenced blocks that define something (an example of use is none of it), or all of it where it is Python.
    """
    if len(answer) > MAX_CHARACTERS:
        return None
    blocks = [block.text for block in _fenced(answer.splitlines()) if block.language.lower() in PYTHON]
    if not blocks:
        return answer if _statements(answer) else None
    parsed = [(text, _statements(text)) for text in blocks]
    defining = [text for text, statements in parsed if any(map(_defines, statements or ()))]
    return "\n\n".join(defining or [text for text, statements in parsed if statements] or blocks)


def structure_of(code: str, checks: CodeChecks) -> tuple[float, str]:
    """Share in 0..1 of what can be read without running: the code parses and writes out each symbol.

    A function that looks at none of its arguments, or does nothing but return a constant, pass or raise, is not
    written out.
    """
    statements = _statements(code)
    if statements is None:
        return 0.0, f"The code does not parse: {_why_not(code)}."
    written = set(_written_out(statements))
    missing = [name for name in checks.symbols if name not in written]
    if len(missing) == len(checks.symbols):
        return 0.0, f"The code defines nothing that was asked for: {', '.join(missing)}."
    share = FOR_PARSING + (1 - FOR_PARSING) * (1 - len(missing) / len(checks.symbols))
    if missing:
        return share, f"The code parses; missing or empty: {', '.join(missing)}."
    return 1.0, f"The code parses and defines {', '.join(checks.symbols)}."


def correctness_of(code: str, checks: CodeChecks, sandbox: Sandbox) -> tuple[float, str]:
    """Share in 0..1 of the hidden tests that pass, and the first thing that went wrong."""
    return share_of(run_tests(code, checks, sandbox))


def run_tests(code: str, checks: CodeChecks, sandbox: Sandbox) -> tuple[TestResult, ...]:
    """The result of each hidden test, in order; code that is too long is not run."""
    if len(code) > MAX_CHARACTERS:
        says = f"The code is longer than {MAX_CHARACTERS:,} characters and was not run."
        return tuple(TestResult(False, says) for _ in checks.tests)
    return tuple(sandbox.run(code, checks.tests))


def share_of(results: Sequence[TestResult]) -> tuple[float, str]:
    """Share in 0..1 of the tests that passed, and the first thing that went wrong."""
    passed = sum(result.passed for result in results)
    summary = f"{passed} of {len(results)} hidden tests pass"
    first = next((result.says for result in results if not result.passed), None)
    return passed / len(results), f"{summary}." if first is None else f"{summary}; {first}"


def requirements_met(checks: CodeChecks, results: Sequence[TestResult]) -> dict[int, bool]:
    """Whether each requirement that tests are evidence of is met, by its number: all of its tests pass."""
    met: dict[int, bool] = {}
    for test, result in zip(checks.tests, results, strict=True):
        for number in test.shows:
            met[number] = met.get(number, True) and result.passed
    return dict(sorted(met.items()))


def _fenced(lines: Sequence[str]) -> Iterator[Block]:
    """The fenced blocks in order; one that is never closed ends with the text."""
    opened: re.Match[str] | None = None
    inside: list[str] = []
    for line in lines:
        fence = FENCE.match(line)
        if opened is None:
            opened, inside = fence, []
        elif fence and fence[1].startswith(opened[1]) and not fence[2]:
            yield Block(opened[2], textwrap.dedent("\n".join(inside)))
            opened = None
        else:
            inside.append(line)
    if opened is not None:
        yield Block(opened[2], textwrap.dedent("\n".join(inside)))


def _statements(code: str) -> list[ast.stmt] | None:
    """The statements of a module, or None where it is none."""
    try:
        return ast.parse(code).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _why_not(code: str) -> str:
    try:
        ast.parse(code)
    except SyntaxError as problem:
        return f"{problem.msg}, line {problem.lineno}"
    except (ValueError, RecursionError, MemoryError) as problem:
        return str(problem) or "it is nested too deeply"
    return ""


def _defines(statement: ast.stmt) -> bool:
    return isinstance(statement, (*FUNCTIONS, ast.ClassDef, ast.Import, ast.ImportFrom))


def _written_out(statements: Sequence[ast.stmt]) -> Iterator[str]:
    """The names that a module defines, without those that are only a shell."""
    for statement in statements:
        match statement:
            case ast.FunctionDef() | ast.AsyncFunctionDef() if not _is_shell(statement):
                yield statement.name
            case ast.ClassDef() if not all(_says_nothing(one) or _is_shell(one) for one in statement.body):
                yield statement.name
            case ast.Assign(targets=targets):
                yield from (target.id for target in targets if isinstance(target, ast.Name))
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr()):
                yield name
            case ast.If(body=body, orelse=orelse) | ast.Try(body=body, orelse=orelse):
                yield from _written_out([*body, *orelse])


def _is_shell(statement: ast.stmt) -> bool:
    if not isinstance(statement, FUNCTIONS):
        return False
    given = {argument.arg for argument in ast.walk(statement.args) if isinstance(argument, ast.arg)}
    used = {name.id for line in statement.body for name in ast.walk(line) if isinstance(name, ast.Name)}
    return (bool(given) and not given & used) or all(map(_says_nothing, statement.body))


def _says_nothing(statement: ast.stmt) -> bool:
    """pass, a docstring, `...`, raise, or return of a constant."""
    match statement:
        case ast.Pass() | ast.Raise() | ast.Expr(value=ast.Constant()) | ast.Return(value=None):
            return True
        case ast.Return(value=ast.expr() as value):
            return not any(isinstance(one, (ast.Name, ast.Call)) for one in ast.walk(value))
        case _:
            return False
