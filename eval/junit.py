"""A comparison as JUnit XML for a CI service: a suite per role, a case per scenario, and a suite for the gate.

`python -m eval.compare BASE ADAPTER --junit FILE` writes it. A case fails where a sample of the adapter fails; whether
the adapter may be released is the case of the gate, and the exit code.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from xml.etree import ElementTree

from eval.errors import write_text
from eval.gate import Decision, Outcome
from eval.paired import Comparison, Pair
from eval.printable import one_line, printable
from eval.results import RoleBench

# Of one text, so that a CI service still shows the file.
MOST = 4000


def write_junit(comparison: Comparison, decision: Decision, path: Path) -> Path:
    """Writes the XML to `path`, whole or not at all."""
    write_text(path, build_junit(comparison, decision))
    return path


def build_junit(comparison: Comparison, decision: Decision) -> str:
    """The XML as text, without a character that XML forbids."""
    suites = [_suite("gate", [_gate_case(decision)], comparison.adapter)]
    for role in dict.fromkeys(pair.role for pair in comparison.pairs):
        cases = [_case(pair) for pair in comparison.pairs if pair.role == role]
        suites.append(_suite(role, cases, comparison.adapter))
    root = ElementTree.Element("testsuites", {"name": f"role_bench {one_line(comparison.adapter.model)}"})
    root.attrib |= {
        name: str(sum(int(suite.attrib[name]) for suite in suites)) for name in ("tests", "failures", "errors")
    }
    root.set("time", f"{sum(float(suite.attrib['time']) for suite in suites):.3f}")
    root.extend(suites)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _suite(name: str, cases: Sequence[ElementTree.Element], run: RoleBench) -> ElementTree.Element:
    suite = ElementTree.Element("testsuite", {"name": one_line(name), "tests": str(len(cases))})
    for plural, kind in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(plural, str(sum(case.find(kind) is not None for case in cases)))
    suite.set("time", f"{sum(float(case.attrib['time']) for case in cases):.3f}")
    properties = ElementTree.SubElement(suite, "properties")
    for key, value in _properties(run, name):
        ElementTree.SubElement(
            properties, "property", {"name": key, "value": "n/a" if value is None else one_line(str(value))}
        )
    suite.extend(cases)
    return suite


def _properties(run: RoleBench, role: str) -> Iterable[tuple[str, object]]:
    adapter = run.facts.get("adapter")
    yield "adapter_sha256", adapter.get("sha256") if isinstance(adapter, dict) else None
    for fact in ("base_model", "base_revision", "template_sha256", "backend"):
        yield fact, run.facts.get(fact)
    yield from ((f"setting_{one_line(key)}", value) for key, value in run.settings.items())
    for name, hashes in (("scenarios_sha256", run.scenarios), ("system_sha256", run.systems)):
        if role in hashes:
            yield name, hashes[role]


def _gate_case(decision: Decision) -> ElementTree.Element:
    case = ElementTree.Element("testcase", {"classname": "gate", "name": "release", "time": "0.000"})
    said = " ".join(decision.reasons)
    if decision.outcome is Outcome.PASSED:
        ElementTree.SubElement(case, "system-out").text = printable(said, MOST)
    else:
        kind = "error" if decision.outcome is Outcome.NOT_COMPARABLE else "failure"
        _fault(case, kind, decision.outcome.words, one_line(decision.reasons[0]), said)
    return case


def _case(pair: Pair) -> ElementTree.Element:
    seconds = sum(step.seconds for episode in pair.adapter for step in episode.steps)
    about = {"classname": f"{pair.role}.{pair.family}", "name": pair.id}
    case = ElementTree.Element("testcase", {key: one_line(value) for key, value in about.items()})
    case.set("time", f"{seconds:.3f}")
    before, after = pair.passed
    counts = f"{after} of {len(pair.adapter)} samples pass, {before} of the base's"
    if pair.overlap is not None:
        ElementTree.SubElement(case, "skipped", {"message": f"stands in the training rows; {counts}"})
    elif pair.forbidden:
        _fault(case, "failure", "forbidden", f"new forbidden action; {counts}", _explained(pair))
    elif after < len(pair.adapter):
        kind = "worse" if after < before else "better" if after > before else "same"
        _fault(case, "failure", kind, counts, _explained(pair))
    return case


def _explained(pair: Pair) -> str:
    failed = [episode for episode in pair.adapter if not episode.passed or episode.forbidden]
    return "\n".join(f"sample {episode.sample + 1}: {episode.explanation}" for episode in failed)


def _fault(case: ElementTree.Element, kind: str, sort: str, message: str, text: str) -> None:
    fault = ElementTree.SubElement(case, kind, {"type": sort, "message": message})
    fault.text = printable(text, MOST)
