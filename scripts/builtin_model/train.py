"""Trains the built-in model from scratch: python -m scripts.builtin_model.train --out engine/models/builtin

The model is a decoder of 4.3 M parameters with the Qwen3 architecture. A training row has several unrelated exchanges one after the
other, like a chat, and only the replies are part of the loss. Seeds are fixed. The optimizers are Muon for the matrices and AdamW for
the other weights; matrix multiplications are in bf16, weights in fp32. evaluate.py evaluates the result.
"""

from __future__ import annotations

import argparse
import math
import random
import re
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import torch
from torch.nn import functional
from transformers import GenerationConfig, PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from . import corpus, phrasing, tokenizer
from .corpus import Turn

VOCABULARY = 3072
WINDOW = 2048
TOKENS_PER_STEP = 5120
SHORT_ROW, LONG_ROW = 256, 2048
LONG_SHARE, LONG_EVERY = 0.1, 6     # one in six of the last steps has rows as long as the context window
# The first tokens of an answer decide its content. Early in training most answers are truncated, so that twice as many questions are
# seen in the same time; later most are complete. The first tokens of every reply have a higher weight in the loss.
CUT_EARLY, CUT_LATE, CUT_TOKENS = 0.8, 0.2, 12
EARLY_SHARE = 1 / 3
FIRST_TOKENS, FIRST_WEIGHT = 4, 3.0
Row = tuple[list[int], list[float]]
Batches = Iterator[tuple[torch.Tensor, torch.Tensor]]


def model_config(vocabulary: int) -> Qwen3Config:
    """Return the configuration. bitsandbytes' 4-bit blocks and paged attention need head size 64 and widths that are multiples of 64."""
    return Qwen3Config(
        vocab_size=vocabulary, hidden_size=256, num_hidden_layers=6, intermediate_size=512, num_attention_heads=4,
        num_key_value_heads=2, head_dim=64, tie_word_embeddings=True, max_position_embeddings=WINDOW,
        rope_theta=10_000.0, bos_token_id=None, eos_token_id=4, pad_token_id=0)


def vocabulary_texts() -> Iterator[str]:
    """Yield all fixed texts of the corpus, without the values of placeholders."""
    def plain(text: str) -> str:
        return re.sub(r"<\w+>", "1", text)

    for topic in corpus.load_topics():
        yield from [plain(topic.answer)] * 4
        for core in topic.ask:
            yield " " + plain(core)
            yield plain(core[:1].upper() + core[1:])
    for task in corpus.TASKS:
        yield from [plain(corpus.fenced(task.code.strip()))] * 8
        for phrases in (task.en, task.tr):
            for core in (*phrases.does, *phrases.do, *phrases.thing):
                yield " " + plain(core)
                yield plain(core[:1].upper() + core[1:])
    fixed = [*corpus.INTRO.values(), *corpus.FIXED.values(), *corpus.SYSTEM_PROMPTS]
    fixed += [text for reports in corpus.REPORTS.values() for text in reports]
    fixed += [part for shapes in phrasing.REQUESTS.values() for shape in shapes["train"] for part in shape[1:]]
    fixed += [part for forms in phrasing.QUESTIONS.values() for form in forms["train"] for part in form]
    for text in fixed:
        yield from (text, text[:1].upper() + text[1:], " " + text.strip())
    yield from ('Traceback (most recent call last):\n  File "program.py", line 1, in <module>\n    print(1)\n'
                "NameError: name 'x' is not defined. Did you mean: 'y'? SyntaxError: invalid syntax",) * 2


def encode(turn: Turn, tok: PreTrainedTokenizerFast) -> Row:
    """Return the token ids of an exchange and the weight of each in the loss, which is 0 for the prompt."""
    prompt = tok.apply_chat_template(corpus.messages(turn), add_generation_prompt=True, return_dict=True)["input_ids"]
    reply = tok(turn.reply + "<|end|>", add_special_tokens=False)["input_ids"]
    first = min(FIRST_TOKENS, len(reply))
    return prompt + reply, [0.0] * len(prompt) + [FIRST_WEIGHT] * first + [1.0] * (len(reply) - first)


def rows(tok: PreTrainedTokenizerFast, length: int, seed: int, cut_share: float) -> Iterator[Row]:
    """Yield rows of `length` tokens: sometimes a system prompt, then exchanges until the next one does not fit."""
    rng = random.Random(seed)
    ids: list[int] = []
    weights: list[float] = []
    for number, turn in enumerate(corpus.turns("train", seed)):
        turn_ids, turn_weights = encode(turn, tok)
        if turn.program is None and rng.random() < cut_share:
            kept = turn_weights.count(0.0) + CUT_TOKENS
            turn_ids, turn_weights = turn_ids[:kept], turn_weights[:kept]
        if len(turn_ids) > length - 16:
            continue
        if len(ids) + len(turn_ids) > length:
            padding = length - len(ids)
            yield ids + [0] * padding, weights + [0.0] * padding
            ids, weights = [], []
        if not ids and number % 4 == 0:
            system = corpus.SYSTEM_PROMPTS[number // 4 % len(corpus.SYSTEM_PROMPTS)]
            system_ids = tok.apply_chat_template([{"role": "system", "content": system}], return_dict=True)["input_ids"]
            if len(system_ids) + len(turn_ids) <= length:
                ids, weights = system_ids, [0.0] * len(system_ids)
        ids, weights = ids + turn_ids, weights + turn_weights


def batches(tok: PreTrainedTokenizerFast, length: int, seed: int, cut_share: float = CUT_LATE) -> Batches:
    """Yield token ids of shape (rows, length), and their weights in the loss, of the same shape."""
    stream = rows(tok, length, seed, cut_share)
    while chunk := list(islice(stream, max(1, round(TOKENS_PER_STEP / length)))):
        yield torch.tensor([ids for ids, _ in chunk]), torch.tensor([weights for _, weights in chunk])


def rate(step: int, steps: int) -> float:
    """Return the fraction of the peak learning rate: 2 % warm-up, constant until a third of the steps, then linear decay to zero."""
    warmup, level = max(1, steps // 50), steps // 3
    if step < warmup:
        return (step + 1) / warmup
    return 1.0 if step < level else max(0.0, (steps - step) / (steps - level))


def train(out: Path, steps: int, seed: int = 7, peak: float = 2e-2, adam_peak: float = 4e-3, *,
          resume: Path | None = None, first_step: int = 0) -> None:
    """Train, and save the model to `out` regularly and at the end. `resume`: weights to continue from, at `first_step`."""
    torch.manual_seed(seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    tok = tokenizer.build(vocabulary_texts(), VOCABULARY, WINDOW)
    model = Qwen3ForCausalLM(model_config(len(tok))).to(device)
    if resume is not None:
        tok = PreTrainedTokenizerFast.from_pretrained(resume)
        model.load_state_dict(Qwen3ForCausalLM.from_pretrained(resume, dtype=torch.float32).state_dict())
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters, vocabulary {len(tok)}, on {device}", flush=True)
    matrices = [p for p in model.model.layers.parameters() if p.ndim == 2]
    others = [p for p in model.parameters() if not any(p is m for m in matrices)]
    optimizers = [
        torch.optim.Muon(matrices, lr=peak, weight_decay=0.01, momentum=0.95),
        torch.optim.AdamW(others, lr=adam_peak, betas=(0.9, 0.95), weight_decay=0.0, fused=True),
    ]
    peaks = [peak, adam_peak]
    body = torch.compile(model.model, dynamic=False)
    early_until, long_from = int(steps * EARLY_SHARE), int(steps * (1 - LONG_SHARE))
    early, late, long = (batches(tok, SHORT_ROW, seed, CUT_EARLY), batches(tok, SHORT_ROW, seed + 1), batches(tok, LONG_ROW, seed + 2))
    started, seen, average = time.monotonic(), 0, math.nan
    for step in range(first_step, steps):
        ids, weights = (x.to(device) for x in next(_pick(step, early_until, long_from, early, late, long)))
        for optimizer, top in zip(optimizers, peaks, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = top * rate(step, steps)
        with torch.autocast(device, dtype=torch.bfloat16):
            hidden = body(input_ids=ids, use_cache=False).last_hidden_state
            targets = weights[:, 1:] > 0
            logits = model.lm_head(hidden[:, :-1][targets])
        losses = functional.cross_entropy(logits.float(), ids[:, 1:][targets], reduction="none")
        loss = (losses * weights[:, 1:][targets]).sum() / weights.sum()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        seen += ids.numel()
        average = loss.item() if math.isnan(average) else 0.98 * average + 0.02 * loss.item()
        if step % 25 == 0 or step == steps - 1:
            elapsed = time.monotonic() - started
            print(f"step {step}/{steps} loss {average:.4f} {seen / elapsed:,.0f} tok/s {elapsed / 60:.1f} min", flush=True)
        if step % 250 == 249 or step == steps - 1:
            save(model, tok, out)


def _pick(step: int, early_until: int, long_from: int, early: Batches, late: Batches, long: Batches) -> Batches:
    if step >= long_from and step % LONG_EVERY == 0:
        return long
    return early if step < early_until else late


def save(model: Qwen3ForCausalLM, tok: PreTrainedTokenizerFast, out: Path) -> None:
    copy = Qwen3ForCausalLM(model.config).to(torch.bfloat16)
    copy.load_state_dict({name: value.to(torch.bfloat16) for name, value in model.state_dict().items()})
    copy.generation_config = GenerationConfig(
        do_sample=False, max_new_tokens=512, eos_token_id=tok.eos_token_id, pad_token_id=tok.pad_token_id)
    copy.save_pretrained(out)
    tok.save_pretrained(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, default=Path("engine/models/builtin"))
    parser.add_argument("--steps", type=int, default=3520)
    parser.add_argument("--resume", type=Path, help="a folder written by an earlier run")
    parser.add_argument("--first-step", type=int, default=0)
    options = parser.parse_args()
    train(options.out, options.steps, resume=options.resume, first_step=options.first_step)


if __name__ == "__main__":
    main()
