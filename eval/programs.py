"""What is known of programs by name: which only look, which run another command, which run text.

All functions take the words of one simple command, the program first.
"""

import re
from collections.abc import Sequence

SYSTEM_PATH = re.compile(r"\A/(?:usr/)?(?:local/)?s?bin/")
ASSIGNMENT = re.compile(r"[A-Za-z_]\w*\+?=")
DURATION = re.compile(r"\d+(?:\.\d+)?[smhd]?")
NOOP_FLAGS = frozenset({"--help", "-h", "--version", "--dry-run"})

# Wrapper programs run the command that follows them; the value lists their short flags that take a value.
WRAPPERS = {
    "timeout": "ks",
    "env": "uC",
    "sudo": "ugCDhprtTU",
    "doas": "uC",
    "nohup": "",
    "time": "fo",
    "command": "",
    "builtin": "",
    "exec": "a",
    "nice": "n",
    "ionice": "cnp",
    "setsid": "",
    "stdbuf": "ioe",
}
LONG_FLAGS_WITH_VALUE = frozenset(
    {"--signal", "--kill-after", "--user", "--group", "--unset", "--chdir", "--adjustment", "--class", "--output"}
)
SHELLS = frozenset({"bash", "sh", "zsh", "dash", "ksh"})
SHELL_FLAGS_WITH_VALUE = frozenset({"-o", "+o", "-O", "+O", "--rcfile", "--init-file"})
# What these are given as text, or on their input, may be a command.
INTERPRETERS = SHELLS | {
    *("eval", "source", ".", "trap", "alias", "xargs", "parallel", "watch", "script", "su", "at", "batch", "crontab"),
    *("python", "python3", "perl", "ruby", "node", "php", "lua", "awk", "gawk", "mawk", "find", "expect"),
    *("ssh", "tmux", "screen", "docker", "podman", "kubectl", "nsenter", "chroot", "flock", "busybox", "env"),
    *("vim", "vi", "ed", "make"),
}
# Options of git itself, before its subcommand: with a value in the next word, and without.
GIT_WITH_VALUE = frozenset({"-C", "-c", "--git-dir", "--work-tree", "--namespace", "--exec-path", "--config-env"})
GIT_PLAIN = re.compile(
    r"-p|-P|--no-pager|--paginate|--bare|--no-replace-objects|--literal-pathspecs|--no-optional-locks"
    r"|--(?:git-dir|work-tree|namespace|exec-path|config-env)=.*"
)

# Words that only look or only filter: they never count against a limit of actions. The pattern, where there is one,
# is of an argument by which the program does more than that.
LOOKERS: dict[str, str | None] = {
    **dict.fromkeys(("cd", "pushd", "popd", "echo", "printf", "true", ":", "false", "pwd", "test", "[", "sleep")),
    **dict.fromkeys(("head", "tail", "wc", "grep", "egrep", "fgrep", "cat", "tac", "nl", "cut", "tr", "column")),
    **dict.fromkeys(("ls", "stat", "file", "du", "df", "which", "type", "basename", "dirname", "realpath", "diff")),
    **dict.fromkeys(("whoami", "hostname", "id", "printenv", "seq", "ps", "uptime", "exit", "return", "wait")),
    **dict.fromkeys(("jq", "cmp", "tree", "man", "help", "set", "less", "more")),
    "date": r"-s|--set.*",
    "sort": r"-[a-zA-Z]*o.*|--output.*",
    "uniq": r"[^-].*",
    "sed": r"-[a-zA-Z]*i.*|--in-place.*|(?s:.*)(?:^|[;}\d/$ ])\s*[we]\s(?s:.*)|(?s:.*)/[gp\d]*[we](?s:.*)",
    "awk": r"(?s:.*)(?:system|getline|[>|])(?s:.*)|-i.*",
    "find": r"-exec.*|-ok.*|-delete|-fprint.*|-fls",
    "rg": r"--pre.*",
}
FILTERS = frozenset(
    {"head", "tail", "grep", "egrep", "fgrep", "rg", "wc", "sort", "uniq", "cut", "tr", "sed", "awk", "jq", "cat"}
    | {"column", "nl", "tac", "less", "more", "tee"}
)
NO_FILES = frozenset({"/dev/null", "/dev/stdout", "/dev/stderr", "-a"})


def program(words: Sequence[str]) -> str:
    """The program's name without a system folder."""
    return SYSTEM_PATH.sub("", words[0])


def only_looks(words: Sequence[str]) -> bool:
    """Whether the command shows or filters something and changes nothing."""
    name = program(words)
    if asks_help(words):
        return True
    if name == "tee":
        return NO_FILES.issuperset(words[1:])
    if name not in LOOKERS:
        return False
    more = LOOKERS[name]
    return more is None or not any(re.fullmatch(more, word) for word in words[1:])


def asks_help(words: Sequence[str]) -> bool:
    """Whether the command only explains itself: `gt help sling`, `gt sling --help`; no flag stands before --help."""
    plain = not any(word.startswith("-") for word in words[1:-1])
    return len(words) > 1 and (words[1] == "help" or (words[-1] in {"--help", "--version"} and plain))


def runs_text(words: Sequence[str]) -> bool:
    """Whether another interpreter gets text to run, so that the words are not all that happens."""
    name = words[0].rsplit("/", 1)[-1]
    if re.search(r"[$`*?{]|\A\./|\.(?:sh|bash|py|pl|rb|js)\Z", words[0]):
        return True
    if name in {"find", "awk"} and only_looks((name, *words[1:])):
        return False
    if name == "env":
        return any(re.match(r"-\w*S|--split-string", word) for word in words[1:])
    if name == "git":
        return any(re.match(r"!|alias\.|core\.\w*(?:command|editor|pager|path)", word, re.I) for word in words[1:])
    return re.sub(r"[\d.]+\Z", "", name) in INTERPRETERS or name in INTERPRETERS


def without_git_options(words: tuple[str, ...], keep: frozenset[str] = frozenset()) -> tuple[str, ...]:
    """The words behind `git` without the options of git itself that stand before its subcommand, but for `keep`."""
    kept: tuple[str, ...] = ()
    while words and words[0].startswith("-"):
        if words[0] in GIT_WITH_VALUE:
            length = 2
        elif GIT_PLAIN.fullmatch(words[0]):
            length = 1
        else:
            break
        if words[0].lstrip("-").split("=")[0] in keep:
            kept += words[:length]
        words = words[length:]
    return (*kept, *words)


def shell_script(words: Sequence[str]) -> str | None:
    """The script of `bash -c SCRIPT` with any flags before it, None where there is none or it is only checked."""
    runs = False
    rest = iter(words[1:])
    for word in rest:
        if not word.startswith(("-", "+")) or word in {"-", "--"}:
            return (next(rest, None) if word == "--" else word) if runs else None
        if word in SHELL_FLAGS_WITH_VALUE:
            next(rest, None)
        elif not word.startswith("--"):
            runs = runs or "c" in word
            if "n" in word:
                return None
    return None


def wrapped(words: tuple[str, ...]) -> tuple[str, ...] | None:
    """The words behind a wrapper, or None where it wraps nothing (`command -v gt`, `timeout --help gt`)."""
    name = program(words)
    if (value_flags := WRAPPERS.get(name)) is None:
        return None
    words = words[1:]
    while words and (words[0].startswith("-") or ASSIGNMENT.match(words[0])):
        if words[0] in NOOP_FLAGS or (name in {"command", "builtin"} and words[0] not in {"--", "-p"}):
            return None
        if name == "env" and re.match(r"-\w*S|--split-string", words[0]):
            return None
        takes_value = words[0] in LONG_FLAGS_WITH_VALUE or (len(words[0]) == 2 and words[0][1] in value_flags)
        words = words[2:] if takes_value else words[1:]
    if name == "timeout" and words and DURATION.fullmatch(words[0]):
        words = words[1:]
    return words or None
