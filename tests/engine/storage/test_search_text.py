"""How a question becomes words: common ones left out, Turkish by stems, Chinese by pairs of characters."""

from __future__ import annotations

import pytest

from engine.storage.search_text import any_of, question_words, share_of_words


@pytest.mark.parametrize(("question", "words"), [
    ("What is the weight limit of hand luggage?", ["weight", "limit", "hand", "luggage"]),
    ("Where is it?", ["where", "is", "it"]),                    # nothing else is left
    ("IŞIKLARI açılır mı?", ["isiklari", "acilir"]),
    ("Kütüphane ne zaman açık?", ["kutuphane", "zaman", "acik"]),
    ("水位多高时会报警？", ["水位", "位多", "多高", "高时", "时会", "会报", "报警"]),
    ("手机的密码", ["手机", "密码"]),
    ("E17是什么错误", ["e17", "错误"]),
    ("?!", []),
])
def test_the_words_of_a_question(question: str, words: list[str]) -> None:
    assert question_words(question) == words


def test_a_question_is_any_of_its_words_or_beginnings() -> None:
    assert any_of(question_words("kitaplarda 密码")) == '"kitaplarda" OR "kitap"* OR "密 码"'
    assert any_of(question_words('" OR *')) == '"or"'
    assert any_of([]) == ""


def test_the_share_of_words_counts_beginnings() -> None:
    assert share_of_words("Kitapların hepsi burada", ["kitaplarda", "raflar"]) == 0.5
    assert share_of_words("忘记密码怎么办", ["密码", "手机"]) == 0.5
    assert share_of_words("anything", []) == 0.0
