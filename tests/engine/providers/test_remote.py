"""A model on another server as a program's provider."""

from engine import AgentOptions, CodeAgent, Finished, GenerationOptions, Message, RemoteProvider, TextDelta
from tests.openai_standin import reply, serve


def test_a_program_chats_without_an_engine() -> None:
    with serve() as standin, RemoteProvider(standin.address, "tiny") as provider:
        events = list(provider.chat([Message("user", "Hello")], GenerationOptions()))
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == "Hello there"
    assert isinstance(events[-1], Finished)
    assert provider.name == "tiny"


def test_the_code_agent_works_with_it() -> None:
    with serve() as standin, RemoteProvider(standin.address, "tiny") as provider:
        standin.answer = lambda body: reply("Here it is:\n\n```python\nprint(6 * 7)\n```\n")
        with CodeAgent(provider, options=AgentOptions()) as agent:
            last = list(agent.stream("Print the answer"))[-1]
    assert "42" in str(last)
