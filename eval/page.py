"""A comparison as one page that needs nothing but itself: numbers, intervals drawn, and every answer of both runs.

`python -m eval.compare BASE ADAPTER --html FILE` writes it. Numbers are plain HTML; a small script filters the
scenarios and shows both runs side by side. Whatever a model wrote is only ever text.
"""

import hashlib
from base64 import b64encode
from pathlib import Path
from typing import Any

from eval.errors import write_text
from eval.gate import Decision, points
from eval.page_rows import Picture, embed
from eval.paired import Comparison
from eval.printable import one_line
from eval.results import RoleBench
from eval.wording import change, comparison_lines, cost_rows, of_scenarios, p_value, percent, size

HERE = Path(__file__).parent


def write_page(comparison: Comparison, decision: Decision, path: Path) -> Path:
    """Writes the page to `path`, whole or not at all."""
    write_text(path, build_page(comparison, decision))
    return path


def build_page(comparison: Comparison, decision: Decision) -> str:
    """The page as text."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"points": points, "percent": percent, "change": change, "p_value": p_value, "size": size}
    environment.filters |= {"line": one_line}
    style, script = ((HERE / name).read_text("utf-8") for name in ("page.css", "page.js"))
    return environment.get_template("page.html.jinja").render(
        comparison=comparison,
        decision=decision,
        picture=Picture.of(comparison, decision.margin),
        of_scenarios=of_scenarios,
        lines=list(comparison_lines(comparison, decision)),
        costs=cost_rows(comparison),
        conditions=conditions(comparison),
        rows=Markup(embed(comparison)),
        style=Markup(style),
        script=Markup(script),
        policy=f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; base-uri 'none'",
    )


def conditions(comparison: Comparison) -> list[tuple[str, str, str]]:
    """What was run and how: name, base, adapter; nested facts by their path."""
    base, adapter = _facts(comparison.base), _facts(comparison.adapter)
    return [(name, base.get(name, ""), adapter.get(name, "")) for name in dict.fromkeys([*base, *adapter])]


def _facts(run: RoleBench) -> dict[str, str]:
    parts = {
        "model": run.model,
        **run.facts,
        "settings": run.settings,
        "versions": run.versions,
        "scenario file sha256": run.scenarios,
        "system prompt sha256": run.systems,
    }
    return dict(_flat("", parts))


def _flat(path: str, value: Any) -> list[tuple[str, str]]:
    if isinstance(value, dict):
        return [pair for key, inner in value.items() for pair in _flat(f"{path} {key}".strip(), inner)]
    return [(one_line(path), "" if value is None else one_line(str(value)))]


def _hash(text: str) -> str:
    """The name of an embedded text in the page's content security policy, so that nothing else can run."""
    return f"'sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
