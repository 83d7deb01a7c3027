"""Guesses what a table is for and which columns are which, from their names in three languages and from what is in them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

from ..formats.cells import Cell, Kind
from .plan import ROLES, Task
from .table import Table

SAMPLED_ROWS = 1000
MOST_CLASSES = 200
LONG_CHARS = 60             # mean of a column that is rather a text than a label
# Names that files use, best first: English, Turkish, Chinese. Compared without case, and with dots of i and other marks left out.
NAMES: Mapping[str, tuple[str, ...]] = {role: tuple(names.split()) for role, names in {
    "text": "text sentence sentence1 review premise question1 document article content comment tweet body message title input_text"
            " metin cümle yorum içerik mesaj belge 文本 句子 评论 内容 正文 文档",
    "second_text": "second_text text2 sentence2 hypothesis question2 text_pair metin2 ikinci_metin cümle2 文本2 句子2 假设",
    "label": "label labels class category target sentiment intent emotion topic y stars rating score acceptability"
             " etiket sınıf kategori duygu konu 标签 类别 分类 情感 类",
    "question": "question query instruction prompt user human input q soru istem talimat yönerge kullanıcı 问题 提问 指令 提示 用户",
    "context": "context passage paragraph document article bağlam paragraf metin 上下文 段落 文章 背景 原文",
    "answers": "answers answer answer_text text_answer cevaplar yanıtlar cevap yanıt 答案 回答",
    "answer_start": "answer_start start start_position başlangıç cevap_başlangıcı 答案起点 起始位置",
    "words": "tokens words token word kelimeler sözcükler kelime 词 词语 单词 字",
    "tags": "ner_tags tags labels pos_tags chunk_tags tag ner pos etiketler etiket 标签 标记",
    "messages": "messages conversations conversation dialog dialogue chat mesajlar konuşma sohbet 消息 对话 会话",
    "system": "system system_prompt sistem sistem_istemi 系统 系统提示",
    "input": "input context girdi ek_bilgi 输入",
    "answer": "answer response output completion reply assistant bot target cevap yanıt çıktı asistan 回答 答案 回复 输出 助手",
}.items()}


@dataclass(frozen=True, slots=True)
class _Profile:
    """What is in a column, of the sampled rows: shares of them, the mean length of texts, how many differ."""

    has_messages: bool
    lists: float
    objects: float
    empty: float
    chars: float
    values: int
    rows: int

    @property
    def is_label(self) -> bool:
        """Few short values that occur again and again."""
        return not self.lists and not self.objects and not self.has_messages and 2 <= self.values <= min(
            MOST_CLASSES, max(2, self.rows // 2)) and self.chars < LONG_CHARS and self.empty < 0.5


def guess_task(table: Table) -> Task:
    """The task whose columns the table most likely has; "text" if nothing else fits."""
    profiles = _profiles(table)
    if any(profile.has_messages for profile in profiles.values()):
        return "chat"
    named = {role: _named(role, profiles) for role in NAMES}
    if named["question"] and named["context"] and (named["answers"] or named["answer_start"]) and not _is_instruction(named["question"]):
        return "question-answering"
    lists = [name for name, profile in profiles.items() if profile.lists > 0.9 or name in (named["words"], named["tags"])]
    if named["tags"] and len(lists) > 1:
        return "token-classification"
    if named["question"] and named["answer"] and named["question"] != named["answer"] and not profiles[named["answer"]].is_label:
        return "chat"
    if any(profile.is_label for profile in profiles.values()) and len(profiles) > 1:
        return "text-classification"
    return "text"


def guess_columns(table: Table, task: Task) -> dict[str, str]:
    """A column for each of the task's roles that one was found for. No column has two roles."""
    profiles, found = _profiles(table), dict[str, str]()
    roles = [role.key for role in ROLES[task]]
    if task == "chat":
        chats = [name for name, profile in profiles.items() if profile.has_messages]
        if chats:
            return {"messages": chats[0]}
        roles.remove("messages")
    for role in sorted(roles, key=lambda role: role in ("second_text", "input", "system")):      # those that need not be there, last
        left = {name: profile for name, profile in profiles.items() if name not in found.values()}
        if role == "label":
            left = {name: profile for name, profile in left.items() if profile.is_label}
        if name := _named(role, left):
            found[role] = name
    return _completed(found, task, profiles)


def _completed(found: dict[str, str], task: Task, profiles: Mapping[str, _Profile]) -> dict[str, str]:
    """The roles whose columns have other names, by what is in the columns."""
    def rest() -> dict[str, _Profile]:
        return {name: profile for name, profile in profiles.items() if name not in found.values()}

    if task == "text-classification" and "label" not in found:
        labels = [name for name, profile in rest().items() if profile.is_label]
        if labels:
            found["label"] = min(labels, key=lambda name: (profiles[name].empty, profiles[name].values))
    if task in ("text-classification", "text") and "text" not in found:
        texts = [name for name, profile in rest().items() if not profile.lists and not profile.objects and profile.empty < 0.5]
        if texts:
            found["text"] = max(texts, key=lambda name: profiles[name].chars)
    if task == "token-classification" and {"words", "tags"} - set(found):
        lists = [name for name, profile in rest().items() if profile.lists > 0.5]
        for role in ("words", "tags"):
            if role not in found and lists:
                found[role] = lists.pop(0)
    if task == "chat" and not {"messages", "answer"} & set(found):
        texts = sorted((name for name in rest() if not profiles[name].lists), key=lambda name: profiles[name].chars)
        if texts and "question" in found:
            found["answer"] = texts[-1]
        elif len(texts) > 1:
            places = sorted(texts[-2:], key=list(profiles).index)
            found["question"], found["answer"] = places
    order = [role.key for role in ROLES[task]]
    return {role: found[role] for role in order if role in found}


def _is_instruction(name: str) -> bool:
    return _plain(name) in ("instruction", "prompt", "talimat", "istem", "指令", "提示")


def _named(role: str, columns: Mapping[str, _Profile]) -> str:
    """The column whose name stands for `role`: exactly, or as one word of it."""
    plain = {_plain(name): name for name in reversed([*columns])}
    known = [_plain(name) for name in NAMES[role]]
    exact = next((plain[name] for name in known if name in plain), "")
    return exact or next((plain[each] for name in known if len(name) > 3 for each in plain if name in each.split("_")), "")


def _plain(name: str) -> str:
    """"Sınıf Adı" and "SINIF_ADI" as "sinif_adi"."""
    marks_apart = unicodedata.normalize("NFKD", name.casefold().replace("ı", "i"))
    return re.sub(r"[\W_]+", "_", "".join(char for char in marks_apart if not unicodedata.combining(char))).strip("_")


def _profiles(table: Table) -> dict[str, _Profile]:
    rows = table.sample(table.columns, SAMPLED_ROWS)
    return {name: _profile([row[at] for row in rows]) for at, name in enumerate(table.columns)}


def _profile(cells: list[Cell]) -> _Profile:
    filled = [cell for cell in cells if cell.kind is not Kind.EMPTY]
    lists = [cell for cell in filled if cell.kind is Kind.LIST or (cell.text.startswith("[") and cell.text.endswith("]"))]
    total = max(1, len(cells))
    return _Profile(
        has_messages=bool(lists) and _is_chat(lists[0]), lists=len(lists) / total,
        objects=sum(cell.kind is Kind.OBJECT for cell in filled) / total, empty=1 - len(filled) / total,
        chars=sum(len(cell.text) for cell in filled) / max(1, len(filled)), values=len({cell.text.strip() for cell in filled}),
        rows=len(cells))


def _is_chat(cell: Cell) -> bool:
    messages = cell.value if cell.kind is Kind.LIST else None
    return isinstance(messages, list) and bool(messages) and isinstance(messages[0], dict) and bool(
        {"role", "from"} & set(messages[0])) and bool({"content", "value"} & set(messages[0]))
