"""Chat templates that know tools, each in the form of a real family and in its shortest version."""

from __future__ import annotations

IM = "{%- for m in messages -%}"
END = "{%- endfor -%}{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}"
TOOLS = ("{%- if tools -%}{{- '<|im_start|>system\\n<tools>\\n' -}}{%- for t in tools -%}{{- t | tojson + '\\n' -}}{%- endfor -%}"
         "{{- '</tools><|im_end|>\\n' -}}{%- endif -%}")
RESULT = "{%- if m.role == 'tool' -%}{{- '<|im_start|>user\\n<tool_response>\\n' + m.content + '\\n</tool_response><|im_end|>\\n' -}}"
OTHERS = "{%- else -%}{{- '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' -}}{%- endif -%}"


def chatml(calls: str, *, before: str = "") -> str:
    """`calls`: what is written for m.tool_calls, after the content."""
    return (TOOLS + IM + RESULT + "{%- elif m.tool_calls -%}{{- '<|im_start|>assistant\\n" + before + "' + m.content -}}" + calls
            + "{{- '<|im_end|>\\n' -}}" + OTHERS + END)


EACH = "{%- for c in m.tool_calls -%}"
NAMED = '{"name": "' + "' + c.function.name + '" + '", "arguments": ' + "' + c.function.arguments | tojson + '"
HERMES_CALL = "{{- '<tool_call>\\n" + NAMED + "}\\n</tool_call>' -}}"
# Qwen 2.5 and 3, Hermes 3, SmolLM 3, Ernie 4.5.
HERMES = chatml(EACH + "{%- if m.content or not loop.first -%}{{- '\\n' -}}{%- endif -%}" + HERMES_CALL + "{%- endfor -%}")
# Qwen 3 writes empty thoughts before the last answer, of which the prompt has none.
EMPTY = "<think>\\n\\n</think>\\n\\n"
HERMES_THINKING = HERMES.replace("'<|im_start|>assistant\\n' + m.content", f"'<|im_start|>assistant\\n{EMPTY}' + m.content").replace(
    "+ m.role + '\\n' + m.content", f"+ m.role + ('\\n{EMPTY}' if m.role == 'assistant' else '\\n') + m.content")
# Qwen 3 Coder.
XML = chatml(EACH + (
    "{{- '\\n<tool_call>\\n<function=' + c.function.name + '>\\n' -}}{%- for k, v in c.function.arguments.items() -%}"
    "{{- '<parameter=' + k + '>\\n' + (v if v is string else v | tojson) + '\\n</parameter>\\n' -}}{%- endfor -%}"
    "{{- '</function>\\n</tool_call>' -}}") + "{%- endfor -%}")
# Qwen 3.5 and 3.6.
XML_PYTHON = XML.replace("v | tojson", "(v | tojson if v is mapping else v | string)")
# Seed-OSS.
SEED = XML.replace("<tool_call>", "<seed:tool_call>").replace("</tool_call>", "</seed:tool_call>").replace(">\\n' + (v", ">' + (v").replace(
    "'\\n</parameter>", "'</parameter>")
# GLM 4.5.
GLM = chatml(EACH + (
    "{{- '\\n<tool_call>' + c.function.name + '\\n' -}}{%- for k, v in c.function.arguments.items() -%}"
    "{{- '<arg_key>' + k + '</arg_key>\\n<arg_value>' + (v if v is string else v | tojson) + '</arg_value>\\n' -}}{%- endfor -%}"
    "{{- '</tool_call>' -}}") + "{%- endfor -%}")
# GLM 4: the name, then the arguments.
NAME_FIRST = chatml("{%- set c = m.tool_calls[0] -%}{{- c.function.name + '\\n' + c.function.arguments | tojson -}}")
# MiniMax M2.
INVOKE = chatml("{{- '<minimax:tool_call>\\n' -}}" + EACH + (
    "{{- '<invoke name=\"' + c.function.name + '\">\\n' -}}{%- for k, v in c.function.arguments.items() -%}"
    "{{- '<parameter name=\"' + k + '\">' + (v if v is string else v | tojson) + '</parameter>\\n' -}}{%- endfor -%}"
    "{{- '</invoke>\\n' -}}") + "{%- endfor -%}{{- '</minimax:tool_call>' -}}")
# FunctionGemma.
GEMMA = chatml(EACH + (
    "{{- '<start_function_call>call:' + c.function.name + '{' -}}{%- for k, v in c.function.arguments.items() -%}"
    "{{- k + ':' + ('<escape>' + v + '<escape>' if v is string else v | tojson) + ('' if loop.last else ',') -}}{%- endfor -%}"
    "{{- '}<end_function_call>' -}}") + "{%- endfor -%}")
# Gemma 4.
GEMMA_4 = GEMMA.replace("<start_function_call>", "<|tool_call>").replace("<end_function_call>", "<tool_call|>").replace("<escape>", '<|"|>')
# Llama 3.1 to 3.3: one call, which is the whole answer.
LLAMA = chatml(
    "{%- if m.tool_calls | length != 1 -%}{{- raise_exception('only one call') -}}{%- endif -%}{%- set c = m.tool_calls[0].function -%}"
    "{{- '{\"name\": \"' + c.name + '\", \"parameters\": ' + c.arguments | tojson + '}' -}}").replace(
    "m.role == 'tool'", "m.role in ('tool', 'ipython')")
# Mistral: a list, with ids.
LIST_END = "{{- ', ' if not loop.last else '' -}}{%- endfor -%}"
CHECKED_ID = "{%- if c.id | length != 9 -%}{{- raise_exception('ids have nine characters') -}}{%- endif -%}"
MISTRAL = chatml("{{- '[TOOL_CALLS] [' -}}" + EACH + CHECKED_ID + (
    "{{- '" + NAMED + ', "id": "' + "' + c.id + '" + '"}\' -}}')
    + LIST_END + "{{- ']' -}}")
# Mistral Small 3.2, and after it.
MISTRAL_ID = chatml(EACH + CHECKED_ID + (
    "{{- '[TOOL_CALLS]' + c.function.name + '[CALL_ID]' + c.id + '[ARGS]' + c.function.arguments | tojson -}}") + "{%- endfor -%}")
MISTRAL_ARGS = chatml(EACH + "{{- '[TOOL_CALLS]' + c.function.name + '[ARGS]' + c.function.arguments | tojson -}}{%- endfor -%}")
# Phi-4-mini.
PHI = chatml("{{- '<|tool_call|>[' -}}" + EACH + (
    "{{- '" + NAMED + "}' -}}") + LIST_END + "{{- ']<|/tool_call|>' -}}")
# llama.cpp's of the same model: all as JSON, results too.
PHI_JSON = chatml(EACH + "{{- '<|tool_call|>' + c.function | tojson + '<|/tool_call|>' -}}{%- endfor -%}").replace(
    "\\n' + m.content + '\\n</tool_response>", "\\n' + m.content | tojson + '\\n</tool_response>")
# Granite 3 and Nemotron.
GRANITE, NEMOTRON = (PHI.replace("<|tool_call|>", start).replace("<|/tool_call|>", end)
                     for start, end in (("<|tool_call|>", ""), ("<TOOLCALL>", "</TOOLCALL>")))
# DeepSeek R1: arguments are text.
DEEPSEEK = chatml("{{- '<｜tool▁calls▁begin｜>' -}}" + EACH + (
    "{{- ('' if loop.first else '\\n') + '<｜tool▁call▁begin｜>function<｜tool▁sep｜>' + c.function.name -}}"
    "{{- '\\n```json\\n' + c.function.arguments + '\\n```<｜tool▁call▁end｜>' -}}") + "{%- endfor -%}{{- '<｜tool▁calls▁end｜>' -}}")
# DeepSeek V3.1.
DEEPSEEK_31 = chatml("{{- '<｜tool▁calls▁begin｜>' -}}" + EACH + (
    "{{- '<｜tool▁call▁begin｜>' + c.function.name + '<｜tool▁sep｜>' + c.function.arguments | tojson + '<｜tool▁call▁end｜>' -}}")
    + "{%- endfor -%}{{- '<｜tool▁calls▁end｜>' -}}")
# gpt-oss.
HARMONY = (
    "{%- for t in tools or [] -%}{{- '<|start|>developer<|message|>' + t | tojson + '<|end|>' -}}{%- endfor -%}" + IM +
    "{%- if m.role == 'tool' -%}{{- '<|start|>functions.' + m.name + ' to=assistant<|channel|>commentary<|message|>' -}}"
    "{{- m.content + '<|end|>' -}}"
    "{%- elif m.tool_calls -%}{%- set c = m.tool_calls[0].function -%}"
    "{{- '<|start|>assistant to=functions.' + c.name + '<|channel|>commentary json<|message|>' + c.arguments | tojson + '<|call|>' -}}"
    "{%- elif m.role == 'assistant' -%}"
    "{%- if m.thinking -%}{{- '<|start|>assistant<|channel|>analysis<|message|>' + m.thinking + '<|end|>' -}}{%- endif -%}"
    "{{- '<|start|>assistant<|channel|>final<|message|>' + m.content + '<|return|>' -}}"
    "{%- else -%}{{- '<|start|>' + m.role + '<|message|>' + m.content + '<|end|>' -}}{%- endif -%}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|start|>assistant' -}}{%- endif -%}")
# Kimi K2: the id of a call contains its name, which is not understood.
KIMI = chatml(EACH + "{{- '<|tool_call_begin|>' + c.id + '<|tool_call_argument_begin|>' + c.function.arguments | tojson -}}{%- endfor -%}")
# Tools without results, and none at all.
NO_RESULTS = HERMES.replace(" + m.content + '\\n</tool_response>", " + '</tool_response>")
NO_TOOLS = IM + "{{- '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' -}}" + END

NATIVE = {"hermes": HERMES, "hermes-thinking": HERMES_THINKING, "xml": XML, "xml-python": XML_PYTHON, "seed": SEED, "glm": GLM,
          "name-first": NAME_FIRST,
          "invoke": INVOKE, "gemma": GEMMA, "gemma-4": GEMMA_4, "llama": LLAMA, "mistral": MISTRAL, "mistral-id": MISTRAL_ID,
          "mistral-args": MISTRAL_ARGS, "phi": PHI, "phi-json": PHI_JSON, "granite": GRANITE, "nemotron": NEMOTRON, "deepseek": DEEPSEEK,
          "deepseek-3.1": DEEPSEEK_31, "harmony": HARMONY}
PLAIN = {"kimi": KIMI, "no-results": NO_RESULTS, "no-tools": NO_TOOLS}
# Control tokens of these families.
CONTROL = ("<tool_call>", "</tool_call>", "<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>", "<|tool_call>", "<tool_call|>", '<|"|>',
           "<start_function_call>", "<end_function_call>", "<escape>", "[TOOL_CALLS]", "[CALL_ID]", "[ARGS]", "<|tool_call|>",
           "<|/tool_call|>", "<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>", "<｜tool▁call▁begin｜>",
           "<｜tool▁call▁end｜>", "<｜tool▁sep｜>",
           "<|start|>", "<|end|>", "<|message|>", "<|channel|>", "<|constrain|>", "<|call|>", "<|return|>")
