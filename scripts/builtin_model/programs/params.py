"""Samplers for the values in requests: whole numbers, lists of them, words, names, sentences."""

from __future__ import annotations

import random

from .task import Sampler

VOWELS, CONSONANTS = "aeiou", "bcdfghjklmnprstvyz"
REAL_WORDS = (
    "apple banana orange cherry lemon grape melon peach python computer keyboard window garden river mountain ocean "
    "forest summer winter spring autumn coffee teapot bottle paper pencil school teacher student doctor engineer music "
    "guitar piano violin dancer planet galaxy comet rocket station island desert castle bridge village market kitchen "
    "butter cheese sugar pepper tomato potato carrot onion garlic pizza burger noodle level radar civic rotor kayak "
    "noon refer madam racecar tiger monkey zebra camel rabbit turtle dolphin eagle falcon spider yellow purple silver "
    "golden bright happy quiet strong gentle clever listen silent elbow below study dusty night thing hello world"
).split()
TURKISH_WORDS = (
    "elma armut kiraz karpuz kavun limon masa sandalye pencere kalem defter kitap okul bahar deniz orman araba tren "
    "uçak gemi ekmek peynir zeytin çay kahve şeker tuz biber domates patates soğan kedi köpek kuş balık aslan kaplan "
    "kartal ev kapı bahçe çiçek güneş yıldız bulut yağmur kar rüzgar dağ nehir göl şehir köy sokak merhaba dünya"
).split()
NAMES = (
    "Ali Ayşe Mehmet Fatma Zeynep Emre Elif Can Deniz Mert Ece Burak Selin Cem Leyla Kerem Defne Ömer Aslı Hakan "
    "Anna Maria John Sarah Peter Laura David Emma Lucas Sofia Omar Fatima Wei Mei Yuki Ravi Priya Ivan Olga Kwame "
    "Ada Alan Grace Linus Guido Noah Olivia Liam Mia Nina Hugo Clara Felix Iris Oscar Ruth Simon Vera Tom Kate"
).split()


def integer(low: int, high: int) -> Sampler:
    return lambda rng: str(rng.randint(low, high))


def choice(*values: str) -> Sampler:
    return lambda rng: rng.choice(values)


def numbers(count_low: int = 4, count_high: int = 7, low: int = 1, high: int = 99) -> Sampler:
    """Return a sampler of lists such as ``3, 17, 8``, without brackets."""
    return lambda rng: ", ".join(str(rng.randint(low, high)) for _ in range(rng.randint(count_low, count_high)))


def invented_word(rng: random.Random) -> str:
    syllables = (rng.choice(CONSONANTS) + rng.choice(VOWELS) + rng.choice(("", "", rng.choice(CONSONANTS)))
                 for _ in range(rng.randint(2, 4)))
    return "".join(syllables)[:9]


def word(rng: random.Random) -> str:
    """Return a lower-case word: a real one, or an invented one, with which the model learns to copy words instead of knowing them."""
    kind = rng.random()
    if kind < 0.35:
        return rng.choice(REAL_WORDS)
    return rng.choice(TURKISH_WORDS) if kind < 0.45 else invented_word(rng)


def palindrome_or_word(rng: random.Random) -> str:
    if rng.random() < 0.5:
        return word(rng)
    half = invented_word(rng)[:4]
    return half + half[::-1][rng.randint(0, 1):]


def name(rng: random.Random) -> str:
    return rng.choice(NAMES) if rng.random() < 0.4 else invented_word(rng).capitalize()


def sentence(low: int = 3, high: int = 5) -> Sampler:
    return lambda rng: " ".join(word(rng) for _ in range(rng.randint(low, high)))


def letter(rng: random.Random) -> str:
    return rng.choice("abcdeghiklmnoprstuy")


def words(low: int = 3, high: int = 5) -> Sampler:
    """Return a sampler of words such as ``pear, plum, fig``. Programs split them: ``"<ws>".split(", ")``."""
    return lambda rng: ", ".join(word(rng) for _ in range(rng.randint(low, high)))
