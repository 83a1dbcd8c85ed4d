"""The second scan finds what redaction would have missed, and nothing in what it has cleaned."""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from string import ascii_letters, ascii_lowercase, ascii_uppercase, digits

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.config import RedactConfig
from data.transform.redact_judge import is_placeholder
from data.transform.redactor import text_redactor
from data.validate.secret_judges import is_name
from data.validate.secrets import Finding, describe, findings, main, patterns, plain_text, possible
from tests.dataset_rows import make_row, turn, write_rows
from tests.small_build import build
from tests.transcripts import Script

ALNUM = ascii_letters + digits
LOWER = ascii_lowercase + digits
HEX = "0123456789abcdef"


def token(random: Random) -> str:
    """A JSON web token."""
    parts = ({"alg": "HS256"}, {"sub": draw(random, 8)})
    shown = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts]
    return ".".join([*shown, draw(random, 43)])


def draw(random: Random, size: int, alphabet: str = ALNUM) -> str:
    """Random characters that no name has: both cases lead, and every third is a digit, where the alphabet has them."""
    drawn = [c for c in "Qh" if c in alphabet] + random.choices(alphabet, k=size)
    if "0" in alphabet:
        drawn[2::3] = random.choices(digits, k=len(drawn[2::3]))
    return "".join(drawn[:size])


def key(random: Random, header: str) -> str:
    body = "\n".join(draw(random, 64, ALNUM + "+/") for _ in range(4))
    return f"-----BEGIN {header}-----\n{body}\n-----END {header}-----"


# One or more invented values for each kind, as they stand in files.
PLANTED: tuple[tuple[str, Callable[[Random], str]], ...] = (
    ("AWS Access Key", lambda r: "AKIA" + draw(r, 16, ascii_uppercase + digits)),
    ("AWS Access Key", lambda r: "A3TX" + draw(r, 16, ascii_uppercase + digits)),
    ("AWS Access Key", lambda r: f'aws_secret_access_key = "{draw(r, 40)}"'),
    ("Artifactory Credentials", lambda r: f"token: AKC{draw(r, 20)} "),
    ("Azure Storage Account access key", lambda r: f"AccountKey={draw(r, 86)}=="),
    ("Basic Auth Credentials", lambda r: f"postgres://app:{draw(r, 12)}@db/app"),
    ("Cloudant Credentials", lambda r: f'cloudant_password = "{draw(r, 64, HEX)}"'),
    ("Discord Bot Token", lambda r: f"M{draw(r, 23)}.{draw(r, 6)}.{draw(r, 27)}"),
    ("GitHub Token", lambda r: f"ghp_{draw(r, 36)}"),
    ("GitLab Token", lambda r: f"glpat-{draw(r, 20)}"),
    ("GitLab Token", lambda r: f"glptt-{draw(r, 40)}"),
    ("IBM COS HMAC Credentials", lambda r: f"cos_hmac_secret_access_key: {draw(r, 48, HEX)}"),
    ("IBM Cloud IAM Key", lambda r: f"ibm_cloud_api_key = {draw(r, 44)}"),
    ("JSON Web Token", token),
    ("Mailchimp Access Key", lambda r: f"{draw(r, 32, LOWER)}-us12"),
    ("NPM tokens", lambda r: f"//registry.npmjs.org/:_authToken=npm_{draw(r, 36)}"),
    ("OpenAI Token", lambda r: f"sk-{draw(r, 20)}T3BlbkFJ{draw(r, 20)}"),
    ("Private Key", lambda r: key(r, "RSA PRIVATE KEY")),
    ("Private Key", lambda r: key(r, "OPENSSH PRIVATE KEY")),
    ("Private Key", lambda r: f"PuTTY-User-Key-File-2: ssh-rsa\nPrivate-Lines: 1\n{draw(r, 64)}\n"),
    ("PyPI Token", lambda r: f"pypi-AgEIcHlwaS5vcmc{draw(r, 90)}"),
    ("Secret Keyword", lambda r: f'db_pass: "{draw(r, 12)}"'),
    ("Secret Keyword", lambda r: f"if '{draw(r, 14)}' == my_password:"),
    ("Secret Keyword", lambda r: f"client_key => '{draw(r, 16)}'"),
    ("SendGrid API Key", lambda r: f"SG.{draw(r, 22)}.{draw(r, 43)}"),
    ("Slack Token", lambda r: f"xoxb-{draw(r, 12, digits)}-{draw(r, 12, digits)}-{draw(r, 24)}"),
    ("SoftLayer Credentials", lambda r: f"softlayer_api_key = {draw(r, 64, LOWER)}"),
    ("Square OAuth Secret", lambda r: f"sq0csp-{draw(r, 43)}"),
    ("Stripe Access Key", lambda r: f"sk_live_{draw(r, 24)}"),
    ("Telegram Bot Token", lambda r: f"{draw(r, 9, digits)}:{draw(r, 35)}"),
    ("Twilio API Key", lambda r: f"SK{draw(r, 32, HEX)}"),
)
planted = st.builds(lambda which, seed: (which[0], which[1](Random(seed))), st.sampled_from(PLANTED), st.integers(0))
prose = st.text(st.sampled_from("abc xyz,.\n\t(){}é→日🎉"), max_size=40)

ORDINARY = (
    "commit 3f786850e387550fdab836ed7e6dc881de23001b",
    "[SECRET:github-pat:1f3a] and password=[SECRET:credential:9c00], PASSWORD: '[SECRET:credential:9c00]';",
    "--- PASS: TestServerState_WithSummaryOnlyTranscriptNow (0.00s)",
    "-----BEGIN RSA PRIVATE KEY-----\n[SECRET:private-key:7d21]\n-----END RSA PRIVATE KEY-----",
    '_KEY = re.compile("-----BEGIN (RSA )?PRIVATE KEY-----"); assert key.startswith("-----BEGIN PRIVATE KEY-----")',
    "git clone https://user:token@host/x.git; postgres://postgres:postgres@db/app; redis://:password@cache",
    'password: "string", secretName: "db-creds-2", api_key_env: "OPENAI_API_KEY_2", private_key_path = "/etc/k1.pem"',
    "export GITHUB_TOKEN=ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "AWS_ACCESS_KEY_ID=AKIAXXXXXXXXXXXXXXXX, sk_live_xxxxxxxxxxxxxxxxxxxxxxxx",
    'authKey: "bgpMd5AuthKey", secret = "app1_token", pattern = "secret": "^[a-z0-9]{8,}\\\\d+$"',
    "1700000000:9c1f7a3be0d24c6f8a1b5e7d9c3f2a4b6d8e0f12 refs/heads/main",
    "NetworkInterfaceDescription.config.get_network_interface_name(index)",
    "not a token: eyJhbGciOiJub3RiYXNlNjQ.definitely-not.json",
)


@given(planted, prose, prose, st.lists(prose, max_size=4), st.integers(0, 4))
def test_a_planted_secret_of_any_kind_is_found_at_any_offset(
    secret: tuple[str, str], before: str, after: str, others: list[str], place: int
) -> None:
    kind, value = secret
    texts = [*others]
    texts.insert(place := min(place, len(others)), f"{before} {value} {after}")
    found = [finding for finding in findings(texts) if finding.kind == kind]
    assert [finding.text_index for finding in found] == [place]
    assert len(before) <= found[0].start < found[0].end <= len(texts[place])
    assert found[0].start < len(before) + len(value)


@given(planted, prose)
def test_a_secret_in_the_arguments_of_a_call_is_found_behind_its_escapes(secret: tuple[str, str], before: str) -> None:
    kind, value = secret
    arguments = json.dumps({"command": f"{before}\n{value}\n"}, ensure_ascii=False)
    for text in (arguments, json.dumps(arguments, ensure_ascii=False)):
        assert kind in {finding.kind for finding in findings([f"<tool_call>\n{text}\n</tool_call>"])}


@given(planted, prose, prose)
def test_nothing_is_found_once_the_redactor_has_seen_it(secret: tuple[str, str], before: str, after: str) -> None:
    assert findings([text_redactor(RedactConfig())(f"{before} {secret[1]} {after}")]) == []


@given(st.data(), st.sampled_from(patterns()), prose, prose)
def test_the_fast_look_misses_nothing_that_a_pattern_would_match(
    data: st.DataObject, pattern: object, before: str, after: str
) -> None:
    regex = getattr(pattern, "regex")  # noqa: B009
    ascii_only = st.characters(codec="ascii", exclude_characters="\\\r\n\x0b\x0c\x1c\x1d\x1e\x1f")
    match = data.draw(st.from_regex(re.compile(regex.pattern, regex.flags & ~re.UNICODE), alphabet=ascii_only))
    text = f"{before} {match} {after}"
    if regex.search(plain_text(text)):
        assert pattern in possible(text)


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_text_marks_and_placeholders_are_no_finding(text: str) -> None:
    assert findings([text]) == []
    assert findings([json.dumps({"content": text})]) == []


def test_every_kind_of_the_scanner_is_planted_above() -> None:
    assert {kind for kind, _ in PLANTED} == {pattern.kind for pattern in patterns()}


@pytest.mark.parametrize(
    "value",
    ["TestServer_AcceptsLateResults", "bgpMd5AuthKey", "my-backup-store", "src/core/retry.py", "MAX_RETRY_COUNT"],
)
def test_a_name_is_told_from_random_letters(value: str) -> None:
    assert is_name(value)
    assert not is_name("aB3dE5fG7hJ9kL1mN3pQ5rS7tU9v")
    assert not is_name("AtNJX3OrUbmkLCNPqWz", least=1)


def test_a_random_value_that_holds_xxx_is_no_placeholder() -> None:
    assert not is_placeholder(b"sl478s1ae8j9pby35hexxxspeilfgi")
    assert is_placeholder(b"ghp_xxxxxxxxxxxxxxxxxxxx")
    assert is_placeholder(b"sk-xxx")


def test_what_the_user_allows_is_no_finding() -> None:
    text = 'auth_key: "h7Qk2Lm9Pz4X"'
    assert findings([text], ["h7Qk2Lm9Pz4X"]) == []
    assert findings([text], [r"h7Q\w{9}"]) == []
    assert findings([text], ["h7Qk2"])


def test_the_sentence_says_where_and_what_to_do_and_never_the_value() -> None:
    value = f"ghp_{draw(Random(1), 36)}"
    (finding,) = findings(["hello", f"see {value}"])
    assert finding == Finding("GitHub Token", 1, 4, 44)
    sentence = describe(finding, "mayor-s1#0")
    assert value not in sentence + repr(finding)
    for part in ("mayor-s1#0", "message 1", "4 to 44", "GitHub Token", "redact.literals", "audit.allow"):
        assert part in sentence


def test_the_command_names_file_line_and_kind_and_never_the_value(
    tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = ["--config", str(root / "configs/data.yml")]
    value = f"glpat-{draw(Random(2), 20)}"
    leaky = make_row("row-2")
    leaky["conversations"].insert(1, turn("human", f"use {value} here"))
    write_rows(tmp_path / "mayor_train.jsonl", [make_row("row-1")])
    assert main([str(tmp_path), *config]) == 0
    write_rows(tmp_path / "mayor_train.jsonl", [make_row("row-1"), leaky])
    assert main([str(tmp_path), *config]) == 1
    shown = capsys.readouterr()
    assert f"{tmp_path / 'mayor_train.jsonl'}:2: GitLab Token" in shown.out
    assert value not in shown.out + shown.err


def test_the_command_says_what_it_cannot_read(tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path), "--config", str(root / "configs/data.yml")]) == 2
    assert main([str(tmp_path), "--config", str(tmp_path / "none.yml")]) == 2
    shown = capsys.readouterr().err
    assert "no dataset files" in shown
    assert "none.yml: cannot be read" in shown


def test_a_build_with_a_secret_that_redaction_missed_publishes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = Script()
    script.human('The deploy file says secret/ci: "aB3dE5fG7hJ9"; what does it need?')
    script.says("It needs a rule of its own, because no other rule of the redactor matches it.", "m1")
    script.save(tmp_path / "projects")
    assert build(tmp_path) == 1
    shown = capsys.readouterr()
    assert "message 1, characters 33 to 45: looks like a secret (Secret Keyword)" in shown.err
    assert "aB3dE5fG7hJ9" not in shown.out + shown.err
    assert not list((tmp_path / "out").glob("*.json*"))
    assert build(tmp_path, audit={"allow": ["aB3dE5fG7hJ9"]}) == 0


@pytest.mark.slow
def test_one_long_line_is_scanned_whole_and_in_time() -> None:
    started = time.process_time()
    (finding,) = findings(["`a" * 30_000 + ' password = "aB3dE5fG7hJ9" ' + "`a" * 30_000 + '"x" == password'])
    assert (finding.start, finding.end) == (60_013, 60_025)
    assert time.process_time() - started < 10


def test_an_allowed_value_must_be_a_regular_expression(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert build(tmp_path, audit={"allow": ["demo-(key"]}) == 2
    assert "audit.allow[0]: 'demo-(key' is not a regular expression" in capsys.readouterr().err


@pytest.mark.slow
def test_redacted_transcripts_of_real_work_hold_nothing(corpus: Path) -> None:
    redact = text_redactor(RedactConfig())
    for path in sorted(corpus.rglob("*.jsonl")):
        for line in path.read_text("utf-8", "replace").splitlines():
            assert findings([redact(line)]) == [], f"{path.name}: a finding after redaction"
