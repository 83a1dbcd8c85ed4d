"""What people decided, as the pipeline needs it: for each example what is to become of it, and nothing of who or when.

`load_decisions(config.curation)` reads the database of `python -m data.curate`; where there is none, nobody decided.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Literal

import msgspec

from data.config import ConfigError, CurationConfig, repository_path
from data.curate.change import Change, read_change

Action = Literal["approve", "reject", "edit", "trim"]


class Verdict(msgspec.Struct, frozen=True):
    """What is to become of an example. A change stands beside `approve` too, where an edit was approved after it."""

    reject: bool = False
    change: Change = Change()


Verdicts = dict[str, Verdict]


def load_decisions(config: CurationConfig) -> Verdicts:
    """The verdicts that change a build, by the key of their example, in the order of the keys.

    Raises ConfigError where the database is there and cannot be read.
    """
    path = repository_path(config.decisions)
    if not path.is_file():
        return {}
    verdicts = dict(_read(path))
    if config.use == "all":  # an approval changes nothing, and must not cost a build its cache
        verdicts = {key: one for key, one in verdicts.items() if one.reject or one.change}
    return dict(sorted(verdicts.items()))


def digest(verdicts: Mapping[str, Verdict]) -> bytes:
    """For whoever keeps results: other verdicts make other rows."""
    told = [(key, one.reject, sorted(one.change.texts.items()), one.change.last) for key, one in verdicts.items()]
    return msgspec.json.encode(sorted(told))


def _read(path: Path) -> list[tuple[str, Verdict]]:
    import sqlite3

    from data.curate.database import FORMS, form_of

    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=30)) as database:
            if form_of(database) > FORMS:
                raise ConfigError(f"curation.decisions: {path} is of a newer lora-forge. Update: git pull.")
            if form_of(database) == 0:
                return []
            found = database.execute(
                "SELECT e.key, d.action, d.change FROM examples e JOIN decisions d ON d.id = e.decision"
            )
            return [(key, Verdict(action == "reject", read_change(change))) for key, action, change in found]
    except (sqlite3.Error, msgspec.MsgspecError) as error:
        raise ConfigError(
            f"curation.decisions: {path} cannot be read ({error}). Bring back a copy, or name another file."
        ) from None
