"""Clients of other projects, unmodified."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from huggingface_hub import AsyncInferenceClient, InferenceClient, constants

from tests import own_thread

ROOT = Path(__file__).parents[2]
QUESTION = [{"role": "user", "content": "What is quantization?"}]


@pytest.fixture
def online(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests are offline, in which mode this client sends nothing, not even to this machine."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)


@pytest.mark.usefixtures("online")
def test_the_client_of_the_hugging_face_hub(address: str) -> None:
    client = InferenceClient(base_url=address, api_key="none")
    whole = client.chat_completion(QUESTION, model="builtin", temperature=0, max_tokens=16, logprobs=True, top_logprobs=2, seed=1,
                                   stop=["zzz"])
    assert len(whole.choices[0].logprobs.content) == whole.usage.completion_tokens or whole.choices[0].finish_reason == "stop"
    stream = client.chat.completions.create(QUESTION, model="builtin", temperature=0, max_tokens=16, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == whole.choices[0].message.content

    async def ask() -> str:
        client = AsyncInferenceClient(base_url=f"{address}/v1")
        stream = await client.chat_completion(QUESTION, model="builtin", temperature=0, max_tokens=16, stream=True)
        return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    assert own_thread.run(ask()) == whole.choices[0].message.content


@pytest.mark.usefixtures("online")
def test_the_chat_of_transformers(address: str) -> None:
    command = [str(Path(sys.executable).parent / "transformers"), "chat", "builtin", address, "max_new_tokens=200", "do_sample=False"]
    shown = subprocess.run(command, input="What is quantization?\n!exit\n", capture_output=True, text=True, timeout=120,
                           env={**os.environ, "HF_HUB_OFFLINE": "0"})
    assert shown.returncode == 0, shown.stderr[-2000:]
    whole = InferenceClient(base_url=address).chat_completion(QUESTION, model="builtin", temperature=0, max_tokens=200)
    words = whole.choices[0].message.content.split()
    assert " ".join(words[:4]) in " ".join(shown.stdout.split())


def test_litellm(address: str) -> None:
    litellm = pytest.importorskip("litellm")        # needs an older dateutil than others here: requirements-dev.txt
    given = {"model": "openai/builtin", "api_base": f"{address}/v1", "api_key": "none", "messages": QUESTION, "temperature": 0,
             "max_tokens": 16}
    whole = litellm.completion(**given)
    stream = litellm.completion(stream=True, stream_options={"include_usage": True}, **given)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices) == whole.choices[0].message.content


@pytest.mark.usefixtures("online")
@pytest.mark.parametrize("example", re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "api.md").read_text("utf-8"), re.DOTALL))
def test_the_examples_of_the_documentation_run(address: str, example: str, capsys: pytest.CaptureFixture[str]) -> None:
    if "import litellm" in example:
        pytest.importorskip("litellm")
    program = compile(example.replace("http://127.0.0.1:7860", address), "docs/api.md", "exec")
    own_thread.in_thread(lambda: exec(program, {"__name__": "example"}))
    assert capsys.readouterr().out.strip()
