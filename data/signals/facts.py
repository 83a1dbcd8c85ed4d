"""What is known of how work ended, as short names: facts of a session, and the fate of a bead.

Readers and the outcome stage set facts on a conversation, the chunker keeps them on its windows, and the score reads
them. They are plain strings on disk.
"""

from __future__ import annotations

from enum import StrEnum


class Fact(StrEnum):
    """Something that a session achieved or not. Of the three about tests at most one holds: how they ended."""

    TESTS_PASSED = "tests_passed"
    TESTS_REPAIRED = "tests_repaired"
    TESTS_FAILED = "tests_failed"
    COMMIT = "commit"
    PUSH = "push"
    MERGE_REQUEST = "merge_request"
    PULL_REQUEST = "pull_request"
    MERGE = "merge"
    BEAD_LANDED = "bead_landed"
    BEAD_FAILED = "bead_failed"


class BeadFate(StrEnum):
    """How the work on a bead ended, where its records say so; a bead without one has no known end."""

    LANDED = "landed"
    REOPENED = "reopened"
    REJECTED = "rejected"
