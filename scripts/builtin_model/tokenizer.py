"""The tokenizer of the built-in model: byte-level BPE with one token for each frequent word; other words are spelled in letters.

The vocabulary consists of the 256 bytes, the frequent words of the corpus, and the Turkish letters of two bytes, which are the only
merges. There are no tokens for parts of words (`ignore_merges`). A name or rare word in a request is therefore made of the same tokens
wherever it occurs, so the model can copy it exactly. Each digit is a token.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers
from tokenizers.pre_tokenizers import ByteLevel
from transformers import PreTrainedTokenizerFast

# Line breaks with the indentation that follows, words, single digits, operators, other single characters (with a leading space).
PATTERN = r"\n[ ]*| ?\p{L}+|\p{N}| ?(?:```|==|!=|<=|>=|\+=|-=|\*=|//|\*\*|[^\s\p{L}\p{N}])|\s"
SPECIAL = ("<|pad|>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>")
CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{{- '<|' + message['role'] + '|>' + message['content'] | trim + '<|end|>' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|assistant|>' -}}{%- endif -%}"
)
TURKISH_LETTERS = "çğıöşüÇĞİÖŞÜâî"


def pre_tokenizer() -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(PATTERN), behavior="isolated"),
        ByteLevel(add_prefix_space=False, use_regex=False),
    ])


def build(texts: Iterable[str], size: int, window: int) -> PreTrainedTokenizerFast:
    """Build a tokenizer whose vocabulary of `size` entries comes from `texts`, which must not contain the values of placeholders."""
    split = pre_tokenizer()
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(piece for piece, _ in split.pre_tokenize_str(text))
    vocabulary: dict[str, int] = {token: i for i, token in enumerate(SPECIAL)}
    for letter in sorted(ByteLevel.alphabet()):
        vocabulary.setdefault(letter, len(vocabulary))
    merges = []
    for letter in TURKISH_LETTERS:
        first, second = ("".join(piece) for piece in split.pre_tokenize_str(letter)[0][0])
        merges.append((first, second))
        vocabulary.setdefault(first + second, len(vocabulary))
    for piece, count in counts.most_common():
        if len(vocabulary) == size:
            break
        if count >= 2:
            vocabulary.setdefault(piece, len(vocabulary))
    core = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, ignore_merges=True))
    core.pre_tokenizer = split
    core.decoder = decoders.ByteLevel()
    core.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL])
    return PreTrainedTokenizerFast(
        tokenizer_object=core, pad_token="<|pad|>", eos_token="<|end|>", chat_template=CHAT_TEMPLATE,
        model_max_length=window, clean_up_tokenization_spaces=False)
