"""The calculator is exact, has limits, and runs nothing."""

import math
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import InvalidRequest
from engine.tools.calculator import MAX_CHARS, MAX_FACTORIAL, calculate


@pytest.mark.parametrize(("expression", "value"), [
    ("0.1 + 0.2", "0.3"), ("(12.5 * 3 + 7) / 4", "11.125"), ("2 ** 64", "18446744073709551616"), ("2^10", "1024"),
    ("1/3", "0.333333333333333"),
    ("-7 // 2", "-4"), ("-7 % 3", "2"), ("round(2.5 * 1.07, 2)", "2.68"), ("factorial(20)", "2432902008176640000"), ("gcd(12, 18)", "6"),
    ("sqrt(2)", "1.4142135623731"), ("sin(pi / 6)", "0.5"), ("max(1, 2.5)", "2.5"), ("1e3 + 1", "1001"), ("6 × 7 − 2", "40"),
    ("100000000000000000001 - 100000000000000000000", "1"), ("-0.05 / 10", "-0.005"),
])
def test_values(expression: str, value: str) -> None:
    assert calculate(expression) == value


@pytest.mark.parametrize("expression", [
    "", "1 +", "1 / 0", "9 ** 9 ** 9", "2 ** 100000", "factorial(451)", "10 ** 400 * 1.0 ** 0.5 * 10.0 ** 400.5", "sqrt(-1)", "(-8) ** 0.5",
    "__import__('os').system('true')", "open('/etc/passwd')", "().__class__", "[1]", "'a' * 9", "True + 1", "1 if 1 else 2", "x", "1j",
    "lambda: 1", "round(1, 2, 3)", "max(*[1])", "1 << 9", "gcd(1.5, 2)", "f(1)", "-" * 300 + "1" + "+1" * 120,
])
def test_what_has_no_value_is_refused(expression: str) -> None:
    with pytest.raises(InvalidRequest):
        calculate(expression)


def test_a_long_expression_is_refused() -> None:
    with pytest.raises(InvalidRequest, match=str(MAX_CHARS)):
        calculate("1" + "+1" * MAX_CHARS)


def test_the_largest_factorial_is_within_the_limit_of_numbers() -> None:
    assert calculate(f"factorial({MAX_FACTORIAL})") == str(math.factorial(MAX_FACTORIAL))


@settings(max_examples=100, deadline=None)
@given(st.integers(-10**9, 10**9), st.integers(-10**9, 10**9), st.integers(1, 10**6))
def test_finite_decimal_fractions_are_exact(a: int, b: int, c: int) -> None:
    written = calculate(f"({a} + {b}) / 1000 - {c}")
    assert Fraction(written) == Fraction(a + b, 1000) - c
