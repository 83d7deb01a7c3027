import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from engine.errors import InvalidRequest
from engine.messages import GenerationOptions, Usage
from engine.pictures import from_base64, picture_of, to_base64
from engine.shapes import Shape
from engine.storage import imported_pictures
from engine.storage.formats import MAX_MESSAGES
from engine.storage.records import Attachment, Chat, ChatMessage, ChatSummary
from engine.storage.transfer import MAX_CHATS, MAX_IMPORT_CHARS, ImportedChat, read_chats, read_file, title_of, to_json, to_markdown

ASKED = ChatMessage("user", "Merhaba, 你好 👋", id=3, created=1_760_000_000.5, versions=(3, 5),
                    attachments=(Attachment("a.txt", "file\ntext", 4), Attachment("b.md", "")))
ANSWERED = ChatMessage(
    "assistant", "Hi.", id=4, parent=3, created=1_760_000_060.0, versions=(4,), state="stopped", thoughts="hmm", thought_s=1.5,
    thought_tokens=2, reason="stopped", error="", usage=Usage(10, 2, 3, 0.5, 20.0, 1, 7, 2, 0.1), notes=("one", "two"), model="owner/model",
    options=GenerationOptions(temperature=0.5, stop=("END",), seed=7, reasoning_effort="low", reasoning_budget=64,
                              shape=Shape.of_choices(["yes", "no"])),
    system_prompt="Be short.")
CHAT = Chat(ChatSummary("c", "Greetings", 1_760_000_000.0, 1_760_000_100.0), (ASKED, ANSWERED), "Be short.")
TURNS = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
PATH = (ChatMessage("user", "Hi"), ChatMessage("assistant", "Hello"))


def own(messages: Any, version: Any = 1) -> str:
    return json.dumps({"format": "mindcubes-chats", "version": version, "chats": [{"title": "t", "messages": messages}]})


def open_webui(nodes: Any, current: Any, title: Any = "Greeting") -> str:
    return json.dumps([{"id": "x", "title": title, "chat": {"title": title, "history": {"currentId": current, "messages": nodes}}}])


def chatgpt(mapping: Any, current: Any) -> str:
    return json.dumps([{"title": None, "mapping": mapping, "current_node": current}])


def node(parent: str | None, role: str, *parts: Any, **more: Any) -> dict[str, Any]:
    return {"parent": parent, "message": {"author": {"role": role}, "content": {"content_type": "text", "parts": list(parts)}, **more}}


def test_an_export_is_read_back_with_equal_paths() -> None:
    other = replace(CHAT, summary=replace(CHAT.summary, title="Second"), path=(ASKED,))
    read = read_chats(to_json([CHAT, other]))
    assert [chat.title for chat in read] == ["Greetings", "Second"]
    assert read[0].path == tuple(replace(message, id=0, parent=None, versions=()) for message in CHAT.path)
    assert read_chats(to_json([replace(CHAT, path=read[0].path)]))[0] == read[0]


def test_a_picture_is_exported_and_read_back() -> None:
    picture = picture_of(np.arange(192, dtype=np.uint8).reshape(8, 8, 3), "a.png")
    asked = replace(ASKED, attachments=(Attachment("a.png", "", 16, to_base64(picture)),))
    found = read_chats(to_json([replace(CHAT, path=(asked, ANSWERED))]))[0].path[0].attachments[0]
    assert (found.name, found.tokens) == ("a.png", 16)
    assert from_base64("a.png", found.picture).image().tobytes() == picture.image().tobytes()


@pytest.mark.parametrize("picture", ["no base64!", "aGVsbG8=", 7])
def test_what_is_no_picture_is_refused(picture: Any) -> None:
    attachment = {"name": "a.png", "text": "", "tokens": 0, "picture": picture}
    with pytest.raises(InvalidRequest, match="picture"):
        read_chats(own([{"role": "user", "text": "Hi", "attachments": [attachment]}]))


def test_the_markdown_has_names_dates_files_and_thoughts() -> None:
    assert to_markdown(CHAT) == (
        "# Greetings\n\n## User · 2025-10-09 08:53 UTC\n\nAttached: `a.txt`, `b.md`\n\nMerhaba, 你好 👋\n\n"
        "## Assistant · owner/model · 2025-10-09 08:54 UTC\n\n<details>\n<summary>Thoughts</summary>\n\nhmm\n\n</details>\n\nHi.\n")


def test_a_code_block_that_was_cut_off_is_closed_in_markdown() -> None:
    path = (ChatMessage("assistant", "```py\nx"), ChatMessage("assistant", "````\n```\n````\nend"), ChatMessage("user", "after"))
    assert to_markdown(replace(CHAT, path=path)).endswith("```py\nx\n```\n\n## Assistant\n\n````\n```\n````\nend\n\n## User\n\nafter\n")


@pytest.mark.parametrize("text", [
    json.dumps({"messages": TURNS}),
    json.dumps([{"messages": TURNS}]),
    json.dumps({"messages": TURNS}) + "\n\n",
    "\ufeff" + json.dumps({"messages": TURNS}, indent=2),
    json.dumps({"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}, TURNS[1]]}),
    json.dumps({"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}]}),
    open_webui({"a": {"id": "a", "parentId": None, "role": "user", "content": "Hi"},
                "b": {"parentId": "a", "role": "assistant", "content": "other version"},
                "c": {"parentId": "a", "role": "assistant", "content": "Hello"}}, "c", title=None),
    chatgpt({"root": {"parent": None, "message": None}, "s": node("root", "system", ""), "a": node("s", "user", "Hi", {"image": 1}),
             "b": node("a", "assistant", "search()", recipient="browser"), "t": node("b", "tool", "found"),
             "c": node("t", "assistant", "Hello"), "d": node("t", "assistant", "other version")}, "c"),
], ids=["messages", "list", "one line", "bom", "parts", "ShareGPT", "Open WebUI", "ChatGPT"])
def test_the_formats_of_other_programs_are_read(text: str) -> None:
    assert read_chats(text) == (ImportedChat("Hi", PATH),)


def test_json_lines_are_read_with_one_chat_each() -> None:
    lines = [json.dumps({"messages": TURNS, "title": title}) for title in "abc"]
    assert [chat.title for chat in read_chats("\n".join(lines))] == ["a", "b", "c"]


def test_times_and_models_of_other_programs_are_kept() -> None:
    read = read_chats(open_webui({"a": {"role": "assistant", "content": "x", "timestamp": 1_760_000_000, "model": "m"}}, "a"))
    assert read == (ImportedChat("Greeting", (ChatMessage("assistant", "x", created=1_760_000_000.0, model="m"),)),)


def test_system_messages_become_the_prompt_of_the_answers_after_them() -> None:
    turns = [*TURNS, {"role": "system", "content": "one"}, *TURNS, {"role": "developer", "content": "two"}, *TURNS]
    path = read_chats(json.dumps({"messages": turns}))[0].path
    assert [(message.role, message.system_prompt) for message in path] == [
        ("user", ""), ("assistant", ""), ("user", ""), ("assistant", "one"), ("user", ""), ("assistant", "two")]


def test_chats_without_messages_are_left_out() -> None:
    assert len(read_chats(json.dumps([{"messages": []}, {"messages": TURNS}]))) == 1


def test_lone_surrogates_are_not_imported() -> None:
    read = read_chats('{"title": "\\ud800", "messages": [{"role": "user", "content": "a\\ud83dz"}]}')
    assert (read[0].title + read[0].path[0].text).encode()


def test_a_tree_without_a_chosen_message_shows_its_last_one() -> None:
    assert read_chats(open_webui({"a": {"role": "user", "content": "Hi"}}, ["odd"]))[0].path == PATH[:1]


@pytest.mark.parametrize(("text", "named"), [
    ("", "line 1 of the import"),
    ("not json", "line 1 of the import"),
    ('{"messages": [}', "line 1 of the import"),
    ('{"messages": []}\n{"broken', "line 2 of the import"),
    ("[" * 100_000, "the import at line 1"),
    ('{"messages": ' + "9" * 5000 + "}", "the import at line 1"),
    ("null", "the import"), ("3", "the import"), ('"text"', "the import"), ("NaN", "the import"), ("{}", "chat 1"), ("[]", "the import"),
    ("[[]]", "chat 1"), ("[null]", "chat 1"),
    ('{"messages": {}}', "messages of chat 1"), ('{"messages": null}', "messages of chat 1"), ('{"messages": [[]]}', "message 1 of chat 1"),
    ('{"messages": [{}]}', "role of message 1 of chat 1"),
    ('{"messages": [{"role": "tool", "content": "x"}]}', "role of message 1 of chat 1"),
    ('{"messages": [{"role": [], "content": "x"}]}', "role of message 1 of chat 1"),
    ('{"messages": [{"role": "user", "content": null}]}', "content of message 1 of chat 1"),
    ('{"messages": [{"role": "user", "content": 1e400}]}', "content of message 1 of chat 1"),
    ('{"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}', "type of part 1 of message 1 of chat 1"),
    ('{"messages": [{"role": "user", "content": ["x"]}]}', "part 1 of message 1 of chat 1"),
    ('{"title": {}, "messages": [{"role": "user", "content": "x"}]}', "title of chat 1"),
    (json.dumps({"messages": [{"role": "user", "content": "x" * 2_000_001}]}), "content of message 1 of chat 1"),
    (json.dumps({"messages": TURNS * (MAX_MESSAGES // 2) + TURNS[:1]}), "chat 1"),
    (json.dumps([{}] * (MAX_CHATS + 1)), "the import"),
    ('"' + "x" * MAX_IMPORT_CHARS, "the import"),
    ('{"conversations": [{"from": "human"}]}', "value of turn 1 of chat 1"), ('{"conversations": [7]}', "turn 1 of chat 1"),
    ('{"chat": 1}', "chat of chat 1"), ('{"chat": {}}', "history of chat of chat 1"),
    (open_webui([], None), "messages of history of chat of chat 1"), (open_webui({}, None), "the import"),
    (open_webui({"a": 5}, "a"), "message 'a' of messages of history of chat of chat 1"),
    (open_webui({"a": {"parentId": "b"}, "b": {"parentId": "a"}}, "a"), "messages of history of chat of chat 1"),
    (open_webui({"a": {"role": 5, "content": "x"}}, "a"), "role of message 'a' of messages of history of chat of chat 1"),
    (open_webui({"a": {"role": "user", "content": 5}}, "a"), "content of message 'a' of messages of history of chat of chat 1"),
    (chatgpt([], None), "mapping of chat 1"), (chatgpt({"a": None}, "a"), "message 'a' of mapping of chat 1"),
    (chatgpt({"a": {"message": []}}, "a"), "message of message 'a' of mapping of chat 1"),
    (chatgpt({"a": {"message": {"author": "x", "content": {}}}}, "a"), "author of message of message 'a' of mapping of chat 1"),
    (chatgpt({"a": {"parent": "a", "message": None}}, "a"), "mapping of chat 1"),
    (own([], 2), "version of the import"), (own([], None), "version of the import"), (own([], [1]), "version of the import"),
    ('{"format": "mindcubes-chats", "version": 1}', "chats of the import"),
    (own(7), "messages of chat 1"), (own([7]), "message 1 of chat 1"),
    (own([{"role": "user"}]), "text of message 1 of chat 1"),
    *((own([{"role": "assistant", "text": "x", name: value}]), f"{where}{name} of message 1 of chat 1") for name, value, where in [
        ("state", "asleep", ""), ("state", {}, ""), ("thoughts", 5, ""), ("thought_s", "1", ""), ("thought_s", True, ""), ("model", [], ""),
        ("thought_s", float("nan"), ""), ("notes", "text", ""), ("usage", [], ""), ("usage", {}, "prompt_tokens of "),
        ("usage", {"prompt_tokens": 1.5}, "prompt_tokens of "), ("options", 5, ""), ("options", {"temperature": 99}, "temperature of "),
        ("options", {"temperature": 10**400}, "temperature of "), ("options", {"stop": "x"}, "stop of "),
        ("options", {"stop": ["x"] * 9}, "stop of "), ("options", {"top_k": 1.5}, "top_k of "), ("options", {"seed": -1}, "seed of "),
        ("options", {"temperature": None}, "temperature of "), ("options", {"reasoning_effort": "most"}, "reasoning_effort of "),
        ("options", {"reasoning_budget": 1.5}, "reasoning_budget of "), ("thought_tokens", 1.5, ""),
        ("attachments", {}, "")]),
    (own([{"role": "user", "text": "x", "notes": [1]}]), "note 1 of message 1 of chat 1"),
    (own([{"role": "user", "text": "x", "attachments": [{"name": "a"}]}]), "text of attachment 1 of message 1 of chat 1"),
    (own([{"role": "user", "text": "x", "attachments": [{"name": "a", "text": "", "tokens": 0.5}]}]),
     "tokens of attachment 1 of message 1 of chat 1"),
], ids=lambda value: value[:60])
def test_malformed_files_are_refused_by_name(text: str, named: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_chats(text)
    assert refused.value.name == named
    assert len(str(refused.value)) < 300


def test_file_names_in_an_import_lose_their_folders() -> None:
    text = own([{"role": "user", "text": "x", "attachments": [{"name": "../../a.txt", "text": "y"}]}])
    assert read_chats(text)[0].path[0].attachments == (Attachment("a.txt", "y"),)


@pytest.mark.parametrize(("text", "title"), [
    ("hello", "hello"), ("  \n\n", ""), ("", ""), ("👍", "👍"), ("---\n\nreal words", "real words"),
    ("```python\nprint(1)\n```", "print(1)"),
    ("# **Bold** and `code`:\nmore", "Bold and code:"), ("- [ ] buy milk", "buy milk"), ("3. third", "third"), ("> quoted", "quoted"),
    ("see [the page](https://example.com/a)", "see the page"), ("2 * 3 and snake_case", "2 * 3 and snake_case"),
    ("why is the sky blue, and why does it become red in the evening?", "why is the sky blue, and why does it become red in the"),
    ("x" * 99, "x" * 60), ("汉" * 99, "汉" * 60), ("a" * 60 + " b", "a" * 60), ("[" * 99_999, "[" * 60), ("*" * 99_999, "*" * 60),
], ids=lambda value: value[:20])
def test_a_title_is_the_first_words_without_marks(text: str, title: str) -> None:
    assert title_of(text) == title


def test_the_title_comes_from_the_first_question() -> None:
    turns = [{"role": "assistant", "content": "Welcome"}, {"role": "user", "content": "## What is\nthis?"}]
    assert read_chats(json.dumps({"messages": turns, "title": " "}))[0].title == "What is"


# --- what other programs write ---

def node(parent: str | None, role: str, content: object, **more: object) -> dict[str, object]:
    return {"parent": parent, "message": {"author": {"role": role}, "content": content, **more}}


def said(*parts: object) -> dict[str, object]:
    return {"content_type": "text", "parts": list(parts)}


HI, HELLO = node(None, "user", said("hi")), node("a", "assistant", said("hello"))


@pytest.mark.parametrize("odd", [5, None, [], {"title": "x", "mapping": None}, {"mapping": {"a": node(None, "user", said("q"))["message"]}},
                                 {"mapping": {"a": {"message": {"author": None, "content": said("q")}}}}, {"messages": [{"role": "tool"}]}])
def test_a_chat_that_cannot_be_read_is_named_and_the_others_are_imported(odd: object) -> None:
    (whole,) = json.loads(chatgpt({"a": HI, "b": HELLO}, "b"))
    found = read_file(json.dumps([whole, odd, whole]))
    assert len(found.chats) == 2
    assert all("chat 2" in reason for reason in found.skipped)


def lines(text: str) -> list[tuple[str, str, str]]:
    (chat,) = read_chats(text)
    return [(message.role, message.text, message.thoughts) for message in chat.path]


@pytest.mark.parametrize("hidden", [
    node(None, "user", said("a profile"), metadata={"is_visually_hidden_from_conversation": True}),
    node(None, "assistant", said("old"), weight=0.0),
    node(None, "assistant", None), node(None, "assistant", said({"content_type": "image_asset_pointer"}))],
    ids=["a profile", "replaced", "without content", "a picture"])
def test_messages_that_chatgpt_never_showed_are_left_out(hidden: dict[str, object]) -> None:
    nodes = {"x": hidden, "a": {**HI, "parent": "x"}, "b": HELLO}
    assert lines(chatgpt(nodes, "b")) == [("user", "hi", ""), ("assistant", "hello", "")]


def test_spoken_messages_are_read_from_their_transcript() -> None:
    spoken = {"content_type": "multimodal_text", "parts": [{"content_type": "audio_transcription", "text": "hi"},
                                                           {"content_type": "audio_asset_pointer"}]}
    assert lines(chatgpt({"a": node(None, "user", spoken), "b": HELLO}, "b")) == [("user", "hi", ""), ("assistant", "hello", "")]


def test_chatgpts_thoughts_belong_to_the_answer_after_them() -> None:
    thoughts = {"content_type": "thoughts", "thoughts": [{"summary": "s", "content": "first"}, {"summary": "t", "content": "second"}]}
    nodes = {"a": HI, "t": node("a", "assistant", thoughts), "b": {**HELLO, "parent": "t"}}
    assert lines(chatgpt(nodes, "b")) == [("user", "hi", ""), ("assistant", "hello", "first\n\nsecond")]


@pytest.mark.parametrize("answer", [
    "<think>\na < b\n</think>\n\nHello", "[THINK]a < b[/THINK]Hello",
    '<details type="reasoning" done="true" duration="5">\n<summary>Thought for 5 seconds</summary>\n&gt; a &lt; b\n</details>\nHello'],
    ids=["think", "mistral", "open webui"])
def test_marked_thoughts_in_an_answer_are_read_as_thoughts(answer: str) -> None:
    messages = [{"role": "user", "content": answer}, {"role": "assistant", "content": answer}]
    assert lines(json.dumps({"messages": messages})) == [("user", answer, ""), ("assistant", "Hello", "a < b")]


def test_damaged_pictures_of_open_webui_are_left_out() -> None:
    picture = [{"type": "text", "text": "what is this?"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}]
    nodes = {"a": {"role": "user", "content": picture}, "b": {"role": "assistant", "content": "a cat", "parentId": "a"}}
    assert lines(open_webui(nodes, "b")) == [("user", "what is this?", ""), ("assistant", "a cat", "")]


def data_url() -> str:
    return "data:image/png;base64," + to_base64(picture_of(np.arange(192, dtype=np.uint8).reshape(8, 8, 3)))


@pytest.mark.parametrize("place", ["part", "file"])
def test_pictures_of_open_webui_are_read(place: str) -> None:
    message = ({"role": "user", "content": [{"type": "image_url", "image_url": {"url": data_url()}}]} if place == "part" else
               {"role": "user", "content": "", "files": [{"type": "image", "url": data_url()}, {"type": "file", "name": "a.pdf"}]})
    asked = read_chats(open_webui({"a": message, "b": {"role": "assistant", "content": "a cat", "parentId": "a"}}, "b"))[0].path[0]
    assert [attachment.name for attachment in asked.attachments] == ["1.png"]
    assert from_base64("", asked.attachments[0].picture).width == 8


@pytest.mark.parametrize(("pictures", "pixels", "kept"), [(5, 10**9, 5), (200, 4 * 64, 4)], ids=["many", "large"])
def test_pictures_beyond_the_limit_of_a_file_are_left_out(pictures: int, pixels: int, kept: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imported_pictures, "MAX_IMPORTED", pictures)
    monkeypatch.setattr(imported_pictures, "MAX_IMPORTED_PIXELS", pixels)
    question = [{"type": "text", "text": "what is this?"}, {"type": "image_url", "image_url": {"url": data_url()}}]
    chats = [{"messages": [{"role": "user", "content": question}] * 4} for _ in range(2)]
    found = read_file(json.dumps(chats))
    assert (len(found.chats), found.left_out, found.skipped) == (2, 8 - kept, ())
    assert sum(len(message.attachments) for chat in found.chats for message in chat.path) == kept
    assert {message.text for chat in found.chats for message in chat.path} == {"what is this?"}


def test_pictures_in_openais_parts_are_read() -> None:
    parts = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": data_url()}}]
    asked = read_chats(json.dumps({"messages": [{"role": "user", "content": parts}]}))[0].path[0]
    assert (asked.text, len(asked.attachments)) == ("What is this?", 1)


@pytest.mark.parametrize("urls", [["https://example.org/a.png"], ["data:image/png;base64,AA"], [data_url()] * 9],
                         ids=["elsewhere", "damaged", "nine"])
def test_other_pictures_in_openais_parts_are_refused(urls: list[str]) -> None:
    parts = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    with pytest.raises(InvalidRequest):
        read_chats(json.dumps({"messages": [{"role": "user", "content": parts}]}))


def test_librechat_is_read_with_its_thoughts_and_its_last_branch() -> None:
    messages = [
        {"messageId": "a", "parentMessageId": "0000", "isCreatedByUser": True, "text": "hi"},
        {"messageId": "b", "parentMessageId": "a", "isCreatedByUser": False, "text": "an older answer"},
        {"messageId": "c", "parentMessageId": "a", "isCreatedByUser": False, "text": "",
         "content": [{"type": "think", "think": "hm"}, {"type": "text", "text": "hello"}, {"type": "tool_call", "tool_call": {}}]}]
    assert lines(json.dumps({"title": "A chat", "messages": messages})) == [("user", "hi", ""), ("assistant", "hello", "hm")]
