"""Chat templates that ask for thoughts as those of real families do, in their shortest form."""

TURNS = "{%- for m in messages -%}{{- '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>\\n' -}}{%- endfor -%}"
OPENS = "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}"

# Qwen3: thoughts of the last answer only; without thoughts, empty ones are written.
SWITCH = (
    "{%- for m in messages -%}{{- '<|im_start|>' + m['role'] + '\\n' -}}"
    "{%- if m.reasoning_content and loop.last -%}{{- '<think>\\n' + m.reasoning_content + '\\n</think>\\n\\n' -}}{%- endif -%}"
    "{{- m['content'] + '<|im_end|>\\n' -}}{%- endfor -%}" + OPENS +
    "{%- if enable_thinking is defined and enable_thinking is false -%}{{- '<think>\\n\\n</think>\\n\\n' -}}{%- endif -%}{%- endif -%}")
# Qwen3.5: the prompt opens the thoughts.
SWITCH_OPEN = TURNS + OPENS + (
    "{%- if enable_thinking is defined and not enable_thinking -%}{{- '<think>\\n\\n</think>\\n\\n' -}}"
    "{%- else -%}{{- '<think>\\n' -}}{%- endif -%}{%- endif -%}")
# DeepSeek V3.1: off unless asked for.
OFF_BY_DEFAULT = TURNS + OPENS + "{{- '<think>' if thinking is defined and thinking else '</think>' -}}{%- endif -%}"
# gpt-oss: prints the effort, and writes channels.
LEVELS = (
    "{{- '<|start|>system<|message|>Reasoning: ' + (reasoning_effort or 'medium') + '<|end|>' -}}{%- for m in messages -%}"
    "{%- if m.thinking and loop.last -%}{{- '<|start|>assistant<|channel|>analysis<|message|>' + m.thinking + '<|end|>' -}}{%- endif -%}"
    "{{- '<|start|>' + m['role'] + ('<|channel|>final' if m['role'] == 'assistant' else '') + '<|message|>' + m['content'] -}}"
    "{{- '<|return|>' if loop.last and m['role'] == 'assistant' else '<|end|>' -}}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|start|>assistant' -}}{%- endif -%}")
# Mistral Small 4: refuses other values.
CHECKED_LEVELS = (
    "{%- set effort = reasoning_effort or 'none' -%}"
    "{%- if effort not in ['none', 'high'] -%}{{- raise_exception('no such effort') -}}{%- endif -%}"
    "{{- '[SETTINGS]' + effort + '[/SETTINGS]' -}}{%- for m in messages -%}"
    "{{- '[THINK]' + m.reasoning_content + '[/THINK]' if m.reasoning_content else '' -}}{{- m['content'] -}}{%- endfor -%}")
# Hy3: ignores other values, and does not think then.
LISTED_LEVELS = TURNS + OPENS + (
    "{%- if reasoning_effort in ['low', 'high'] -%}{{- '<think>' + reasoning_effort -}}{%- else -%}{{- '<think></think>' -}}{%- endif -%}"
    "{%- endif -%}")
# Nemotron Nano 2: words in messages, which it removes.
WORDS = (
    "{%- set ns = namespace(thinks=true) -%}{%- for m in messages -%}"
    "{%- if '/think' in m['content'] -%}{%- set ns.thinks = true -%}"
    "{%- elif '/no_think' in m['content'] -%}{%- set ns.thinks = false -%}{%- endif -%}"
    "{{- '<|im_start|>' + m['role'] + '\\n' + m['content'].replace('/think', '').replace('/no_think', '').strip() + '<|im_end|>\\n' -}}"
    "{%- endfor -%}" + OPENS + "{{- '<think>\\n' if ns.thinks else '<think></think>' -}}{%- endif -%}")
# Seed-OSS: reads the budget.
BUDGET = (
    "{%- set budget = thinking_budget if thinking_budget is defined else -1 -%}{{- 'Budget: ' ~ budget + '\\n' if budget > 0 else '' -}}"
    + TURNS + OPENS + "{{- '<seed:think></seed:think>' if budget == 0 else '' -}}{%- endif -%}")
# DeepSeek R1: always.
ALWAYS = TURNS + OPENS + "{{- '<think>\\n' -}}{%- endif -%}"
# Templates that keep the thoughts of earlier turns.
KEEPS = (
    "{%- for m in messages -%}{{- '<|im_start|>' + m['role'] + '\\n' -}}"
    "{%- if m.reasoning_content -%}{{- '<think>\\n' + m.reasoning_content + '\\n</think>\\n\\n' -}}{%- endif -%}"
    "{{- m['content'] + '<|im_end|>\\n' -}}{%- endfor -%}" + OPENS + "{%- endif -%}")
KEEPS_OPEN = KEEPS.removesuffix("{%- endif -%}") + "{{- '<think>\\n' -}}{%- endif -%}"
# Gemma 4.
CHANNEL = (
    "{{- '<|turn>system\\n<|think|><turn|>\\n' if enable_thinking is defined and enable_thinking else '' -}}"
    "{%- for m in messages -%}{{- '<|turn>' + m['role'] + '\\n' -}}"
    "{%- if m.reasoning_content and loop.last -%}{{- '<|channel>thought\\n' + m.reasoning_content + '\\n<channel|>' -}}{%- endif -%}"
    "{{- m['content'] + '<turn|>\\n' -}}{%- endfor -%}{%- if add_generation_prompt -%}{{- '<|turn>model\\n' -}}{%- endif -%}")
