"""JUnit XML: the structure that CI services agree on, and the explanations in it."""

from xml.etree import ElementTree

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.gate import decide
from eval.junit import build_junit
from eval.paired import compare_runs
from eval.results import RoleBench
from tests.eval_results import contaminated, every, make_episode, make_pair, make_run, none, one_in

# Attributes and children, in order, of the schema that Jenkins publishes and others follow.
SCHEMA = {
    "testsuites": ({"name", "time", "tests", "failures", "errors"}, ["testsuite"]),
    "testsuite": ({"name", "tests", "failures", "errors", "skipped", "time"}, ["properties", "testcase"]),
    "properties": (set(), ["property"]),
    "property": ({"name", "value"}, []),
    "testcase": ({"name", "classname", "time"}, ["skipped", "error", "failure", "system-out"]),
    "failure": ({"type", "message"}, []),
    "error": ({"type", "message"}, []),
    "skipped": ({"message"}, []),
    "system-out": (set(), []),
}


def built(base: RoleBench, adapter: RoleBench) -> ElementTree.Element:
    comparison = compare_runs(base, adapter)
    return ElementTree.fromstring(build_junit(comparison, decide(comparison)))


def assert_valid(element: ElementTree.Element) -> None:
    attributes, children = SCHEMA[element.tag]
    assert set(element.attrib) == attributes
    order = [children.index(child.tag) for child in element]
    assert order == sorted(order)
    for child in element:
        assert_valid(child)


PAIRS = {
    "passed": make_pair(none, every),
    "regression": make_pair(every, none, roles=("mayor", "crew")),
    "inconclusive": make_pair(one_in(2), one_in(3)),
    "not comparable": make_pair(one_in(2), one_in(2)),
}


@pytest.mark.parametrize(("base", "adapter"), PAIRS.values(), ids=PAIRS)
def test_the_structure_is_the_common_one_and_the_counts_are_right(base: RoleBench, adapter: RoleBench) -> None:
    root = built(base, adapter)
    assert_valid(root)
    for suite in root:
        assert int(suite.attrib["tests"]) == len(suite.findall("testcase"))
        for name, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            assert int(suite.attrib[name]) == len(suite.findall(f"testcase/{tag}"))
    for name in ("tests", "failures", "errors"):
        assert int(root.attrib[name]) == sum(int(suite.attrib[name]) for suite in root)
    assert int(root.attrib["tests"]) == 1 + len({episode.id for episode in base.episodes})


@pytest.mark.parametrize(
    ("name", "tag"),
    [("passed", "system-out"), ("regression", "failure"), ("inconclusive", "failure"), ("not comparable", "error")],
)
def test_the_gate_is_a_case_of_its_own(name: str, tag: str) -> None:
    (case,) = built(*PAIRS[name]).findall("testsuite[@name='gate']/testcase")
    (said,) = case
    assert said.tag == tag and said.get("type", "passed") == name
    assert said.text


def test_a_failed_scenario_says_why_and_how_often() -> None:
    root = built(*make_pair(every, lambda scenario, sample: scenario != 3 or sample == 0))
    (failure,) = root.findall("testsuite[@name='mayor']/testcase/failure")
    assert failure.attrib == {"type": "worse", "message": "1 of 2 samples pass, 2 of the base's"}
    assert failure.text == "sample 2: No call of Bash gt mail, no tool was called."


def test_contaminated_scenarios_are_skipped_and_new_forbidden_actions_fail() -> None:
    base, adapter = make_pair(every, every)
    first, *rest = adapter.episodes
    adapter = msgspec.structs.replace(
        adapter,
        episodes=(msgspec.structs.replace(first, forbidden=("Bash rm",)), *rest),
        contaminated=contaminated("mayor-family5-0"),
    )
    root = built(base, adapter)
    (failure,) = root.findall("testsuite[@name='mayor']/testcase[@name='mayor-family0-0']/failure")
    assert failure.attrib["type"] == "forbidden"
    assert root.find("testsuite/testcase[@name='mayor-family5-0']/skipped") is not None


def test_hashes_and_settings_are_properties() -> None:
    root = built(*PAIRS["passed"])
    found = {one.attrib["name"]: one.attrib["value"] for one in root.iterfind("testsuite[@name='mayor']/properties/*")}
    assert found["adapter_sha256"] == "5a" * 32 and found["base_revision"] == "r"
    assert found["scenarios_sha256"] == "scenarios of mayor" and found["setting_seed"] == "1234"


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_any_text_is_well_formed_xml(text: str) -> None:
    episode = make_episode(passed=False, explanation=text, forbidden=(text,))
    root = built(make_run([make_episode()]), make_run([episode], adapter=True, model=text))
    assert_valid(root)
