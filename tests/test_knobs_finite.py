"""Logits that are not finite are named by row and step."""

import pytest
import torch

from zsc.knobs.finite import NotFinite, check_finite

INF, NAN = float("inf"), float("nan")


@pytest.mark.parametrize("logits", [[[[0.0, 1.0]]], [[[-INF, 1.0]]], [[[-1e38, 1e38]]]])
def test_finite_logits_and_ruled_out_tokens_pass(logits):
    check_finite(torch.tensor(logits), "here")


@pytest.mark.parametrize("wrong", [[NAN, 0.0], [INF, 0.0], [-INF, -INF], [NAN, -INF]])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_the_first_row_and_step_that_are_not_finite_are_named(wrong, dtype):
    logits = torch.zeros(3, 4, 2, dtype=dtype)
    logits[1, 2] = logits[2, 0] = torch.tensor(wrong, dtype=dtype)
    with pytest.raises(NotFinite, match=r"not finite with it \(row 1, decoding step 2\).*bfloat16 or float32"):
        check_finite(logits, "with it")
