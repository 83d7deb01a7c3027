"""What tools cost a reply (docs/tools.md): the grammar of its calls, and a mask for each token of its text and of a call.

    python -m benchmarks.tool_masks
"""

from __future__ import annotations

import os
import statistics
import time
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

from engine import GenerationOptions, Tool
from engine.generation.call_grammar import answer_with_calls
from engine.generation.call_wording import PLAIN
from engine.generation.shape_masks import Shapes

SCHEMA = {"type": "object", "required": ["place"], "properties": {
    "place": {"type": "string", "description": "A town, and its country."}, "days": {"type": "integer", "minimum": 1, "maximum": 14},
    "unit": {"enum": ["celsius", "fahrenheit"]}, "details": {"type": "array", "items": {"enum": ["wind", "rain", "sun"]}}}}
TEXT = "I can tell you what the weather will be like in the next few days, if you tell me where you are going to be. " * 3
CALL = '<tool_call>\n{"name": "tool_0", "arguments": {"place": "Ankara, Türkiye", "days": 3, "details": ["wind", "rain"]}}\n</tool_call>'


def measure(shapes: Shapes, num_tools: int) -> str:
    tools = [Tool.of_schema(f"tool_{number}", "Says something.", SCHEMA) for number in range(num_tools)]
    started = time.perf_counter()
    answer = answer_with_calls(shapes, PLAIN, GenerationOptions(tools=tools), "")
    compiled_s = time.perf_counter() - started
    parts = []
    for text in (TEXT, CALL):
        seconds = []
        for token in shapes.encode(text):
            before = time.perf_counter()
            answer.add(token)
            answer.allowed(len(shapes.split(text)))
            seconds.append(time.perf_counter() - before)
        parts.append(f"{statistics.median(seconds) * 1e6:6.0f} {max(seconds) * 1e6:8.0f}")
    return f"{num_tools:5} tools {compiled_s * 1e3:8.0f} ms   text: {parts[0]} µs   call: {parts[1]} µs"


def main() -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(Path(__file__).parents[1] / "engine" / "models" / "builtin")
    shapes = Shapes(tokenizer, (tokenizer.eos_token_id,), len(tokenizer))
    measure(shapes, 2)          # the vocabulary is prepared once
    print(f"{len(tokenizer):,} tokens; to compile; a mask: median and longest")
    for num_tools in (1, 16, 128):
        print(measure(shapes, num_tools))


if __name__ == "__main__":
    main()
