"""Which system prompt a conversation carries: the compact one of its role, or the full one that it is served with.

Training on both lets an adapter work under either. `choose_prompt` is a function of the conversation's id alone, so
a share stays the same rows in every build.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b

from msgspec.structs import replace

from data.config import DataConfig, PromptsConfig, RoleConfig
from data.record import System
from data.render import render_system
from data.tokens import TokenCounter


def choose_prompt(role: RoleConfig, prompts: PromptsConfig, conversation_id: str) -> str:
    """The system prompt of a conversation. A role without a full prompt always has its compact one."""
    if not role.full or not prompts.full:
        return role.system
    digest = blake2b(conversation_id.encode("utf-8", "surrogatepass"), person=b"prompt", digest_size=8).digest()
    return role.full if int.from_bytes(digest, "big") / 2**64 < prompts.full else role.system


def redact_prompts(roles: dict[str, RoleConfig], redact: Callable[[str], str]) -> dict[str, RoleConfig]:
    """The roles with clean full prompts: what `gt prime` prints names paths and people of the machine it ran on."""
    return {name: replace(role, full=redact(role.full)) if role.full else role for name, role in roles.items()}


def check_prompts(config: DataConfig, counter: TokenCounter) -> list[str]:
    """What is wrong with the full prompts, a sentence each: one must leave at least half of a window to learn from."""
    if not config.prompts.full:
        return []
    limit = config.windows.max_tokens // 2
    problems = []
    for name, role in config.roles.items():
        tokens = counter.count(render_system(System(role.full))) if role.full else 0
        if tokens > limit:
            problems.append(
                f"roles.{name}: the full prompt has {tokens:,} tokens, but may have {limit:,}, half of"
                " windows.max_tokens. Shorten it, or raise windows.max_tokens."
            )
        elif role.full_file and not role.full.strip():
            problems.append(f"roles.{name}.full_file: {role.full_file} is empty. Write the prompt into it.")
    return problems
