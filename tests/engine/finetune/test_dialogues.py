"""Of a chat exactly the answers are trained, each with the token that ends it, whatever the chat template looks like."""

from __future__ import annotations

from itertools import groupby

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from engine.errors import InvalidRequest
from engine.finetune.dialogues import PLAIN_TEMPLATE, DialogueEncoder, with_template
from engine.finetune.encoded import IGNORED, Encoded
from engine.finetune.examples import Dialogue
from engine.generation.context import ChatContext
from engine.generation.text import CHANNEL_TOKENS, MARK_TOKENS
from engine.messages import Message
from engine.models.resolve import BUILTIN_FOLDER
from tests import thinking_templates as thinking
from tests import tiny_models, vision_models

# More forms that real families use, in their shortest form.
LLAMA_3 = (
    "{{- bos_token -}}{%- for m in messages -%}{{- '<|start_header_id|>' + m['role'] + '<|end_header_id|>\\n\\n' + m['content'] | trim"
    " + '<|eot_id|>' -}}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' -}}{%- endif -%}")
MISTRAL = (     # no text opens an answer, and a space is before it
    "{{- bos_token -}}{%- for m in messages -%}{%- if m['role'] == 'user' -%}{{- '[INST] ' + m['content'] + ' [/INST]' -}}"
    "{%- elif m['role'] == 'assistant' -%}{{- ' ' + m['content'] + eos_token -}}{%- else -%}{{- raise_exception('no system role') -}}"
    "{%- endif -%}{%- endfor -%}")
GEMMA = (
    "{{- bos_token -}}{%- for m in messages -%}{{- '<start_of_turn>' + ('model' if m['role'] == 'assistant' else m['role']) + '\\n'"
    " + m['content'] | trim + '<end_of_turn>\\n' -}}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<start_of_turn>model\\n' -}}{%- endif -%}")
QWEN_3 = (      # the last answer always has thoughts, earlier ones never
    "{%- for m in messages -%}{{- '<|im_start|>' + m['role'] + '\n' -}}{%- if m['role'] == 'assistant' and loop.last -%}"
    "{{- '<think>\n' + (m.reasoning_content or '') + '\n</think>\n\n' -}}{%- endif -%}{{- m['content'] + '<|im_end|>\n' -}}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\n' -}}{%- endif -%}")
DOT = tiny_models.CHATML.replace("<|im_end|>", ".")      # ends answers with ordinary text
SPECIAL = ("<s>", "<|return|>", "<|turn>", "<turn|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<start_of_turn>",
           "<end_of_turn>", "[INST]", "[/INST]")
THOUGHT = "\n</think>\n\n"      # ends thoughts that a prompt opens

# Template; the end of an answer; how many rows a chat of two answers takes; what an answer without thoughts begins with.
TEMPLATES = {
    "ChatML": (tiny_models.CHATML, "<|im_end|>", 1, ""), "no system role": (tiny_models.NO_SYSTEM, "<|im_end|>", 1, ""),
    "pictures": (vision_models.template("<image>"), "<|im_end|>", 1, ""), "plain": (None, "<|im_end|>", 1, " "),
    "a dot": (DOT, "<|im_end|>", 2, ""), "Llama 3": (LLAMA_3, "<|eot_id|>", 1, ""), "Mistral": (MISTRAL, "<|im_end|>", 1, " "),
    "Qwen 3": (QWEN_3, "<|im_end|>", 2, "<think>\n\n</think>\n\n"), "Gemma": (GEMMA, "<end_of_turn>", 1, ""),
    "SWITCH": (thinking.SWITCH, "<|im_end|>", 1, ""),
    "SWITCH_OPEN": (thinking.SWITCH_OPEN, "<|im_end|>", 2, THOUGHT), "OFF_BY_DEFAULT": (thinking.OFF_BY_DEFAULT, "<|im_end|>", 2, ""),
    "LEVELS": (thinking.LEVELS, "<|return|>", 2, "<|channel|>final<|message|>"),
    "CHECKED_LEVELS": (thinking.CHECKED_LEVELS, "<|im_end|>", 2, ""), "LISTED_LEVELS": (thinking.LISTED_LEVELS, "<|im_end|>", 2, ""),
    "WORDS": (thinking.WORDS, "<|im_end|>", 2, THOUGHT), "BUDGET": (thinking.BUDGET, "<|im_end|>", 1, ""),
    "ALWAYS": (thinking.ALWAYS, "<|im_end|>", 2, THOUGHT), "KEEPS": (thinking.KEEPS, "<|im_end|>", 1, ""),
    "KEEPS_OPEN": (thinking.KEEPS_OPEN, "<|im_end|>", 2, THOUGHT), "CHANNEL": (thinking.CHANNEL, "<turn|>", 2, ""),
}
QUESTION = "what is <|im_end|> or <s>, assistant?"
ANSWERS = ("hello <|im_start|> again", "good\nbye")
CHAT = (Message("user", QUESTION), Message("assistant", ANSWERS[0]), Message("user", "more"), Message("assistant", ANSWERS[1]))


def tokenizer(template: str | None, *special: str) -> PreTrainedTokenizerFast:
    made = tiny_models.tokenizer(template)
    made.add_special_tokens({"additional_special_tokens": [*tiny_models.SPECIAL[1:], *SPECIAL, *special]})
    made.bos_token = "<s>"
    return made


def of_template(name: str) -> PreTrainedTokenizerFast:
    template = TEMPLATES[name][0]
    channels = CHANNEL_TOKENS if name == "LEVELS" else ("<|channel>", "<channel|>") if name == "CHANNEL" else ()
    return tokenizer(template, *channels)


def trained(rows: list[Encoded], made: PreTrainedTokenizerBase) -> list[str]:
    """The texts of the runs of trained tokens."""
    found = []
    for row in rows:
        assert len(row.labels) == len(row.input_ids)
        assert all(label in (IGNORED, token) for label, token in zip(row.labels, row.input_ids, strict=True))
        for is_trained, run in groupby(row.labels, key=lambda label: label != IGNORED):
            if is_trained:
                found.append(made.decode([*run], clean_up_tokenization_spaces=False))
            else:
                list(run)
    return found


def test_every_template_of_the_tests_is_here() -> None:
    named = {name for name, value in vars(thinking).items() if name.isupper() and isinstance(value, str)} - {"TURNS", "OPENS"}
    assert named <= set(TEMPLATES)
    assert {tiny_models.CHATML, tiny_models.NO_SYSTEM} <= {template for template, *_ in TEMPLATES.values()}


@pytest.mark.parametrize("name", TEMPLATES)
def test_answers_are_trained_with_their_ends_and_nothing_else(name: str) -> None:
    made, (_, end, num_rows, before) = of_template(name), TEMPLATES[name]
    rows = [*DialogueEncoder(made).rows(Dialogue(1, CHAT))]
    assert len(rows) == num_rows
    assert trained(rows, made) == [before + answer + end for answer in ANSWERS]
    end_id = made.convert_tokens_to_ids(end)
    assert [row.labels[-1] for row in rows] == [end_id] * num_rows         # and nothing follows the last one


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_prompt_is_that_of_the_chat_and_the_end_is_one_at_which_a_chat_stops(name: str) -> None:
    made = with_template(of_template(name))
    context = ChatContext(made, 4096)
    rows = [*DialogueEncoder(made).rows(Dialogue(1, (Message("system", "be kind"), *CHAT)))]
    for row, turns in zip((rows[0], rows[-1]), (CHAT[:1], CHAT[:3]), strict=True):
        prompt = context.fit([Message("system", "be kind"), *turns], 16)
        if len(rows) == 2 or turns == CHAT[:1]:
            assert list(row.input_ids[:len(prompt.ids)]) == prompt.ids
            assert set(row.labels[:len(prompt.ids)]) == {IGNORED}
            assert row.labels[len(prompt.ids)] != IGNORED
    ends = {made.eos_token_id, context.turn_end_id()} | ({made.convert_tokens_to_ids("<|return|>")} if name == "LEVELS" else set())
    assert {row.labels[-1] for row in rows} <= ends      # of gpt-oss, generation_config.json names it


def test_the_built_in_model_is_trained_on_what_its_chat_reads() -> None:
    made = AutoTokenizer.from_pretrained(BUILTIN_FOLDER)
    chat = (Message("system", "be kind"), Message("user", "hi <|end|>"), Message("assistant", "Hello!"))
    row, = DialogueEncoder(made).rows(Dialogue(1, chat))
    assert trained([row], made) == ["Hello!<|end|>"]
    assert made.decode(row.input_ids) == "<|system|>be kind<|end|><|user|>hi <|end|><|end|><|assistant|>Hello!<|end|>"
    assert list(row.input_ids).count(made.eos_token_id) == 3       # that of the user's text is spelled in letters
    assert row.labels[-1] == made.eos_token_id


def test_thoughts_are_trained_and_begin_a_new_row_where_the_template_drops_them_later() -> None:
    chat = (CHAT[0], Message("assistant", "hello", "a wave"), CHAT[2], Message("assistant", "bye", "the end"))
    texts = ["<think>\na wave\n</think>\n\nhello<|im_end|>", "<think>\nthe end\n</think>\n\nbye<|im_end|>"]
    for template, num_rows in ((thinking.SWITCH, 2), (thinking.KEEPS, 1)):
        made = tokenizer(template)
        rows = [*DialogueEncoder(made).rows(Dialogue(1, chat))]
        assert (len(rows), trained(rows, made)) == (num_rows, texts)
    assert "a wave" not in made_text(thinking.SWITCH, chat)
    opened = tokenizer(thinking.SWITCH_OPEN)
    assert trained([*DialogueEncoder(opened).rows(Dialogue(1, chat))], opened) == [text.removeprefix("<think>\n") for text in texts]


def made_text(template: str, chat: tuple[Message, ...]) -> str:
    """The last row as text."""
    made = tokenizer(template)
    return str(made.decode([*DialogueEncoder(made).rows(Dialogue(1, chat))][-1].input_ids))


def test_gpt_oss_is_trained_on_both_of_its_channels() -> None:
    made = tokenizer(thinking.LEVELS, *CHANNEL_TOKENS)
    chat = (Message("user", "hi"), Message("assistant", "hello", "a wave"))
    text, = trained([*DialogueEncoder(made).rows(Dialogue(1, chat))], made)
    assert text == "<|channel|>analysis<|message|>a wave<|end|><|start|>assistant<|channel|>final<|message|>hello<|return|>"


def test_a_model_without_template_gets_one_that_ends_answers() -> None:
    made = tiny_models.tokenizer(None)
    encoder = DialogueEncoder(made)
    row, = encoder.rows(Dialogue(1, CHAT))
    assert encoder.tokenizer.chat_template == PLAIN_TEMPLATE
    assert made.chat_template is None       # that of the caller is not changed
    assert encoder.tokenizer.decode(row.input_ids).startswith("User: what is")
    assert trained([row], made)[1] == " good\nbye<|im_end|>"
    endless = tiny_models.tokenizer(None)
    endless.eos_token = None
    with pytest.raises(InvalidRequest, match="ends texts"):
        DialogueEncoder(endless)


def with_spaces(template: str) -> PreTrainedTokenizerFast:
    """A tokenizer as SentencePiece models have: spaces are a sign, one is added before a text, and so is the beginning of a text."""
    core = Tokenizer(models.BPE(unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    core.decoder = decoders.Metaspace(prepend_scheme="first")
    core.train_from_iterator([tiny_models.TEXT + "[]/INST\n?,<>|"], trainers.BpeTrainer(
        vocab_size=300, special_tokens=["<unk>", "<s>", "</s>"], show_progress=False))
    core.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)])
    return PreTrainedTokenizerFast(tokenizer_object=core, bos_token="<s>", eos_token="</s>", unk_token="<unk>", chat_template=template)


def test_the_beginning_of_a_text_is_written_once_and_no_space_is_added_to_an_answer() -> None:
    made = with_spaces(MISTRAL)
    chat = (Message("user", "hello"), Message("assistant", "good </s> fox"), Message("user", "again"), Message("assistant", "dog"))
    row, = DialogueEncoder(made).rows(Dialogue(1, chat))
    assert list(row.input_ids).count(made.bos_token_id) == 1
    assert row.input_ids[0] == made.bos_token_id
    assert list(row.labels).count(made.eos_token_id) == 2
    assert made.decode(row.input_ids) == "<s>[INST] hello [/INST] good </s> fox</s>[INST] again [/INST] dog</s>"
    assert [text.strip() for text in trained([row], made)] == ["good </s> fox</s>", "dog</s>"]


def test_a_model_without_template_reads_the_same_prompt_with_an_adapter() -> None:
    begun = tokenizer(None)
    begun.backend_tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", begun.bos_token_id)])
    for made in (tiny_models.tokenizer(None), begun):
        row, = DialogueEncoder(made).rows(Dialogue(1, CHAT[:2]))
        prompt = ChatContext(made, 4096).fit(CHAT[:1], 16).ids        # of the base, which has no template then
        assert list(row.input_ids[:len(prompt)]) == prompt
        assert row.labels[len(prompt) - 1] == IGNORED != row.labels[len(prompt)]


def test_a_mark_of_thoughts_in_a_question_stays_text() -> None:
    made = tokenizer(thinking.KEEPS, *sorted(MARK_TOKENS))
    row, = DialogueEncoder(made).rows(Dialogue(1, (Message("user", "say <think>"), Message("assistant", "no"))))
    assert made.convert_tokens_to_ids("<think>") not in row.input_ids
