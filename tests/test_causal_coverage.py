"""Every knob on every decoder alone acts the same with a cache and without; docs/supported.md says where."""

import pytest

from tests.causal import NAMED, SIZES
from tests.causal_coverage import measure, table_in_docs
from tests.coverage import COLUMNS, DECODINGS, RELEASE, row_of
from zsc.knobs.supported import BACKENDS, MEASURED_WITH


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("family", SIZES)
def test_the_table_is_true(family, backend):
    """Of families that are not named, other versions of the library may have more; of all, they may have less."""
    claimed = row_of(table_in_docs(), family)
    for name in COLUMNS:
        outcome = measure(name, family, backend)
        works = outcome == list(DECODINGS)
        if RELEASE in MEASURED_WITH and (family in NAMED or backend in claimed[name]):
            assert works == (backend in claimed[name]), outcome
