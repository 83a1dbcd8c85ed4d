"""Takes out of a group of transcripts what stands in forgotten sessions, wherever else it was copied.

A resumed or branched session repeats what came before it; nothing says whose that was, so it goes with either of the
two. Copies with the same record ids are the same records; a branch whose copies have new ids still has the message ids
of its replies, and what stands above those was copied too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from data.extract.transcript import Reason, Record


def remembered(kept: list[Record], files: Iterable[Sequence[Record]], forgotten: frozenset[str]) -> list[Record]:
    """The records, of those of the union, that no forgotten session holds; the others get their fate here."""
    if not forgotten:
        return kept
    theirs = [record for records in files for record in records if record.line.session_id in forgotten]
    if not theirs:
        return kept
    uuids = {record.line.uuid for record in theirs if record.line.uuid}
    messages = {record.message_id for record in theirs if record.line.type == "assistant" and record.message_id}
    for record in kept:
        if record.line.session_id in forgotten or record.line.uuid in uuids:
            record.fate = Reason.FORGOTTEN
    known = {record.line.uuid: record for record in kept if record.line.uuid}
    for record in kept:
        if record.message_id in messages:
            _forget_upwards(record, known)
    return [record for record in kept if record.fate != Reason.FORGOTTEN]


def _forget_upwards(copy: Record, known: Mapping[str, Record]) -> None:
    """Set aside a copied reply, and what stands above it in the same session."""
    record: Record | None = copy
    while record is not None and not record.fate and record.line.session_id == copy.line.session_id:
        record.fate = Reason.FORGOTTEN
        record = known.get(record.line.parent_uuid or "")
