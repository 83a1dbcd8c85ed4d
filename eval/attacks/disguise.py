"""The right command line where it does not run, or does not do its work: quoted, commented out, skipped, captured."""

import shlex
from collections.abc import Iterator

from eval import shell
from eval.attacks.making import Attack, running, spots
from eval.scenario import Scenario


def disguised(scenario: Scenario) -> Iterator[Attack]:
    """Each Bash call of the gold run that is needed, in each disguise."""
    for spot in spots(scenario):
        if spot.script is not None:
            for name, line in disguises(spot.script):
                yield Attack(f"{spot.name}: {name}", running(scenario, spot, line))


def disguises(line: str) -> Iterator[tuple[str, str]]:
    """Names and command lines that hold `line` and do not do what it does."""
    programs = dict.fromkeys(command.words[0] for command in shell.commands(line) if command.acts)
    yield "echo", f"echo {shlex.quote(line)}"
    yield "comment", "\n".join(f"# {part}" for part in line.splitlines())
    yield "heredoc", f"cat <<'END_OF_TEXT'\n{line}\nEND_OF_TEXT"
    yield "never reached", f"true || {{ {line}\n}}"
    yield "after a failure", f"false && {{ {line}\n}}"
    yield "after exit", f"exit 0\n{line}"
    yield "in a branch", f"if false; then {line}\nfi"
    yield "in a loop", f"while false; do {line}\ndone"
    yield "in a function", f"f() {{ {line}\n}}"
    yield "shadowed", "".join(f"{program}() {{ :; }}\n" for program in programs) + line
    yield "an alias first", "".join(f"alias {program}=true\n" for program in programs) + line
    yield "substitution", f"x=$({line}\n)"
    yield "a variable", f"x={shlex.quote(line)}"
    yield "one word", shlex.quote(line)
    yield "written to a file", f"echo {shlex.quote(line)} > todo.txt"
    yield "piped to a shell", f"echo {shlex.quote(line)} | bash"
    yield "here-string", f"cat <<< {shlex.quote(line)}"
    yield "a syntax error", f"{line} | |"
    yield "and a syntax error", f"{line}\nif then"
    yield "read only", f"set -n\n{line}"
    yield "not executed", f"bash -n -c {shlex.quote(line)}"
    if _ends_with_its_command(line):
        yield "help", f"{line} --help"
        yield "extra word", f"{line} and-more"
        yield "other program", f"true {line}"
    if not any(character in line for character in "|;&<>\n"):
        yield "which", f"command -v {line}"
        yield "as text of another", f"git log --grep {line}"


def _ends_with_its_command(line: str) -> bool:
    """Whether a word at the end would be the command's own, and a word at the beginning its program."""
    return len(shell.commands(line)) == 1 and not any(character in line for character in "|<>\n")
