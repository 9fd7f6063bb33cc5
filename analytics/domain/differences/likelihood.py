"""How much better two rates explain the failures than one: in a set of calls and outside it."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from analytics.domain.differences.table import Floats

_TINY = 1e-9


def gain_of_shares(excess: Floats, calls: Floats, all_excess: float, all_calls: float) -> Floats:
    """Log likelihood that is gained by giving the calls of a set a share of failures beyond the
    expected of their own (binomial); 0 where theirs is not the larger one."""
    whole = np.maximum(all_excess, excess)
    gain = (
        _binomial(np.minimum(excess, calls), calls)
        + _binomial(np.maximum(whole - excess, 0.0), np.maximum(all_calls - calls, 0.0))
        - _binomial(whole, np.full_like(whole, all_calls))
    )
    larger = excess * all_calls > whole * calls
    return np.where(larger, gain, 0.0)


def gain_of_factors(
    failed: Floats, expected: Floats, all_failed: float, all_expected: float
) -> Floats:
    """Log likelihood that is gained by multiplying the expected failures of a set by a factor of
    their own (Poisson, the scan statistic of Kulldorff); 0 where theirs is not the larger one."""
    gain = (
        _poisson(failed, expected)
        + _poisson(all_failed - failed, np.maximum(all_expected - expected, 0.0))
        - _poisson(np.full_like(failed, all_failed), np.full_like(failed, all_expected))
    )
    larger = failed * all_expected > all_failed * expected
    return np.where(larger, gain, 0.0)


def p_value_of(gain: float) -> float:
    """The chance of so large a gain where nothing differs: the G-test, one degree of freedom."""
    return math.erfc(math.sqrt(max(gain, 0.0)))


def passing(p_values: npt.ArrayLike, false_share: float) -> npt.NDArray[np.bool_]:
    """Which tests are passed when at most this share of the passed may be false
    (Benjamini-Hochberg)."""
    values = np.asarray(p_values, dtype=np.float64)
    if not values.size:
        return np.zeros(0, dtype=np.bool_)
    ordered = np.sort(values)
    limits = false_share * np.arange(1, values.size + 1) / values.size
    below = np.nonzero(ordered <= limits)[0]
    limit = ordered[below[-1]] if below.size else -1.0
    result: npt.NDArray[np.bool_] = values <= limit
    return result


def _binomial(failed: Floats, calls: Floats) -> Floats:
    share = np.clip(failed / np.maximum(calls, _TINY), _TINY, 1 - _TINY)
    result: Floats = failed * np.log(share) + (calls - failed) * np.log1p(-share)
    return result


def _poisson(failed: Floats, expected: Floats) -> Floats:
    # A floor, so that failures where none were ever expected weigh much and not infinitely.
    factor = np.maximum(failed, _TINY) / np.maximum(expected, 1e-6)
    return np.where(failed > 0, failed * np.log(factor), 0.0)
