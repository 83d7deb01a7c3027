"""Finding the program in a model's reply."""

from __future__ import annotations

import random

import pytest

from engine.agent.parsing import normalised, parse, resumed

CODE = "for i in range(2):\n    print(i)"
INDENTED = "   for i in range(2):\n       print(i)"


@pytest.mark.parametrize("reply", [
    f"```python\n{CODE}\n```",
    f"```py\n{CODE}\n```",
    f"```Python3\n{CODE}\n```",
    f"```\n{CODE}\n```",
    f"``` python\n{CODE}\n```   ",
    f"```python title=\"a.py\"\n{CODE}\n```",
    f"```{{.python}}\n{CODE}\n```",
    f"~~~python\n{CODE}\n~~~",
    f"````python\n{CODE}\n````",
    f"Text.\n```python\n{CODE}\n```\nMore.",
    f"1. First:\n   ```python\n{INDENTED}\n   ```\n2. Then.",
    f"- ```python\n  {INDENTED.replace(chr(10), chr(10) + '  ')}\n  ```",
    f"   ```python\n{INDENTED}\n   ```",
    f"```python\r\n{CODE}\r\n```\r\n".replace("):\n", "):\r\n"),
    f"```python\n{CODE}",
    f"```bash\npip install numpy\n```\n```python\n{CODE}\n```",
    f"```python\n{CODE}\n```\n```bash\npython program.py\n```",
    f"```python\n{CODE}\n```\nIt prints:\n```\n0\n1\n```",
    f"```python\nprint('a first try')\n```\nBetter:\n```python\n{CODE}\n```",
    f"```python\n{CODE}\n```\nFor example:\n```python\nprint(",
    f"Use `print` or ``` in text.\n```python\n{CODE}\n```",
    f"A thought with ```python\nprint('thought')\n```\n</think>\n```python\n{CODE}\n```",
    f"```python\n{CODE}```", f"```python\n{CODE}  ```\nMore.", f"The code: ```python\n{CODE}\n```\n", f"The code:```py\n{CODE}\n```",
    f"```py\n{CODE}\n```<end_code>", f"```python\n{CODE}\n``` <|im_end|>", f"~~~python\n{CODE}\n~~~</code>",
], ids=range(29))
def test_the_program_is_found(reply: str) -> None:
    assert parse(reply).code == CODE


@pytest.mark.parametrize("reply", [
    "The answer is 42.",
    "Put code between ``` and ``` or use `print()`.",
    "Use ```print(1)``` inline.",
    "```bash\nrm -rf /\n```",
    "```json\n{\"a\": 1}\n```",
    "It prints:\n```\n42\n```",
    "```text\nimport nothing\n```",
    "```python\n```",
    "",
], ids=range(9))
def test_other_blocks_are_not_taken_for_a_program(reply: str) -> None:
    assert parse(reply).code is None


def test_the_prose_around_the_program_is_kept() -> None:
    assert parse(f"Before.\n\n```python\n{CODE}\n```\n\nAfter.").prose == "Before.\n\nAfter."


def test_a_result_that_the_model_invents_is_not_part_of_its_prose() -> None:
    assert parse(f"Look.\n```python\n{CODE}\n```\n\nIt printed:\n```\n55\n```").prose == "Look."


def test_a_program_may_print_fences() -> None:
    code = 'text = """\n```\ninside\n```\n"""\nprint(text)'
    assert parse(f"```python\n{code}\n```\nDone.").code == code


def test_an_unclosed_fence_is_reported() -> None:
    assert parse("```python\nprint(").is_cut_off
    assert not parse("```python\nprint(1)").is_cut_off


def test_the_text_of_a_program_keeps_its_inner_blank_lines_and_spaces() -> None:
    code = "def f():\n\n\n    return '  a  '"
    assert parse(f"```python\n{code}\n```").code == code


@pytest.mark.parametrize(("begun", "rest"), [
    ("```python\nprint(6 *", " 7)\n```"),
    ("```python\nprint(6 *", "```python\nprint(6 * 7)\n```"),
    ("```python\nprint(6 *", "Here is the whole program:\n```python\nprint(6 * 7)\n```"),
])
def test_a_continuation_joins_or_replaces(begun: str, rest: str) -> None:
    assert parse(resumed(begun, rest)).code == "print(6 * 7)"


def test_a_continuation_in_a_separate_block_is_appended_to_the_beginning() -> None:
    begun, rest = "```python\nfor i in range(2):\n", "```python\n    print(i)\n```"
    assert parse(resumed(begun, rest)).code is not None
    assert "print(i)" in (parse(resumed(begun, rest)).code or "")


def test_no_text_breaks_the_parser() -> None:
    rng = random.Random(1)
    parts = ["```", "```python", "~~~", "\n", "   ", "- ", "print(1)", "\t", "</think>", "<think>", "`", '"""', "\r\n", "x = '", "ı",
             "\0", "def f():"]
    for _ in range(3000):
        text = "".join(rng.choice(parts) for _ in range(rng.randrange(30)))
        reply = parse(text)
        assert reply.code is None or reply.code.strip()
        normalised(reply.code or "")


def test_programs_that_differ_in_comments_and_spacing_are_the_same() -> None:
    assert normalised("print( 1 )  # one") == normalised("\n\nprint(1)")
    assert normalised("print(1)") != normalised("print(2)")
    assert normalised("print(1") == normalised("print(1\n")


AREA = "def area(r):\n    return math.pi * r"
FUNCTION, USE = "def double(x):\n    return 2 * x", "print(double(21))"


@pytest.mark.parametrize(("blocks", "expected"), [
    ((FUNCTION, USE), (FUNCTION, USE)),
    (("import math", FUNCTION, "print(math.pi, double(1))"), ("import math", FUNCTION, "print(math.pi, double(1))")),
    (("import math", AREA, "print(area(1))"), ("import math", AREA, "print(area(1))")),
    ((FUNCTION, "print('a first try')", USE), (FUNCTION, USE)),
    ((FUNCTION, f"{FUNCTION}\n{USE}"), (f"{FUNCTION}\n{USE}",)),
    ((USE, "print(1)"), ("print(1)",)),
    (("x = 1", "for x in range(3):\n    print(x)"), ("for x in range(3):\n    print(x)",))],
    ids=["a function and its use", "an import and a function", "what is needed in turn", "only what is needed", "a whole program",
         "a correction", "a name of its own"])
def test_blocks_that_belong_together_are_one_program(blocks: tuple[str, ...], expected: tuple[str, ...]) -> None:
    reply = parse("First.\n\n" + "\n\nThen:\n\n".join(f"```python\n{block}\n```" for block in blocks) + "\n\nLast.")
    assert reply.code == "\n\n".join(expected)
    assert reply.prose.startswith("First.")
    assert reply.prose.endswith("Last.")


@pytest.mark.parametrize("program", ["print('```')", "text = 'x'  # ```\nprint(text)"])
def test_a_fence_inside_a_line_of_code_does_not_close_the_block(program: str) -> None:
    assert parse(f"```python\n{program}\nprint(1)\n```").code == f"{program}\nprint(1)"
