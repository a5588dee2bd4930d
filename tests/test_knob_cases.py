"""Every knob has a case, and nothing but what the registry holds has one."""

from tests.knob_cases import CASES
from zsc.knobs import KNOBS


def test_every_knob_has_a_case():
    lacking = [name for name in KNOBS if name not in CASES]
    assert not lacking, (
        f"no test makes {', '.join(lacking)}: write CASES[{lacking[0]!r}] = KnobCase({{way: a function that makes the"
        " knob}, a function that returns its logits by hand) in tests/knob_cases.py; all suites of knobs then run it."
    )


def test_every_case_is_of_a_knob():
    assert not set(CASES) - set(KNOBS)


def test_the_ways_that_a_case_marks_are_ways_of_its_own():
    for case in CASES.values():
        assert {*case.stepped, *case.alone} <= set(case.acting)
