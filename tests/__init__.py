"""The tests. Before anything of them is imported: asserts in plain modules explain themselves as those in tests do."""

import pytest

pytest.register_assert_rewrite("tests.coverage", "tests.processes", "tests.reference")
