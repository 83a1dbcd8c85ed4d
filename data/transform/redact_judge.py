"""Which matches count: a pattern sees characters, the judges here see what they mean.

Every function takes the matched bytes and a few bytes around them and answers yes or no.
`API_TOKEN=$GITHUB_TOKEN`, `git@github.com` and version 10.15.7.1 are nobody's secret and nobody's data.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import IPv4Address

Judge = Callable[[bytes, bytes, bytes], bool]

# Values that stand where a secret would: variables, templates, and the words that documentation uses.
_TEMPLATE = re.compile(
    rb"\$[A-Za-z_{(%]|[{<%*\[\]]|\.{2,}|(?:your|my)[-_][a-z]"
    rb"|.*(?:\$\{|\{\{|REDACTED|<[a-z_ -]+>|\.\.\.|x{4}|X{4}|[-_.](?:xxx|XXX))",
    re.DOTALL,
)
_WORDS = frozenset(
    b"password passwd passphrase pass pwd secret secrets token apikey api_key api-key key none null nil true false"
    b" undefined string str bytes bool int optional required changeme change-me example placeholder dummy redacted"
    b" todo test tests testing value empty missing invalid valid unset hidden default postgres mysql root admin user"
    b" mypassword mypass mysecret mytoken username foo bar baz env file stdin prompt auth bearer basic"
    b" authentication authorization".split()
)
_CODE = re.compile(
    rb"[A-Za-z_]\w*(?:(?:\.|::|->)[A-Za-z_]\w*)+|[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+|\w+\[-?\w*(?:\][\w.]*)?|\.{0,2}/[\w./-]+|0x[0-9A-Fa-f]{1,16}"
    rb"|[A-Za-z]\w*_(?:password|passwd|token|key|secret)|(?:[A-Z]?[a-z]+)+(?:Password|Token|Key|Secret)"
)
_WORDY = re.compile(rb"[A-Za-z_-]{8,80}")
_WORDY_PART = re.compile(rb"[A-Z]?[a-z]+|[A-Z]+")
_MIXED = re.compile(rb"(?=.*[0-9])(?=.*[A-Za-z])", re.DOTALL)
_UNLIKE_A_WORD = re.compile(
    rb"(?=.*[0-9])(?=.*[A-Za-z])(?=.*(?:[A-Z].*[a-z]|[a-z].*[A-Z]|[^A-Za-z0-9_.]|[0-9].*[0-9].*[0-9]))"
)
_BOTH_CASES = re.compile(rb"(?=.*[0-9])(?=.*[A-Z])(?=.*[a-z])", re.DOTALL)
_ABOUT = re.compile(
    rb"(?i)(?:names?|ids?|env|file|path|ur[li]|type|ref|version|field)\\?[\"'\]]{0,2}\s*[:=!(>]*\s*@?\\?[\"'`]\Z"
)
_SNAKE = re.compile(rb"[a-z]+(?:_[a-z]+)+")
_UUID = re.compile(rb"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_KEY_BODY = re.compile(rb"(?=(?:[^0-9]*[0-9]){2})(?=.*[A-Za-z0-9]{16})")

_NOBODY = re.compile(
    rb".*@(?:[\w.-]+\.)?(?:example\.(?:com|org|net|edu)|test\.(?:com|org|net))"
    rb"|.*@[\w.-]+\.(?:test|example|invalid|localhost|local|internal)"
    rb"|(?:git|hg|svn|no-?reply|do-?not-?reply)@.*",
    re.IGNORECASE | re.DOTALL,
)
_FILE_OR_CODE = re.compile(
    rb".*\.(?:png|jpe?g|gif|svg|webp|ico|js|mjs|cjs|ts|tsx|jsx|css|html|json|ya?ml|toml|txt|md|py|go|rb|lock"
    rb"|service|socket|timer|target|mount|shape|size|dtype|values|data|grad|weight|latest|beta|alpha|next)",
    re.IGNORECASE | re.DOTALL,
)
_OID_ARCS = (b"1.3.", b"2.5.29.")
_RESOLVERS = frozenset((b"8.8.8.8", b"8.8.4.4", b"1.1.1.1", b"1.0.0.1", b"9.9.9.9"))
# The scanner's helper rules for what stands beside a secret and is none: ids of apps and tenants, host names.
_BESIDE_A_SECRET = re.compile(
    r"(?!.*(?:key-id|webhook|sensitive)).*-(?:id|name|domain|url|host|username|address|repository)(?:\.\d)?"
)


def is_for_secrets(rule: str) -> bool:
    """Whether a built-in rule finds secrets themselves, by its id."""
    return not _BESIDE_A_SECRET.fullmatch(rule)


def is_placeholder(value: bytes) -> bool:
    """A variable, a template, a word that documentation uses, or one character repeated."""
    bare = value.strip(b"\"'`,;:.*)}]")
    return bare.lower() in _WORDS or bool(_TEMPLATE.match(bare)) or len(set(bare)) < 3


def is_identifier(value: bytes) -> bool:
    """A name in code, such as `clientSecretVaultId`: letters alone, in parts as long as words are.

    Random letters change their case every second one; the words of names are more than three long.
    """
    if not _WORDY.fullmatch(value):
        return False
    parts = _WORDY_PART.findall(value)
    return sum(map(len, parts)) > 3.5 * len(parts)


def is_strong(value: bytes) -> bool:
    """Long and mixed enough to be nothing but this secret wherever it stands."""
    return (len(value) >= 8 and bool(_MIXED.match(value))) or len(value) >= 20


def is_nobodys_address(address: bytes) -> bool:
    """Documentation and test domains, no-reply senders, git remotes."""
    return bool(_NOBODY.fullmatch(address))


def is_address(value: bytes, after: bytes) -> bool:
    """An e-mail address of somebody, not a file name with an @ and not a matrix product."""
    return not (is_nobodys_address(value) or _FILE_OR_CODE.fullmatch(value) or re.match(rb"[(\[\w]", after))


def is_public_ip(value: bytes, before: bytes, after: bytes) -> bool:
    """A routed address. Version numbers and OIDs have small parts or neighbours; addresses hardly ever."""
    if re.search(rb"(?:[\w-]|\w\.|[A-Za-z]/)\Z", before) or re.match(rb"[\w=-]|\.[0-9]", after):
        return False
    parts = [int(part) for part in value.split(b".")]
    if max(parts) > 255 or sum(part >= 10 for part in parts) < 2 or value.startswith(_OID_ARCS):
        return False
    return value not in _RESOLVERS and IPv4Address(bytes(parts)).is_global


def is_code(value: bytes) -> bool:
    """A constant, an attribute, a path, or a name that ends in what it holds."""
    return bool(_CODE.fullmatch(value.rstrip(b"}])>[")))


def _assigned(value: bytes, before: bytes, after: bytes) -> bool:
    """NAME=value in capitals: anything that is no code, no path, and no small number such as MAX_TOKEN=4096."""
    least = 4 if b"PASS" in before or b"PWD" in before else 6
    if is_code(value) or after == b"(" or (before.rstrip().endswith(b":") and _SNAKE.fullmatch(value)):
        return False
    return len(value) >= least and not (value.isdigit() and len(value) < 6)


def _quoted(value: bytes, before: bytes, after: bytes) -> bool:
    return bool(_MIXED.match(value)) and not is_code(value) and not _UUID.fullmatch(value)


def _unquoted(value: bytes, before: bytes, after: bytes) -> bool:
    """Code is full of `token = something`, so the value itself must look like no word and no expression."""
    if is_code(value) or after == b"(" or _UUID.fullmatch(value) or value.startswith((b"/", b"http")):
        return False
    return bool(_UNLIKE_A_WORD.match(value))


def _mixed(value: bytes, before: bytes, after: bytes) -> bool:
    return bool(_MIXED.match(value))


def _key(value: bytes, before: bytes, after: bytes) -> bool:
    return bool(_KEY_BODY.match(value))


def _token(value: bytes, before: bytes, after: bytes) -> bool:
    """Digits and both cases, as names in code seldom have, and nothing that goes on behind it."""
    return bool(_BOTH_CASES.match(value)) and not re.match(rb"[\w-]", after)


def _mixed_and_whole(value: bytes, before: bytes, after: bytes) -> bool:
    """A time and a commit hash (`1700000000:9c1f...`) begin like a token and go on."""
    return bool(_MIXED.match(value) or len(value) == 24) and not re.match(rb"[\w-]", after)


def _named(value: bytes, before: bytes, after: bytes) -> bool:
    """`secret_name: "db-2"` says where a secret is, not what it is."""
    return _quoted(value, before, after) and not _ABOUT.search(before) and not re.search(rb"[(/]", value)


def _always(value: bytes, before: bytes, after: bytes) -> bool:
    return True


SECRETS: dict[str, Judge] = {
    "aws-access-token": _always,
    "sk-key": _key,
    "url-password": _always,
    "url-token": _mixed,
    "assignment": _assigned,
    "assignment-quoted": _assigned,
    "quoted": _quoted,
    "unquoted": _unquoted,
    "bearer": _mixed,
    "azure-storage": _always,
    "putty": _always,
    "gitlab": _always,
    "pypi": _always,
    "npm-auth": _always,
    "square": _always,
    "mailchimp": _mixed,
    "twilio": _mixed,
    "telegram": _mixed_and_whole,
    "discord": _token,
    "artifactory": _token,
    "service-key": _mixed_and_whole,
    "service-path": _mixed,
    "iam-key": _token,
    "named": _named,
    "compared": _named,
}
# Recognised by themselves, whatever stands around.
BY_SHAPE = frozenset(
    ("aws-access-token", "sk-key", "gitlab", "pypi", "square", "mailchimp", "twilio", "telegram", "discord")
)
