"""Lines of JSON, whole or not at all."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from configs.files import write_text


def write_lines(file: Path, records: Iterable[dict[str, Any]]) -> None:
    write_text(file, "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records))
