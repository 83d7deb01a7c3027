"""No request that the API's own description allows, nor one that breaks it, causes an error of the server.

schemathesis and hypothesis are imported by the tests that use them: seconds, which every process that collects tests would spend.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from api import build_api
from engine import Engine, Settings
from tests.ui.scripted_engine import ScriptedEngine

# Embeddings answer 503 here, where there is no embedding model, and say why.
OPERATIONS = [(path, method) for path, methods in build_api(ScriptedEngine()).openapi()["paths"].items() for method in methods  # type: ignore[arg-type]
              if path != "/v1/embeddings"]


@pytest.fixture(scope="module")
def described(new_engine: Callable[..., Engine], settings: Settings, llama_folder: Path) -> Any:
    """A model with a window of 64 tokens, so that no reply is long."""
    import schemathesis

    api = build_api(new_engine(llama_folder, replace(settings, context_tokens=64, concurrent_replies=2)))
    schema = schemathesis.openapi.from_dict(without_unknown_fields(api.openapi()))
    schema.app = api
    return schema


def answerable(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Random roles rarely make a conversation."""
    before = [{**each, "role": "assistant", "content": str(each.get("content"))} for each in messages[:3]]
    return [*before, {"role": "user", "content": "Hi"}]


def without_unknown_fields(schema: Any) -> Any:
    """Nearly every request would be refused for a field that nobody knows, before the rest is looked at."""
    if isinstance(schema, list):
        return [without_unknown_fields(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {name: False if (name, value) == ("additionalProperties", True) else without_unknown_fields(value)
            for name, value in schema.items()}


@pytest.mark.parametrize("mode", ["positive", "negative"])
@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_no_request_causes_an_error_of_the_server(described: Any, path: str, method: str, mode: str) -> None:
    import hypothesis
    from schemathesis import Case, GenerationMode
    from schemathesis.checks import not_a_server_error

    @hypothesis.given(case=described[path][method].as_strategy(generation_mode=GenerationMode(mode)))
    @hypothesis.settings(max_examples=15 if method == "post" else 5, deadline=None, derandomize=True, database=None,
                         phases=[hypothesis.Phase.generate], suppress_health_check=list(hypothesis.HealthCheck))
    def send(case: Case) -> None:
        if isinstance(case.body, dict) and "model" in case.body:
            case.body["model"] = "default"      # any other name is refused before the rest is looked at
            if mode == "positive" and "messages" in case.body:
                case.body |= {"messages": answerable(case.body["messages"]), "generation_config": None, "continue_final_message": None}
        seen.append(case.call_and_validate(checks=[not_a_server_error]).status_code)

    seen: list[int] = []
    send()
    assert seen
