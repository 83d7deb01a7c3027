"""A calculator: arithmetic with exact fractions, and the usual functions. Nothing of the expression is run as a program.

The expression is parsed with `ast`, and only numbers, + - * / // % **, brackets and the names below are read. Every number has at most
MAX_BITS bits, so no expression takes long.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from ..errors import InvalidRequest
from ..tool_calls import Tool
from .base import BoundTool, CallContext, ToolOutcome

MAX_CHARS = 500
MAX_BITS = 4096             # of the numerator and the denominator
MAX_FACTORIAL = 450         # its value has fewer bits than MAX_BITS
DIGITS = 15                 # of a result that is not exact, as many as a float has
MAX_PLACES = 40             # of a result that is a finite decimal fraction
GROUP = "calculator"

Number = Fraction | float
_FUNCTIONS: dict[str, Callable[..., float]] = {
    name: getattr(math, name) for name in ("sqrt", "exp", "sin", "cos", "tan", "asin", "acos", "atan", "atan2", "sinh", "cosh", "tanh",
                                           "log", "log2", "log10", "degrees", "radians", "hypot", "cbrt")}
_FUNCTIONS["ln"] = math.log
_EXACT: dict[str, Callable[..., Any]] = {"abs": abs, "min": min, "max": max, "round": round, "floor": math.floor, "ceil": math.ceil,
                                         "gcd": lambda *given: math.gcd(*map(_whole, given)),
                                         "lcm": lambda *given: math.lcm(*map(_whole, given)),
                                         "factorial": lambda given: _factorial(given)}
_CONSTANTS = {"pi": math.pi, "e": math.e, "tau": math.tau}
DEFINITION = Tool.of_schema(
    "calculator",
    "Evaluate an arithmetic expression exactly. Operators: + - * / // % ** and brackets; "
    f"functions: {', '.join(sorted({*_FUNCTIONS, *_EXACT}))}; constants: pi, e, tau. Angles are in radians.",
    {"type": "object", "properties": {"expression": {"type": "string", "description": "such as (12.5 * 3 + 7) / 4"}},
     "required": ["expression"], "additionalProperties": False})


def calculator_tool() -> BoundTool:
    return BoundTool(DEFINITION, GROUP, _run, must_ask=False, timeout_s=5.0)


def _run(arguments: Mapping[str, Any], context: CallContext) -> ToolOutcome:
    return ToolOutcome(calculate(str(arguments.get("expression", ""))))


def calculate(expression: str) -> str:
    """Return the value of an expression as a decimal number; exactly if it is a finite decimal fraction. Raises InvalidRequest."""
    if len(expression) > MAX_CHARS:
        raise InvalidRequest("expression", f"{len(expression):,} characters", f"at most {MAX_CHARS}")
    try:
        source = expression.strip().replace("^", "**").replace("×", "*").replace("÷", "/").replace("−", "-")
        return _written(_value(ast.parse(source, mode="eval").body, source))
    except (SyntaxError, MemoryError, RecursionError) as error:
        raise InvalidRequest("expression", expression, "an arithmetic expression, such as (2 + 3) * 4") from error
    except (ArithmeticError, ValueError, TypeError) as error:
        raise InvalidRequest("expression", expression, f"one that has a value ({error})") from error


def _value(node: ast.expr, expression: str) -> Number:
    match node:
        case ast.Constant(value=bool() | complex() | str() | bytes() | None):
            pass
        case ast.Constant(value=int() | float()):
            written = ast.get_source_segment(expression, node)
            return _limited(Fraction(written.replace("_", "")) if written and _is_decimal(written) else Fraction(str(node.value)))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, expression)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _value(operand, expression)
        case ast.BinOp(left=left, op=operator, right=right):
            return _limited(_combined(operator, _value(left, expression), _value(right, expression)))
        case ast.Name(id=name) if name in _CONSTANTS:
            return _CONSTANTS[name]
        case ast.Call(func=ast.Name(id=name), args=given, keywords=[]) if name in _FUNCTIONS or name in _EXACT:
            values = [_value(each, expression) for each in given]
            if name in _EXACT:
                if name == "round" and len(values) == 2:
                    values[1] = _whole(values[1])
                return _limited(_number(_EXACT[name](*values)))
            return _limited(_number(_FUNCTIONS[name](*map(float, values))))
    raise InvalidRequest("expression", ast.unparse(node)[:60], "numbers, operators, and the functions that the tool lists")


def _is_decimal(written: str) -> bool:
    return all(char in "0123456789._" for char in written)


def _combined(operator: ast.operator, left: Number, right: Number) -> Number:
    match operator:
        case ast.Add():
            return left + right
        case ast.Sub():
            return left - right
        case ast.Mult():
            return left * right
        case ast.Div():
            return left / right
        case ast.FloorDiv():
            return _number(left // right)
        case ast.Mod():
            return left % right
        case ast.Pow():
            return _power(left, right)
    raise InvalidRequest("operator", type(operator).__name__, "one of + - * / // % **")


def _power(base: Number, exponent: Number) -> Number:
    if isinstance(base, Fraction) and isinstance(exponent, Fraction) and exponent.denominator == 1:
        if _bits(base) * abs(exponent) > 2 * MAX_BITS and abs(base) != 1 and base != 0:
            raise OverflowError("the number is too large")
        return base ** int(exponent)
    result: float | complex = float(base) ** float(exponent)
    if isinstance(result, complex):
        raise ValueError("it is not a real number")
    return result


def _factorial(given: Number) -> Fraction:
    count = _whole(given)
    if not 0 <= count <= MAX_FACTORIAL:
        raise ValueError(f"factorial takes 0 to {MAX_FACTORIAL}")
    return Fraction(math.factorial(count))


def _whole(given: Number) -> int:
    if given != int(given):
        raise ValueError("a whole number is needed")
    return int(given)


def _number(value: Any) -> Number:
    return value if isinstance(value, (Fraction, float)) else Fraction(value)


def _bits(value: Fraction) -> int:
    return max(value.numerator.bit_length(), value.denominator.bit_length())


def _limited(value: Number) -> Number:
    if isinstance(value, Fraction) and _bits(value) > MAX_BITS:
        raise OverflowError("the number is too large")
    if isinstance(value, float) and not math.isfinite(value):
        raise OverflowError("the number is too large")
    return value


def _written(value: Number) -> str:
    if isinstance(value, float):
        return f"{value:.{DIGITS}g}"
    if value.denominator == 1:
        return str(value.numerator)
    rest = value.denominator
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    if rest == 1:
        places = next((n for n in range(1, MAX_PLACES + 1) if 10**n % value.denominator == 0), 0)
        if places:
            digits = str(abs(value.numerator) * (10**places // value.denominator)).rjust(places + 1, "0")
            return f"{'-' if value < 0 else ''}{digits[:-places]}.{digits[-places:]}"
    return f"{float(value):.{DIGITS}g}"
