"""Programs about text, lists and drawing with characters."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

from .params import integer, letter, name, numbers, palindrome_or_word, sentence, word, words
from .task import Phrases, Sampler, Task


def mixed_case(rng: random.Random) -> str:
    return " ".join(word(rng).capitalize() for _ in range(rng.randint(1, 2)))


def shouted(rng: random.Random) -> str:
    return " ".join(word(rng).upper() for _ in range(rng.randint(1, 2)))


def _third_person(verb: str) -> str:
    return verb + ("es" if verb.endswith(("ch", "sh", "s", "x", "z", "o")) else "s")


def _participle(verb: str) -> str:
    if verb == "et":
        return "eden"
    last_vowel = next(sign for sign in reversed(verb) if sign in "aıoueiöü")
    ending = "an" if last_vowel in "aıou" else "en"
    return verb + ("y" if verb[-1] in "aıoueiöü" else "") + ending


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.strip().splitlines())


def _phrases(actions: str, things: str, inflect: Callable[[str], str]) -> Phrases:
    """Make phrases of texts with one phrase on each line. Verbs are marked with a star, ``print* <w>``, and inflected for ``does``."""
    do = tuple(line.replace("*", "") for line in _lines(actions))
    does = tuple(re.sub(r"(\w+)\*", lambda match: inflect(match[1]), line) for line in _lines(actions))
    return Phrases(does=does, do=do, thing=_lines(things))


def _en(actions: str, things: str) -> Phrases:
    return _phrases(actions, things, _third_person)


def _tr(actions: str, things: str) -> Phrases:
    return _phrases(actions, things, _participle)


def _task(task_name: str, params: dict[str, Sampler], code: str, en: Phrases, en_heldout: Phrases, tr: Phrases,
          tr_heldout: Phrases) -> Task:
    return Task(name=task_name, params=params, code=code.strip(), en=en, tr=tr, en_heldout=en_heldout,
                tr_heldout=tr_heldout)


_WORDS = (
    _task("reverse_word", {"w": word}, '''
word = "<w>"
print(word[::-1])
''', _en('''
reverse* the word <w>
print* "<w>" backwards
print* the word "<w>" in reverse
show* the letters of <w> in reverse order
take* the word <w> and write* it backwards
reverse* "<w>" and print* the result
output* the reversed string of "<w>"
spell* <w> backwards
''', '''
reversing the word <w>
the reverse of "<w>"
the word <w> backwards
reversing the string "<w>"
printing <w> backwards
spelling "<w>" in reverse
'''), _en('''
show* the word "<w>" written backwards
flip* the letters of the word <w>
''', '''
the reversed word of <w>
writing the word "<w>" in reverse order
'''), _tr('''
<w> kelimesini ters çevir*
"<w>" kelimesini tersten yazdır*
<w> kelimesinin harflerini ters sırada göster*
"<w>" sözcüğünü ters çevirip yazdır*
<w> kelimesini sondan başa doğru yaz*
"<w>" metnini tersten yaz*
<w> kelimesinin tersini bul*
''', '''
<w> kelimesinin tersi
"<w>" kelimesini ters çevirme
<w> kelimesini tersten yazma
"<w>" metninin tersten yazılışı
<w> kelimesini sondan başa yazdırma
"<w>" sözcüğünün tersi
'''), _tr('''
<w> sözcüğünü tersten göster*
"<w>" kelimesinin tersini yazdır*
''', '''
<w> kelimesinin ters yazılışı
''')),
    _task("palindrome_word", {"w": palindrome_or_word}, '''
word = "<w>"
if word == word[::-1]:
    print("palindrome")
else:
    print("not a palindrome")
''', _en('''
check* if <w> is a palindrome
check* whether the word "<w>" is a palindrome
tell* whether <w> is a palindrome or not
print* whether "<w>" reads the same backwards
find* out if the word <w> is a palindrome
test* whether "<w>" is the same forwards and backwards
decide* if <w> is a palindrome word
''', '''
checking if "<w>" is a palindrome
a palindrome check of the word <w>
a palindrome test for "<w>"
testing whether <w> is a palindrome
checking whether "<w>" reads the same backwards
finding out if <w> is a palindrome
'''), _en('''
show* if the word <w> is a palindrome
tell* if "<w>" is the same when read backwards
''', '''
the palindrome check for <w>
'''), _tr('''
<w> kelimesinin palindrom olup olmadığını kontrol et*
"<w>" kelimesi palindrom mu diye kontrol et*
<w> kelimesinin palindrom olup olmadığını yazdır*
"<w>" sözcüğünün palindrom olup olmadığını bul*
<w> kelimesi tersten de aynı mı diye bak*
"<w>" kelimesinin tersten aynı okunup okunmadığını söyle*
<w> palindrom mu değil mi göster*
''', '''
<w> kelimesinin palindrom kontrolü
"<w>" kelimesi palindrom mu kontrolü
<w> kelimesinin palindrom olup olmadığı
"<w>" sözcüğünün palindrom testi
<w> kelimesinin tersten aynı okunup okunmadığı
"<w>" için palindrom denetimi
'''), _tr('''
"<w>" kelimesinin palindrom olup olmadığını söyle*
<w> sözcüğü palindrom mu diye bak*
''', '''
<w> sözcüğünün palindrom kontrolü
''')),
    _task("count_vowels", {"w": word}, '''
word = "<w>"
count = 0
for letter in word:
    if letter in "aeiouıöü":
        count += 1
print(count)
''', _en('''
count* the vowels in <w>
print* the number of vowels in "<w>"
print* how many vowels the word <w> has
find* the number of vowels in the word "<w>"
show* how many vowels are in <w>
calculate* how many vowels "<w>" contains
go* through the word <w> and count* its vowels
''', '''
counting the vowels in <w>
the number of vowels in "<w>"
the vowel count of the word <w>
how many vowels "<w>" has
counting vowels in the word <w>
the count of vowels of "<w>"
'''), _en('''
tell* how many vowels there are in the word <w>
give* the vowel count of "<w>"
''', '''
the number of vowels that <w> contains
'''), _tr('''
<w> kelimesindeki sesli harfleri say*
"<w>" kelimesinde kaç sesli harf olduğunu yazdır*
<w> kelimesindeki ünlü harf sayısını bul*
"<w>" kelimesindeki sesli harf sayısını hesapla*
<w> sözcüğünde kaç ünlü harf olduğunu göster*
"<w>" kelimesinin sesli harflerini sayıp yazdır*
<w> kelimesinde kaç tane ünlü olduğunu bul*
''', '''
<w> kelimesindeki sesli harf sayısı
"<w>" kelimesindeki sesli harfleri sayma
<w> kelimesindeki ünlü harflerin sayısı
"<w>" kelimesinde kaç sesli harf olduğu
<w> sözcüğündeki ünlüleri sayma
"<w>" kelimesinin ünlü harf sayısı
'''), _tr('''
<w> kelimesindeki ünlü harfleri say*
"<w>" sözcüğündeki sesli harf sayısını göster*
''', '''
<w> sözcüğündeki sesli harflerin sayısı
''')),
    _task("count_letter", {"w": word, "c": letter}, '''
word = "<w>"
count = word.count("<c>")
print(count)
''', _en('''
count* the letter <c> in <w>
print* how many times "<c>" appears in "<w>"
count* how often the letter <c> occurs in the word <w>
find* the number of times the letter "<c>" is in "<w>"
show* how many <c> letters are in the word <w>
calculate* how many times the word "<w>" contains the letter "<c>"
print* the number of <c> in <w>
''', '''
counting the letter <c> in <w>
how many times "<c>" appears in "<w>"
the number of times the letter <c> occurs in the word <w>
counting how often "<c>" is in the word "<w>"
the count of the letter <c> in the word <w>
the number of "<c>" letters in "<w>"
'''), _en('''
tell* how often the letter "<c>" appears in the word <w>
count* all <c> letters of the word "<w>"
''', '''
how often the letter <c> is in "<w>"
'''), _tr('''
<w> kelimesindeki <c> harflerini say*
"<w>" kelimesinde "<c>" harfinin kaç kez geçtiğini yazdır*
<w> kelimesinde kaç kere <c> harfi geçtiğini bul*
"<w>" sözcüğünde kaç tane "<c>" harfi olduğunu göster*
<c> harfinin <w> kelimesinde kaç defa geçtiğini hesapla*
"<w>" kelimesindeki "<c>" harfi sayısını bul*
<w> kelimesinde kaç tane <c> harfi olduğunu say*
''', '''
<w> kelimesindeki <c> harflerini sayma
"<w>" kelimesinde "<c>" harfinin kaç kez geçtiği
<w> kelimesindeki <c> harfi sayısı
<c> harfinin <w> kelimesinde geçme sayısı
"<w>" sözcüğünde kaç tane "<c>" harfi olduğu
<w> kelimesinde <c> harfinin sayısı
'''), _tr('''
"<w>" sözcüğünde <c> harfinin kaç kez geçtiğini say*
<w> kelimesinde kaç defa "<c>" harfi geçtiğini göster*
''', '''
<w> sözcüğündeki <c> harflerinin sayısı
''')),
    _task("word_length", {"w": word}, '''
word = "<w>"
print(len(word))
''', _en('''
print* the length of the word <w>
count* all the letters of "<w>"
show* how long the word <w> is
print* how many letters "<w>" has
find* the length of <w>
give* the number of letters of the word "<w>"
calculate* the length of the string "<w>"
''', '''
the length of the word <w>
the length of "<w>"
how long the word <w> is
the number of letters of "<w>"
how many letters <w> has
finding the length of the string "<w>"
'''), _en('''
tell* how many letters the word <w> has
output* how long "<w>" is
''', '''
printing the length of <w>
'''), _tr('''
<w> kelimesinin uzunluğunu yazdır*
"<w>" kelimesinin kaç harfli olduğunu bul*
<w> kelimesinin harf sayısını göster*
"<w>" sözcüğünün uzunluğunu hesapla*
<w> kelimesinde toplam kaç harf olduğunu yazdır*
"<w>" metninin uzunluğunu bul*
<w> kelimesinin kaç harften oluştuğunu söyle*
''', '''
<w> kelimesinin uzunluğu
"<w>" kelimesinin harf sayısı
<w> kelimesinin kaç harfli olduğu
"<w>" sözcüğünün uzunluğu
<w> kelimesinin uzunluğunu bulma
"<w>" metninin uzunluğu
'''), _tr('''
<w> sözcüğünün kaç harfli olduğunu söyle*
''', '''
<w> sözcüğünün harf sayısı
''')),
    _task("remove_vowels", {"w": word}, '''
word = "<w>"
result = ""
for letter in word:
    if letter not in "aeiouıöü":
        result += letter
print(result)
''', _en('''
remove* the vowels from <w>
print* "<w>" without vowels
delete* all vowels of the word <w>
take* the vowels out of "<w>"
print* the word <w> without its vowels
drop* every vowel from the word "<w>"
show* only the consonants of <w>
''', '''
removing the vowels from <w>
the word "<w>" without vowels
deleting all vowels of <w>
removing every vowel from the word "<w>"
<w> without its vowels
the consonants of "<w>"
'''), _en('''
remove* every vowel of the word <w> and print* the result
show* "<w>" without any vowels
''', '''
deleting the vowels from the word "<w>"
'''), _tr('''
<w> kelimesinden sesli harfleri sil*
"<w>" kelimesindeki sesli harfleri çıkar*
<w> kelimesini ünlü harfler olmadan yazdır*
"<w>" kelimesinin ünlü harflerini sil*
<w> sözcüğünü sesli harfleri çıkarıp yazdır*
"<w>" kelimesinin sadece sessiz harflerini göster*
<w> kelimesinden bütün ünlüleri kaldır*
''', '''
<w> kelimesinden sesli harfleri silme
"<w>" kelimesinin sesli harfsiz hali
<w> kelimesindeki ünlüleri çıkarma
"<w>" kelimesinin sessiz harfleri
<w> kelimesinin ünlü harflerini silme
"<w>" sözcüğünden sesli harfleri kaldırma
'''), _tr('''
"<w>" kelimesini sesli harfler olmadan göster*
<w> sözcüğünden ünlü harfleri çıkar*
''', '''
<w> kelimesinin ünlü harfsiz hali
''')),
    _task("caesar_shift", {"w": word, "k": integer(1, 20)}, '''
word = "<w>"
k = <k>
alphabet = "abcdefghijklmnopqrstuvwxyz"
result = ""
for letter in word:
    if letter in alphabet:
        i = alphabet.index(letter)
        letter = alphabet[(i + k) % 26]
    result += letter
print(result)
''', _en('''
encrypt* <w> with a caesar shift of <k>
shift* the letters of "<w>" by <k>
shift* every letter of the word <w> by <k> places in the alphabet
encode* "<w>" with a caesar cipher and key <k>
print* the caesar cipher of <w> with shift <k>
move* each letter of the word "<w>" <k> places forward in the alphabet
apply* a caesar shift by <k> to the word <w>
''', '''
a caesar cipher of <w> with shift <k>
the caesar shift of "<w>" by <k>
encrypting the word <w> with caesar key <k>
shifting the letters of "<w>" by <k>
encoding <w> with a caesar shift of <k>
a caesar shift by <k> of the word "<w>"
'''), _en('''
encrypt* the word "<w>" with the caesar cipher and shift <k>
shift* each letter of <w> forward by <k>
''', '''
shifting every letter of the word <w> by <k> places
'''), _tr('''
<w> kelimesini <k> kaydırmalı sezar şifresiyle şifrele*
"<w>" kelimesinin harflerini <k> kaydır*
<w> kelimesinin her harfini alfabede <k> harf ileri kaydır*
"<w>" kelimesini sezar şifresi ve <k> anahtarı ile şifrele*
<w> kelimesinin <k> kaydırmalı sezar şifresini yazdır*
"<w>" sözcüğüne <k> kaydırmalı sezar şifresi uygula*
<w> kelimesinin harflerini alfabede <k> basamak ileri al*
''', '''
<w> kelimesinin <k> kaydırmalı sezar şifresi
"<w>" kelimesini <k> anahtarıyla sezar şifreleme
<w> kelimesinin harflerini <k> kaydırma
"<w>" sözcüğünü <k> kaydırmalı sezar ile şifreleme
<k> kaydırmalı sezar şifresiyle <w> kelimesi
"<w>" kelimesinin harflerini alfabede <k> harf ileri kaydırma
'''), _tr('''
<w> sözcüğünü <k> kaydırmalı sezar ile şifrele*
"<w>" kelimesinin her harfini <k> basamak ileri kaydır*
''', '''
<w> sözcüğünün <k> kaydırmalı sezar şifresi
''')),
    _task("letter_frequency", {"w": word}, '''
word = "<w>"
for letter in sorted(set(word)):
    print(letter, word.count(letter))
''', _en('''
print* the letter frequency of <w>
count* how often each letter appears in "<w>"
show* how many times every letter occurs in the word <w>
print* each letter of "<w>" with its count
count* each letter of the word <w>
list* the frequency of each letter in "<w>"
calculate* the frequencies of the letters in <w>
''', '''
the letter frequency of <w>
the frequency of each letter in "<w>"
counting each letter of the word <w>
how often each letter appears in "<w>"
the letter frequencies of <w>
the counts of all the different letters in "<w>"
'''), _en('''
show* the frequency of every letter in the word <w>
print* how often every letter occurs in "<w>"
''', '''
a letter frequency count of <w>
'''), _tr('''
<w> kelimesindeki harflerin sıklığını yazdır*
"<w>" kelimesinde her harfin kaç kez geçtiğini göster*
<w> kelimesindeki her harfi ayrı ayrı say*
"<w>" kelimesinin harf frekansını hesapla*
<w> sözcüğünde hangi harften kaç tane olduğunu yazdır*
"<w>" kelimesindeki her harfin sayısını listele*
<w> kelimesinin harf sıklıklarını bul*
''', '''
<w> kelimesinin harf sıklığı
"<w>" kelimesindeki her harfin sayısı
<w> kelimesindeki harflerin frekansı
"<w>" kelimesinde her harfin kaç kez geçtiği
<w> kelimesindeki harfleri tek tek sayma
"<w>" sözcüğünün harf frekansı
'''), _tr('''
"<w>" sözcüğünün harf sıklığını göster*
<w> kelimesinde her harften kaç tane olduğunu bul*
''', '''
<w> sözcüğündeki her harfin sıklığı
''')),
    _task("anagram_check", {"a": word, "b": word}, '''
a = "<a>"
b = "<b>"
if sorted(a) == sorted(b):
    print("anagrams")
else:
    print("not anagrams")
''', _en('''
check* if <a> and <b> are anagrams
check* whether "<a>" is an anagram of "<b>"
tell* whether the words <a> and <b> are anagrams
print* whether "<a>" and "<b>" are anagrams of each other
find* out if <a> is an anagram of <b>
test* if the words "<a>" and "<b>" have the same letters
decide* if <a> and <b> are made of the same letters
''', '''
an anagram check of <a> and <b>
checking if "<a>" and "<b>" are anagrams
testing whether <a> is an anagram of <b>
an anagram test for the words "<a>" and "<b>"
checking whether <a> and <b> have the same letters
finding out if "<a>" is an anagram of "<b>"
'''), _en('''
test* whether <a> and <b> are anagrams
show* if the word "<a>" is an anagram of the word "<b>"
''', '''
an anagram check for "<a>" and "<b>"
'''), _tr('''
<a> ve <b> kelimelerinin anagram olup olmadığını kontrol et*
"<a>" ile "<b>" kelimeleri anagram mı diye bak*
<a> ve <b> anagram mı değil mi yazdır*
"<a>" kelimesi "<b>" kelimesinin anagramı mı diye kontrol et*
<a> ile <b> kelimelerinin aynı harflerden oluşup oluşmadığını bul*
"<a>" ve "<b>" sözcüklerinin anagram olup olmadığını söyle*
<a> ve <b> kelimeleri aynı harflerden mi oluşuyor diye bak*
''', '''
<a> ve <b> kelimelerinin anagram kontrolü
"<a>" ile "<b>" kelimelerinin anagram olup olmadığı
<a> ile <b> anagram mı kontrolü
"<a>" ve "<b>" sözcüklerinin anagram testi
<a> ve <b> kelimelerinin aynı harflerden oluşup oluşmadığı
"<a>" ve "<b>" için anagram denetimi
'''), _tr('''
<a> ile <b> kelimelerinin anagram olup olmadığını göster*
''', '''
<a> ile <b> sözcüklerinin anagram kontrolü
''')),
    _task("replace_letter", {"w": word, "c": letter, "d": letter}, '''
word = "<w>"
result = word.replace("<c>", "<d>")
print(result)
''', _en('''
replace* <c> with <d> in <w>
replace* the letter "<c>" with "<d>" in the word "<w>"
change* every <c> to <d> in the word <w>
print* "<w>" with each "<c>" replaced by "<d>"
swap* the letter <c> for <d> in <w>
turn* all the letters "<c>" of "<w>" into "<d>"
put* the letter <d> in place of <c> in the word <w>
''', '''
replacing <c> with <d> in <w>
replacing the letter "<c>" by "<d>" in the word "<w>"
changing every <c> to <d> in the word <w>
the word "<w>" with "<d>" instead of "<c>"
changing the letter <c> into <d> in <w>
<w> with each <c> replaced by <d>
'''), _en('''
change* the letter <c> of the word <w> into <d>
print* the word "<w>" with "<d>" in place of "<c>"
''', '''
replacing every "<c>" of <w> with "<d>"
'''), _tr('''
<w> kelimesindeki <c> harflerini <d> harfiyle değiştir*
"<w>" kelimesinde "<c>" harfi yerine "<d>" harfini koy*
<w> kelimesinde <c> yerine <d> yaz*
"<w>" kelimesindeki her "<c>" harfini "<d>" yap*
<w> sözcüğündeki <c> harfini <d> ile değiştirip yazdır*
"<w>" kelimesindeki bütün "<c>" harflerini "<d>" harfine çevir*
<w> kelimesinin <c> harflerini <d> yapıp göster*
''', '''
<w> kelimesindeki <c> harflerini <d> ile değiştirme
"<w>" kelimesinde "<c>" yerine "<d>" koyma
<w> kelimesinde <c> harfini <d> yapma
"<w>" kelimesindeki her "<c>" harfini "<d>" harfine çevirme
<w> sözcüğünde <c> yerine <d> yazma
"<w>" kelimesinin "<c>" harfi "<d>" olmuş hali
'''), _tr('''
<w> sözcüğünde <c> harfi yerine <d> koy*
"<w>" kelimesindeki bütün <c> harflerini <d> ile değiştir*
''', '''
<w> kelimesindeki <c> harflerini <d> yapma
''')),
    _task("repeat_word", {"w": word, "n": integer(2, 30)}, '''
word = "<w>"
for i in range(<n>):
    print(word)
''', _en('''
print* <w> <n> times
repeat* the word "<w>" <n> times
print* the word <w> <n> times in a loop
write* "<w>" on <n> lines
show* the word <w> again and again, <n> times
output* "<w>" exactly <n> times
say* <w> <n> times
''', '''
printing <w> <n> times
repeating the word "<w>" <n> times
a loop that says <w> <n> times
<n> lines of the word "<w>"
writing <w> <n> times
the word "<w>" repeated <n> times
'''), _en('''
write* the word <w> <n> times
repeat* "<w>" in a loop, <n> times
''', '''
printing the word "<w>" on <n> lines
'''), _tr('''
<w> kelimesini <n> kez yazdır*
"<w>" kelimesini <n> defa tekrarla*
<w> kelimesini döngüyle <n> kere yazdır*
ekrana <n> kez "<w>" yaz*
<w> sözcüğünü alt alta <n> defa göster*
<n> satıra "<w>" kelimesini yaz*
<w> kelimesini <n> kere tekrar et*
''', '''
<w> kelimesini <n> kez yazdırma
"<w>" kelimesini <n> defa tekrarlama
<n> kez <w> yazma
<n> satır "<w>" kelimesi
<w> kelimesini döngüyle <n> kere yazdırma
ekrana <n> defa "<w>" yazma
'''), _tr('''
<w> kelimesini ekrana <n> defa yazdır*
<n> kere "<w>" yaz*
''', '''
<w> sözcüğünü <n> kez tekrarlama
''')),
    _task("greet", {"p": name}, '''
name = "<p>"
print("Hello, " + name + "!")
''', _en('''
greet* <p>
say* hello to <p>
print* a greeting for "<p>"
greet* a person with the name <p>
print* hello and the name <p>
welcome* "<p>" with a hello
show* a friendly greeting to <p>
greet* somebody called "<p>"
''', '''
greeting <p>
a greeting for <p>
saying hello to "<p>"
a hello to <p>
greeting a person called "<p>"
a friendly hello message for <p>
'''), _en('''
print* a friendly hello to <p>
greet* the person "<p>" by name
''', '''
a greeting message to <p>
'''), _tr('''
<p> adlı kişiyi selamla*
<p> adlı kişi için merhaba yazdır*
"<p>" adlı kişiye selam ver*
<p> için selam mesajı yazdır*
"<p>" ismine merhaba yazdır*
adı <p> olan kişiyi selamla*
ismi "<p>" olan birine selam ver*
''', '''
<p> adlı kişiyi selamlama
"<p>" adlı kişiye merhaba deme
<p> adına selam mesajı
adı <p> olan kişiye selam verme
"<p>" ismine bir merhaba mesajı
<p> isimli kişiyi selamlama
'''), _tr('''
<p> isimli birine selam ver*
ismi <p> olan kişiyi selamla*
''', '''
"<p>" isimli kişiye merhaba mesajı
''')),
)

_SENTENCES = (
    _task("count_words", {"s": sentence(2, 6)}, '''
text = "<s>"
words = text.split()
print(len(words))
''', _en('''
count* the words in "<s>"
print* the number of words in the sentence "<s>"
print* how many words "<s>" has
find* how many words are in the sentence <s>
calculate* the word count of "<s>"
show* the number of words in the text "<s>"
count* how many words the sentence <s> contains
''', '''
counting the words in "<s>"
the number of words in the sentence "<s>"
the word count of "<s>"
how many words the sentence <s> has
counting words of the text "<s>"
a word count for the sentence <s>
'''), _en('''
tell* how many words there are in the sentence "<s>"
give* the word count of the text <s>
''', '''
the number of words in the text "<s>"
'''), _tr('''
"<s>" cümlesindeki kelimeleri say*
<s> cümlesinde kaç kelime olduğunu yazdır*
"<s>" cümlesinin kelime sayısını bul*
"<s>" metnindeki kelime sayısını hesapla*
<s> cümlesinin kaç kelimeden oluştuğunu göster*
"<s>" cümlesinde kaç tane kelime olduğunu bul*
<s> metninde kaç kelime olduğunu say*
''', '''
"<s>" cümlesindeki kelime sayısı
<s> cümlesinin kelime sayısı
"<s>" cümlesindeki kelimeleri sayma
"<s>" metninin kelime sayısı
<s> cümlesinde kaç kelime olduğu
"<s>" metnindeki kelimeleri sayma
'''), _tr('''
"<s>" metninde kaç kelime olduğunu göster*
<s> cümlesindeki kelime sayısını yazdır*
''', '''
"<s>" metninde kaç kelime olduğu
''')),
    _task("longest_word", {"s": sentence(3, 6)}, '''
text = "<s>"
words = text.split()
print(max(words, key=len))
''', _en('''
find* the longest word in "<s>"
print* the longest word of the sentence "<s>"
show* which word of <s> is the longest
give* the longest word in the sentence <s>
print* the word with the most letters in "<s>"
look* for the longest word in the text "<s>"
find* the word that has the most letters in the sentence <s>
''', '''
the longest word in "<s>"
the longest word of the sentence "<s>"
finding the longest word in <s>
the word with the most letters in "<s>"
finding which word of the sentence <s> is the longest
the longest word of the text "<s>"
'''), _en('''
show* the longest word of the text <s>
tell* which word in the sentence "<s>" has the most letters
''', '''
printing the longest word in the sentence "<s>"
'''), _tr('''
"<s>" cümlesindeki en uzun kelimeyi bul*
<s> cümlesinin en uzun kelimesini yazdır*
"<s>" metnindeki en uzun kelimeyi göster*
"<s>" cümlesinde en çok harfli kelimeyi bul*
<s> cümlesindeki en uzun sözcüğü yazdır*
"<s>" cümlesinde hangi kelimenin en uzun olduğunu söyle*
<s> metninin en uzun kelimesini bulup yazdır*
''', '''
"<s>" cümlesindeki en uzun kelime
<s> cümlesinin en uzun kelimesi
"<s>" metnindeki en uzun kelime
"<s>" cümlesinin en uzun sözcüğü
<s> cümlesinde en çok harfli kelime
"<s>" metninin en uzun kelimesini bulma
'''), _tr('''
"<s>" cümlesinin en uzun sözcüğünü bul*
''', '''
<s> metninin en uzun sözcüğü
''')),
    _task("upper_case", {"s": sentence(1, 3)}, '''
text = "<s>"
print(text.upper())
''', _en('''
print* "<s>" in upper case
convert* <s> to uppercase
turn* the text "<s>" into capital letters
write* <s> in capital letters
make* all letters of "<s>" upper case
show* the text <s> in capitals
change* "<s>" to all caps
''', '''
"<s>" in upper case
converting <s> to uppercase
the text "<s>" in capital letters
writing <s> in capitals
making "<s>" all upper case
<s> in all caps
'''), _en('''
print* the text <s> in capital letters
change* all letters of "<s>" to uppercase
''', '''
turning "<s>" into uppercase
'''), _tr('''
"<s>" metnini büyük harfe çevir*
<s> yazısını büyük harflerle yazdır*
"<s>" metnindeki bütün harfleri büyük yap*
<s> metnini tamamen büyük harfle göster*
"<s>" yazısının tüm harflerini büyüt*
"<s>" ifadesini büyük harflerle yaz*
<s> ifadesini büyük harfe çevirip yazdır*
''', '''
"<s>" metnini büyük harfe çevirme
<s> yazısının büyük harfli hali
"<s>" ifadesinin büyük harfle yazılışı
<s> metnini büyük harflerle yazdırma
"<s>" yazısını büyük harf yapma
<s> ifadesini tamamen büyük harfe çevirme
'''), _tr('''
"<s>" ifadesini tamamen büyük harfle göster*
<s> metnini büyük harflerle yaz*
''', '''
"<s>" metninin büyük harfli hali
''')),
    _task("lower_case", {"s": shouted}, '''
text = "<s>"
print(text.lower())
''', _en('''
print* "<s>" in lower case
convert* <s> to lowercase
turn* the text "<s>" into small letters
write* <s> in small letters
make* all letters of "<s>" lower case
show* the text <s> in lowercase letters
change* "<s>" to lower case
''', '''
"<s>" in lower case
converting <s> to lowercase
the text "<s>" in small letters
writing <s> in lowercase
making "<s>" all lower case
<s> in small letters
'''), _en('''
print* the text <s> in small letters
change* all letters of "<s>" to lowercase
''', '''
turning "<s>" into lowercase
'''), _tr('''
"<s>" metnini küçük harfe çevir*
<s> yazısını küçük harflerle yazdır*
"<s>" metnindeki bütün harfleri küçük yap*
<s> metnini tamamen küçük harfle göster*
"<s>" yazısının tüm harflerini küçült*
"<s>" ifadesini küçük harflerle yaz*
<s> ifadesini küçük harfe çevirip yazdır*
''', '''
"<s>" metnini küçük harfe çevirme
<s> yazısının küçük harfli hali
"<s>" ifadesinin küçük harfle yazılışı
<s> metnini küçük harflerle yazdırma
"<s>" yazısını küçük harf yapma
<s> ifadesini tamamen küçük harfe çevirme
'''), _tr('''
"<s>" ifadesini tamamen küçük harfle göster*
<s> metnini küçük harflerle yaz*
''', '''
"<s>" metninin küçük harfli hali
''')),
    _task("acronym", {"s": sentence(3, 5)}, '''
text = "<s>"
result = ""
for word in text.split():
    result += word[0].upper()
print(result)
''', _en('''
make* an acronym of "<s>"
print* the acronym of <s>
build* the acronym from the words "<s>"
take* the first letter of each word in <s> and make* an acronym
print* the initials of the words in "<s>"
form* an acronym from the first letters of the words <s>
shorten* "<s>" to its initials
''', '''
the acronym of "<s>"
an acronym of the words <s>
making an acronym from "<s>"
the initials of the words in <s>
building the acronym of the phrase "<s>"
the initials of "<s>"
'''), _en('''
form* the acronym of the words "<s>"
show* the initials of <s>
''', '''
an acronym for the phrase <s>
'''), _tr('''
"<s>" kelimelerinin kısaltmasını oluştur*
<s> ifadesinin kısaltmasını yazdır*
"<s>" ifadesindeki kelimelerin baş harflerinden kısaltma yap*
<s> kelimelerinin baş harflerini birleştir*
"<s>" cümlesinin baş harflerini yan yana yazdır*
"<s>" ifadesinden akronim oluştur*
<s> ifadesinin akronimini göster*
''', '''
"<s>" ifadesinin kısaltması
<s> kelimelerinin baş harfleri
"<s>" ifadesinin akronimi
<s> kelimelerinin baş harflerinden kısaltma
"<s>" kelimelerinden kısaltma oluşturma
<s> ifadesinin baş harfleri
'''), _tr('''
<s> kelimelerinin baş harflerinden akronim oluştur*
"<s>" ifadesinin kısaltmasını göster*
''', '''
"<s>" kelimelerinin akronimi
''')),
    _task("reverse_word_order", {"s": sentence(3, 6)}, '''
text = "<s>"
words = text.split()
print(" ".join(words[::-1]))
''', _en('''
reverse* the order of the words in "<s>"
print* the words of <s> in reverse order
print* the sentence "<s>" with its words in reverse order
turn* around the word order of the sentence <s>
write* the words of "<s>" from last to first
reverse* the word order of the sentence "<s>"
show* the words of the sentence <s> from the last to the first
''', '''
reversing the order of the words in "<s>"
the words of <s> in reverse order
the sentence "<s>" with reversed word order
reversing the word order of <s>
the words of the sentence "<s>" from last to first
turning around the order of the words in <s>
'''), _en('''
show* the words of "<s>" in reversed order
print* the words in the sentence <s> from last to first
''', '''
the reversed word order of the sentence "<s>"
'''), _tr('''
"<s>" cümlesindeki kelimelerin sırasını ters çevir*
<s> cümlesinin kelimelerini ters sırada yazdır*
"<s>" cümlesinin kelimelerini sondan başa doğru yazdır*
"<s>" cümlesinin kelime sırasını ters çevir*
<s> cümlesindeki kelimeleri ters sırayla göster*
"<s>" metnindeki kelimeleri sondan başa sırala*
<s> metninin kelime sırasını tersine çevir*
''', '''
"<s>" cümlesinin kelime sırasını ters çevirme
<s> cümlesinin kelimelerinin ters sırası
"<s>" cümlesindeki kelimeleri ters sırada yazdırma
<s> cümlesinin sondan başa kelimeleri
"<s>" metninin kelime sırasını tersine çevirme
<s> metninin ters kelime sırası
'''), _tr('''
<s> metninin kelimelerini ters sırada göster*
"<s>" cümlesinin kelime sırasını tersine çevir*
''', '''
"<s>" cümlesinin ters kelime sırası
''')),
    _task("sort_words", {"ws": words()}, '''
words = "<ws>".split(", ")
words.sort()
for word in words:
    print(word)
''', _en('''
sort* the words <ws> alphabetically
put* the words <ws> in alphabetical order
print* <ws> in alphabetical order
sort* the words "<ws>" from a to z
list* the words <ws> alphabetically
arrange* the words "<ws>" in alphabetical order
order* <ws> by the alphabet
''', '''
sorting the words <ws> alphabetically
the words <ws> in alphabetical order
alphabetical sorting of <ws>
putting "<ws>" in alphabetical order
the alphabetical order of the words <ws>
sorting <ws> from a to z
'''), _en('''
show* the words <ws> sorted alphabetically
arrange* <ws> alphabetically
''', '''
an alphabetical list of the words <ws>
'''), _tr('''
<ws> kelimelerini alfabetik sırala*
<ws> kelimelerini alfabetik sırayla yazdır*
"<ws>" kelimelerini alfabetik olarak listele*
<ws> sözcüklerini alfabeye göre sırala*
<ws> kelimelerini a'dan z'ye sırala*
"<ws>" kelimelerini alfabetik sıraya koy*
<ws> kelimelerini alfabe sırasıyla göster*
''', '''
<ws> kelimelerini alfabetik sıralama
<ws> kelimelerinin alfabetik sırası
"<ws>" kelimelerinin alfabetik listesi
<ws> sözcüklerini alfabeye göre sıralama
<ws> kelimelerini alfabetik sıraya koyma
"<ws>" kelimelerini a'dan z'ye sıralama
'''), _tr('''
<ws> sözcüklerini alfabetik sıraya koy*
<ws> kelimelerini alfabeye göre listele*
''', '''
<ws> sözcüklerinin alfabetik sırası
''')),
)

_DRAWINGS = (
    _task("star_triangle", {"n": integer(2, 25)}, '''
n = <n>
for i in range(1, n + 1):
    print("*" * i)
''', _en('''
print* a triangle of stars with <n> lines
draw* a star triangle with <n> rows
print* a triangle made of stars, <n> lines high
draw* a triangle of height <n> with stars
show* a triangle of <n> rows of stars
print* a star triangle of <n> lines
output* <n> lines of stars that form a triangle
''', '''
a star triangle with <n> lines
a triangle of stars with <n> rows
drawing a triangle of <n> lines with stars
a triangle of height <n> made of stars
printing a star triangle of <n> rows
a <n> line triangle of stars
'''), _en('''
show* a star triangle of height <n>
draw* a triangle made of <n> lines of stars
''', '''
a triangle made of <n> rows of stars
'''), _tr('''
<n> satırlık yıldız üçgeni yazdır*
<n> satırlı bir yıldız üçgeni çiz*
yıldızlardan <n> satırlık bir üçgen çiz*
yüksekliği <n> olan bir yıldız üçgeni yazdır*
<n> satırdan oluşan yıldızlı üçgen göster*
yıldızlarla <n> satırlık üçgen oluştur*
ekrana <n> satırlık yıldızlardan üçgen çiz*
''', '''
<n> satırlık yıldız üçgeni
yıldızlardan <n> satırlık üçgen
<n> satırlı yıldız üçgeni çizme
yüksekliği <n> olan yıldız üçgeni
<n> satırdan oluşan yıldızlı üçgen
yıldızlarla <n> satırlık üçgen çizme
'''), _tr('''
yıldızlarla yüksekliği <n> olan bir üçgen çiz*
ekrana <n> satırlı yıldız üçgeni yazdır*
''', '''
<n> satırlı yıldızlardan üçgen
''')),
    _task("countdown", {"n": integer(3, 60)}, '''
n = <n>
while n > 0:
    print(n)
    n -= 1
''', _en('''
count* down from <n>
print* a countdown from <n>
count* down from <n> to 1
print* a countdown from <n> to 1
show* a countdown that starts at <n>
print* the numbers from <n> down to 1
count* backwards from <n> to 1
''', '''
a countdown from <n>
a countdown from <n> to 1
counting down from <n>
the numbers from <n> down to 1
counting backwards from <n>
a countdown that starts at <n>
'''), _en('''
show* a countdown from <n> down to 1
count* backwards starting at <n>
''', '''
counting down from <n> to 1
'''), _tr('''
<n> sayısından geriye doğru say*
<n> sayısından 1'e kadar geri say*
<n> sayısından başlayan bir geri sayım yazdır*
geriye doğru <n> sayısından 1'e kadar say*
<n> ile başlayan geri sayım yap*
<n> sayısından 1'e kadar azalan sayıları yazdır*
<n> saniyelik bir geri sayımın sayılarını göster*
''', '''
<n> sayısından geri sayım
<n> sayısından 1'e kadar geri sayım
<n> sayısından geriye doğru sayma
<n> ile başlayan geri sayım
<n> sayısından 1'e kadar azalan sayılar
<n> sayısından başlayan bir geri sayım
'''), _tr('''
<n> sayısından 1'e kadar geriye doğru say*
<n> sayısından geri sayım yap*
''', '''
<n> sayısından başlayarak geriye sayma
''')),
)

_LISTS = (
    _task("sort_ascending", {"xs": numbers()}, '''
numbers = [<xs>]
numbers.sort()
print(numbers)
''', _en('''
sort* the numbers <xs>
sort* the list [<xs>] in ascending order
print* <xs> sorted from smallest to largest
sort* [<xs>] from low to high
put* the numbers <xs> in ascending order
arrange* the list [<xs>] from small to large
order* the numbers <xs> from the smallest to the largest
''', '''
sorting the numbers <xs>
sorting the list [<xs>] in ascending order
<xs> in ascending order
the list [<xs>] sorted from smallest to largest
ascending sorting of <xs>
putting [<xs>] in order from small to large
'''), _en('''
arrange* the numbers <xs> in ascending order
sort* [<xs>] from the smallest to the largest number
''', '''
the numbers <xs> sorted from low to high
'''), _tr('''
<xs> sayılarını sırala*
[<xs>] listesini küçükten büyüğe sırala*
<xs> sayılarını küçükten büyüğe sıralayıp yazdır*
[<xs>] listesini artan sırada yazdır*
<xs> sayılarını artan sıraya koy*
<xs> listesini küçükten büyüğe doğru sırala*
[<xs>] listesindeki sayıları artan sırayla göster*
''', '''
<xs> sayılarını sıralama
[<xs>] listesini küçükten büyüğe sıralama
<xs> sayılarının küçükten büyüğe sırası
[<xs>] listesini artan sıraya koyma
<xs> sayılarının artan sırası
[<xs>] listesinin küçükten büyüğe sıralı hali
'''), _tr('''
<xs> sayılarını artan sırada göster*
[<xs>] listesindeki sayıları küçükten büyüğe yazdır*
''', '''
<xs> listesinin artan sırası
''')),
    _task("sort_descending", {"xs": numbers()}, '''
numbers = [<xs>]
numbers.sort(reverse=True)
print(numbers)
''', _en('''
sort* the numbers <xs> in descending order
sort* the list [<xs>] in descending order
print* <xs> sorted from largest to smallest
sort* [<xs>] from high to low
put* the numbers <xs> in descending order
arrange* the list [<xs>] from large to small
order* the numbers <xs> from the largest to the smallest
''', '''
sorting the numbers <xs> from high to low
sorting the list [<xs>] in descending order
<xs> in descending order
the list [<xs>] sorted from largest to smallest
descending sorting of <xs>
putting [<xs>] in order from large to small
'''), _en('''
arrange* the numbers <xs> in descending order
sort* [<xs>] from the largest to the smallest number
''', '''
the numbers <xs> sorted from high to low
'''), _tr('''
<xs> sayılarını büyükten küçüğe sırala*
[<xs>] listesini büyükten küçüğe sırala*
<xs> sayılarını büyükten küçüğe sıralayıp yazdır*
[<xs>] listesini azalan sırada yazdır*
<xs> sayılarını azalan sıraya koy*
<xs> listesini büyükten küçüğe doğru sırala*
[<xs>] listesindeki sayıları azalan sırayla göster*
''', '''
<xs> sayılarını azalan sırada sıralama
[<xs>] listesini büyükten küçüğe sıralama
<xs> sayılarının büyükten küçüğe sırası
[<xs>] listesini azalan sıraya koyma
<xs> sayılarının azalan sırası
[<xs>] listesinin büyükten küçüğe sıralı hali
'''), _tr('''
<xs> sayılarını azalan sırada göster*
[<xs>] listesindeki sayıları büyükten küçüğe yazdır*
''', '''
<xs> listesinin azalan sırası
''')),
    _task("reverse_list", {"xs": numbers()}, '''
numbers = [<xs>]
print(numbers[::-1])
''', _en('''
reverse* the list <xs>
reverse* the list [<xs>]
print* the list [<xs>] in reverse
print* the numbers <xs> backwards
show* the elements of [<xs>] in reverse order
turn* the list <xs> around
output* the list [<xs>] from the last element to the first
''', '''
reversing the list <xs>
the reverse of the list [<xs>]
the list [<xs>] backwards
the numbers <xs> in reverse order
turning the list [<xs>] around
a reversed list of <xs>
'''), _en('''
show* the list [<xs>] backwards
print* the reversed list of <xs>
''', '''
the list <xs> in reverse order
'''), _tr('''
<xs> listesini ters çevir*
[<xs>] listesini ters çevirip yazdır*
[<xs>] listesini tersten yazdır*
<xs> sayılarını ters sırada göster*
[<xs>] listesinin elemanlarını sondan başa yazdır*
<xs> listesinin tersini bul*
[<xs>] listesinin sırasını tersine çevir*
''', '''
<xs> listesini ters çevirme
[<xs>] listesinin tersi
<xs> sayılarının ters sırası
[<xs>] listesini tersten yazdırma
<xs> listesinin ters çevrilmiş hali
[<xs>] listesini sondan başa yazdırma
'''), _tr('''
<xs> listesini tersten göster*
[<xs>] listesinin tersini yazdır*
''', '''
<xs> sayılarının ters çevrilmiş hali
''')),
    _task("remove_duplicates", {"xs": numbers(5, 8, 1, 9)}, '''
numbers = [<xs>]
result = []
for n in numbers:
    if n not in result:
        result.append(n)
print(result)
''', _en('''
remove* duplicates from <xs>
remove* the duplicates from the list [<xs>]
print* the list [<xs>] without duplicates
delete* repeated numbers from <xs>
print* each number of [<xs>] only once
show* the unique numbers of <xs>
drop* the repeated elements of the list [<xs>]
''', '''
removing duplicates from <xs>
the list [<xs>] without duplicates
the unique numbers of <xs>
deleting repeated elements from [<xs>]
the unique elements of the list [<xs>]
removing the repeated numbers from <xs>
'''), _en('''
delete* the duplicates from the list <xs>
show* the unique elements of [<xs>]
''', '''
the numbers <xs> without duplicates
'''), _tr('''
<xs> listesinden tekrar eden sayıları sil*
[<xs>] listesindeki tekrarları kaldır*
<xs> sayılarını tekrarsız yazdır*
[<xs>] listesindeki her sayıyı yalnızca bir kez yazdır*
<xs> listesindeki benzersiz sayıları göster*
[<xs>] listesinden yinelenen elemanları çıkar*
<xs> listesinin tekrarsız halini bul*
''', '''
<xs> listesindeki tekrarları silme
[<xs>] listesinin tekrarsız hali
<xs> listesindeki benzersiz sayılar
[<xs>] listesinden tekrar eden elemanları kaldırma
<xs> listesinden yinelenen sayıları çıkarma
[<xs>] listesinin benzersiz elemanları
'''), _tr('''
[<xs>] listesinden tekrar eden elemanları çıkar*
<xs> listesini tekrarsız göster*
''', '''
<xs> sayılarının tekrarsız hali
''')),
    _task("largest", {"xs": numbers()}, '''
numbers = [<xs>]
print(max(numbers))
''', _en('''
find* the largest number in <xs>
print* the largest number of the list [<xs>]
print* the maximum of <xs>
find* the biggest number in the list [<xs>]
show* the greatest of the numbers <xs>
give* the highest number in [<xs>]
tell* which of the numbers <xs> is the largest
''', '''
the largest number in <xs>
the maximum of the list [<xs>]
the biggest of the numbers <xs>
finding the largest number of [<xs>]
the greatest number in the list [<xs>]
the highest of <xs>
'''), _en('''
show* the maximum of the list [<xs>]
tell* the biggest of the numbers <xs>
''', '''
finding the maximum of <xs>
'''), _tr('''
<xs> sayılarının en büyüğünü bul*
[<xs>] listesindeki en büyük sayıyı yazdır*
<xs> listesinin en büyük elemanını göster*
[<xs>] listesinin maksimumunu bul*
<xs> sayılarından en büyük olanı yazdır*
[<xs>] listesinin en büyük değerini hesapla*
<xs> sayıları içinde en büyüğünü söyle*
''', '''
<xs> sayılarının en büyüğü
[<xs>] listesindeki en büyük sayı
<xs> listesinin en büyük elemanı
[<xs>] listesinin maksimumu
<xs> sayıları içinde en büyük olan
[<xs>] listesinin en büyük değeri
'''), _tr('''
[<xs>] listesindeki en büyük elemanı bul*
<xs> sayılarının en büyüğünü göster*
''', '''
<xs> listesindeki en büyük değer
''')),
    _task("smallest", {"xs": numbers()}, '''
numbers = [<xs>]
print(min(numbers))
''', _en('''
find* the smallest number in <xs>
print* the smallest number of the list [<xs>]
print* the minimum of <xs>
find* the lowest number in the list [<xs>]
show* the smallest of the numbers <xs>
give* the least number in [<xs>]
tell* which of the numbers <xs> is the smallest
''', '''
the smallest number in <xs>
the minimum of the list [<xs>]
the lowest of the numbers <xs>
finding the smallest number of [<xs>]
the least number in the list [<xs>]
the smallest of <xs>
'''), _en('''
show* the minimum of the list [<xs>]
tell* the lowest of the numbers <xs>
''', '''
finding the minimum of <xs>
'''), _tr('''
<xs> sayılarının en küçüğünü bul*
[<xs>] listesindeki en küçük sayıyı yazdır*
<xs> listesinin en küçük elemanını göster*
[<xs>] listesinin minimumunu bul*
<xs> sayılarından en küçük olanı yazdır*
[<xs>] listesinin en küçük değerini hesapla*
<xs> sayıları içinde en küçüğünü söyle*
''', '''
<xs> sayılarının en küçüğü
[<xs>] listesindeki en küçük sayı
<xs> listesinin en küçük elemanı
[<xs>] listesinin minimumu
<xs> sayıları içinde en küçük olan
[<xs>] listesinin en küçük değeri
'''), _tr('''
[<xs>] listesindeki en küçük elemanı bul*
<xs> sayılarının en küçüğünü göster*
''', '''
<xs> listesindeki en küçük değer
''')),
    _task("second_largest", {"xs": numbers()}, '''
numbers = [<xs>]
numbers = sorted(set(numbers))
print(numbers[-2])
''', _en('''
find* the second largest number in <xs>
print* the second largest number of the list [<xs>]
print* the second biggest of <xs>
find* the second highest number in the list [<xs>]
show* the second greatest of the numbers <xs>
give* the second largest element of [<xs>]
tell* which of the numbers <xs> is the second largest
''', '''
the second largest number in <xs>
the second largest element of the list [<xs>]
the second biggest of the numbers <xs>
finding the second largest number of [<xs>]
the second highest number in <xs>
the second greatest of [<xs>]
'''), _en('''
show* the second largest of the numbers [<xs>]
tell* the second biggest number in <xs>
''', '''
finding the second highest of <xs>
'''), _tr('''
<xs> sayılarının ikinci en büyüğünü bul*
[<xs>] listesindeki ikinci en büyük sayıyı yazdır*
<xs> listesinin ikinci en büyük elemanını göster*
[<xs>] listesinde en büyükten sonraki en büyük sayıyı bul*
<xs> sayılarından ikinci büyük olanı yazdır*
[<xs>] listesinin ikinci en büyük değerini hesapla*
<xs> sayıları içinde ikinci en büyüğünü söyle*
''', '''
<xs> sayılarının ikinci en büyüğü
[<xs>] listesindeki ikinci en büyük sayı
<xs> listesinin ikinci en büyük elemanı
[<xs>] listesinin ikinci en büyük değeri
<xs> sayılarından ikinci büyük olan
[<xs>] listesinin ikinci en büyük sayısını bulma
'''), _tr('''
[<xs>] listesindeki ikinci en büyük elemanı bul*
<xs> sayılarının ikinci en büyüğünü göster*
''', '''
<xs> listesindeki ikinci en büyük değer
''')),
    _task("sum_list", {"xs": numbers()}, '''
numbers = [<xs>]
total = 0
for n in numbers:
    total += n
print(total)
''', _en('''
add* up the numbers <xs>
print* the sum of the list [<xs>]
calculate* the sum of <xs>
add* all the numbers of the list [<xs>]
find* the total of the numbers <xs>
compute* the sum of all elements of [<xs>]
sum* the numbers <xs>
''', '''
the sum of <xs>
the sum of the list [<xs>]
the total of the numbers <xs>
adding up the numbers of [<xs>]
adding the numbers <xs>
the sum of all elements of the list [<xs>]
'''), _en('''
compute* the total of the list [<xs>]
show* the sum of the numbers <xs>
''', '''
adding up <xs>
'''), _tr('''
<xs> sayılarını topla*
[<xs>] listesinin toplamını yazdır*
<xs> sayılarının toplamını hesapla*
[<xs>] listesindeki bütün sayıları topla*
<xs> listesinin toplamını bul*
[<xs>] listesinin elemanlarını toplayıp yazdır*
<xs> sayılarının toplamını göster*
''', '''
<xs> sayılarının toplamı
[<xs>] listesinin toplamı
<xs> sayılarını toplama
[<xs>] listesindeki sayıların toplamı
<xs> listesinin elemanlarının toplamı
[<xs>] listesini toplama
'''), _tr('''
<xs> listesinin elemanlarını topla*
[<xs>] listesindeki sayıların toplamını bul*
''', '''
<xs> listesindeki bütün sayıların toplamı
''')),
    _task("product_list", {"xs": numbers(3, 5, 1, 12)}, '''
numbers = [<xs>]
total = 1
for n in numbers:
    total *= n
print(total)
''', _en('''
multiply* the numbers <xs>
print* the product of the list [<xs>]
calculate* the product of <xs>
multiply* all the numbers of the list [<xs>]
find* the product of the numbers <xs>
compute* the product of all elements of [<xs>]
multiply* <xs> together
''', '''
the product of <xs>
the product of the list [<xs>]
the product of the numbers <xs>
multiplying the numbers of [<xs>]
multiplying <xs> together
the product of all elements of the list [<xs>]
'''), _en('''
show* the product of the numbers <xs>
multiply* the elements of [<xs>] together
''', '''
multiplying all the numbers <xs>
'''), _tr('''
<xs> sayılarını çarp*
[<xs>] listesinin çarpımını yazdır*
<xs> sayılarının çarpımını hesapla*
[<xs>] listesindeki bütün sayıları çarp*
<xs> listesinin çarpımını bul*
[<xs>] listesinin elemanlarını çarpıp yazdır*
<xs> sayılarını birbiriyle çarp*
''', '''
<xs> sayılarının çarpımı
[<xs>] listesinin çarpımı
<xs> sayılarını çarpma
[<xs>] listesindeki sayıların çarpımı
<xs> listesinin elemanlarının çarpımı
[<xs>] listesindeki sayıları birbiriyle çarpma
'''), _tr('''
<xs> listesinin elemanlarını çarp*
[<xs>] listesindeki sayıların çarpımını bul*
''', '''
<xs> listesindeki bütün sayıların çarpımı
''')),
    _task("median", {"xs": numbers()}, '''
numbers = sorted([<xs>])
n = len(numbers)
i = n // 2
if n % 2 == 1:
    print(numbers[i])
else:
    print((numbers[i - 1] + numbers[i]) / 2)
''', _en('''
find* the median of <xs>
print* the median of the list [<xs>]
calculate* the median of the numbers <xs>
compute* the median of [<xs>]
give* the median value of <xs>
show* the median of the numbers in the list [<xs>]
sort* the numbers <xs> and print* the median
''', '''
the median of <xs>
the median of the list [<xs>]
the median value of <xs>
computing the median of [<xs>]
the median of the numbers <xs>
finding the median value of the list [<xs>]
'''), _en('''
display* the median value of the list [<xs>]
compute* the median of the numbers <xs>
''', '''
calculating the median of <xs>
'''), _tr('''
<xs> sayılarının medyanını bul*
[<xs>] listesinin medyanını yazdır*
<xs> sayılarının medyanını hesapla*
[<xs>] listesinin ortanca değerini bul*
<xs> sayılarının ortancasını göster*
[<xs>] listesindeki sayıların medyanını hesapla*
<xs> listesini sıralayıp medyanı yazdır*
''', '''
<xs> sayılarının medyanı
[<xs>] listesinin medyanı
<xs> sayılarının ortanca değeri
[<xs>] listesinin ortancası
<xs> listesinin medyanını bulma
[<xs>] listesindeki sayıların medyanı
'''), _tr('''
<xs> listesinin medyanını göster*
[<xs>] listesinin ortancasını hesapla*
''', '''
<xs> sayılarının medyan değeri
''')),
    _task("even_in_list", {"xs": numbers()}, '''
numbers = [<xs>]
result = []
for n in numbers:
    if n % 2 == 0:
        result.append(n)
print(result)
''', _en('''
print* the even numbers in the list <xs>
find* the even numbers of the list [<xs>]
show* only the even numbers among <xs>
filter* the even numbers out of [<xs>]
pick* the even ones from the numbers <xs>
list* which of the numbers [<xs>] are even
keep* only the even numbers of <xs>
''', '''
the even numbers in the list <xs>
the even numbers of [<xs>]
the even numbers among <xs>
filtering the even numbers of the list [<xs>]
picking the even ones from <xs>
finding the even numbers in [<xs>]
'''), _en('''
show* which of the numbers <xs> are even
pick* only the even numbers of the list [<xs>]
''', '''
the even ones among the numbers <xs>
'''), _tr('''
<xs> listesindeki çift sayıları yazdır*
[<xs>] listesindeki çift sayıları bul*
<xs> sayılarından çift olanları göster*
[<xs>] listesinden sadece çift sayıları seç*
<xs> sayılarının çift olanlarını listele*
[<xs>] listesindeki çift elemanları yazdır*
<xs> sayıları arasından çift olanları ayır*
''', '''
<xs> listesindeki çift sayılar
[<xs>] listesinin çift sayıları
<xs> sayılarından çift olanlar
[<xs>] listesinden çift sayıları seçme
<xs> sayıları arasındaki çift sayılar
[<xs>] listesindeki çift elemanlar
'''), _tr('''
[<xs>] listesinden çift olanları seç*
<xs> sayıları arasındaki çift sayıları göster*
''', '''
<xs> sayılarının çift olanları
''')),
    _task("cumulative_sums", {"xs": numbers()}, '''
numbers = [<xs>]
total = 0
result = []
for n in numbers:
    total += n
    result.append(total)
print(result)
''', _en('''
print* the cumulative sums of <xs>
calculate* the cumulative sum of the list [<xs>]
print* the running total of <xs>
show* the running sums of the list [<xs>]
compute* the cumulative sums of the numbers <xs>
list* the running totals of [<xs>]
find* the partial sums of <xs>
''', '''
the cumulative sums of <xs>
the cumulative sum of the list [<xs>]
the running total of <xs>
the running sums of the numbers [<xs>]
computing the cumulative sums of [<xs>]
the partial sums of <xs>
'''), _en('''
display* the running totals of the numbers <xs>
list* the cumulative sums of [<xs>]
''', '''
the running totals of the list <xs>
'''), _tr('''
<xs> sayılarının kümülatif toplamlarını yazdır*
[<xs>] listesinin kümülatif toplamını hesapla*
<xs> sayılarının birikimli toplamlarını göster*
[<xs>] listesinin ara toplamlarını listele*
<xs> listesinin birikimli toplamını bul*
[<xs>] listesindeki sayıların kümülatif toplamlarını hesapla*
<xs> sayılarını üst üste toplayıp her ara toplamı yazdır*
''', '''
<xs> sayılarının kümülatif toplamları
[<xs>] listesinin kümülatif toplamı
<xs> sayılarının birikimli toplamları
[<xs>] listesinin ara toplamları
<xs> listesinin birikimli toplamı
[<xs>] listesindeki sayıların kümülatif toplamı
'''), _tr('''
<xs> listesinin kümülatif toplamlarını göster*
[<xs>] listesinin birikimli toplamlarını yazdır*
''', '''
<xs> sayılarının ara toplamları
''')),
    _task("square_each", {"xs": numbers(4, 7, 1, 30)}, '''
numbers = [<xs>]
result = []
for n in numbers:
    result.append(n * n)
print(result)
''', _en('''
square* each number of <xs>
print* the squares of the numbers in [<xs>]
square* every number in the list [<xs>]
show* the square of each of the numbers <xs>
calculate* the squares of the list [<xs>]
print* the list <xs> with every number squared
multiply* each number of [<xs>] by itself
''', '''
squaring each number of <xs>
the squares of the numbers in [<xs>]
the square of each number in the list <xs>
squaring every number of the list [<xs>]
the squares of the list <xs>
the list [<xs>] with each number squared
'''), _en('''
calculate* the square of every number in <xs>
square* all the numbers of the list [<xs>]
''', '''
the square of every number in [<xs>]
'''), _tr('''
<xs> sayılarının karelerini yazdır*
[<xs>] listesindeki her sayının karesini al*
<xs> listesindeki sayıların karelerini hesapla*
[<xs>] listesinin her elemanının karesini göster*
<xs> sayılarının her birinin karesini bul*
[<xs>] listesindeki her sayıyı kendisiyle çarp*
<xs> sayılarının karelerini listele*
''', '''
<xs> sayılarının kareleri
[<xs>] listesindeki her sayının karesi
<xs> listesindeki sayıların kareleri
[<xs>] listesinin elemanlarının kareleri
<xs> sayılarının karesini alma
[<xs>] listesindeki her elemanın karesi
'''), _tr('''
<xs> listesindeki her sayının karesini hesapla*
[<xs>] listesindeki sayıların karelerini göster*
''', '''
<xs> sayılarının her birinin karesi
''')),
    _task("common_elements", {"xs": numbers(4, 6, 1, 20), "ys": numbers(4, 6, 1, 20)}, '''
a = [<xs>]
b = [<ys>]
result = sorted(set(a) & set(b))
print(result)
''', _en('''
find* the common elements of [<xs>] and [<ys>]
print* the numbers that are in both [<xs>] and [<ys>]
print* the common numbers of the lists [<xs>] and [<ys>]
show* which numbers the lists [<xs>] and [<ys>] have in common
list* the elements that [<xs>] and [<ys>] share
compute* the intersection of [<xs>] and [<ys>]
find* what the two lists [<xs>] and [<ys>] have in common
''', '''
the common elements of [<xs>] and [<ys>]
the numbers in both [<xs>] and [<ys>]
the intersection of the lists [<xs>] and [<ys>]
finding the common numbers of [<xs>] and [<ys>]
the elements that the two lists [<xs>] and [<ys>] share
what [<xs>] and [<ys>] have in common
'''), _en('''
show* the numbers that the lists [<xs>] and [<ys>] share
list* the common elements of the two lists [<xs>] and [<ys>]
''', '''
finding the intersection of [<xs>] and [<ys>]
'''), _tr('''
[<xs>] ve [<ys>] listelerinin ortak elemanlarını bul*
[<xs>] ile [<ys>] listelerindeki ortak sayıları yazdır*
hem [<xs>] hem [<ys>] listesinde olan sayıları göster*
[<xs>] ve [<ys>] listelerinin kesişimini hesapla*
[<xs>] ile [<ys>] listelerinin ortak sayılarını listele*
iki listenin, [<xs>] ve [<ys>], ortak elemanlarını yazdır*
[<xs>] ve [<ys>] listelerinin ikisinde de bulunan sayıları bul*
''', '''
[<xs>] ve [<ys>] listelerinin ortak elemanları
[<xs>] ile [<ys>] listelerindeki ortak sayılar
[<xs>] ve [<ys>] listelerinin kesişimi
hem [<xs>] hem [<ys>] listesinde olan sayılar
[<xs>] ile [<ys>] listelerinin ortak sayılarını bulma
[<xs>] ve [<ys>] listelerinin ikisinde de bulunan sayılar
'''), _tr('''
[<xs>] ile [<ys>] listelerinin kesişimini göster*
[<xs>] ve [<ys>] listelerindeki ortak elemanları listele*
''', '''
[<xs>] ile [<ys>] listelerinin kesişimini bulma
''')),
    _task("bubble_sort", {"xs": numbers()}, '''
numbers = [<xs>]
n = len(numbers)
for i in range(n):
    for j in range(n - 1 - i):
        if numbers[j] > numbers[j + 1]:
            numbers[j], numbers[j + 1] = numbers[j + 1], numbers[j]
print(numbers)
''', _en('''
sort* <xs> with bubble sort
bubble sort* the list [<xs>]
use* bubble sort on the numbers <xs>
sort* the list [<xs>] using the bubble sort algorithm
run* bubble sort on [<xs>] and print* the sorted list
implement* bubble sort for the numbers <xs>
order* the numbers <xs> by bubble sort
''', '''
bubble sort of <xs>
a bubble sort of the list [<xs>]
sorting <xs> with bubble sort
the bubble sort algorithm on [<xs>]
bubble sorting the numbers <xs>
sorting the list [<xs>] by the bubble sort method
'''), _en('''
apply* bubble sort to the list [<xs>]
sort* the numbers <xs> using bubble sort
''', '''
bubble sort on the numbers [<xs>]
'''), _tr('''
<xs> sayılarını kabarcık sıralaması ile sırala*
[<xs>] listesini bubble sort ile sırala*
<xs> listesine kabarcık sıralaması uygula*
[<xs>] listesini kabarcık sıralama algoritmasıyla sırala*
<xs> sayılarını bubble sort algoritmasıyla sıralayıp yazdır*
[<xs>] listesi üzerinde bubble sort çalıştır*
<xs> sayılarını kabarcık yöntemiyle sırala*
''', '''
<xs> sayılarının kabarcık sıralaması
[<xs>] listesini bubble sort ile sıralama
<xs> listesinde kabarcık sıralama algoritması
[<xs>] listesinin bubble sort ile sıralanması
<xs> sayılarını kabarcık yöntemiyle sıralama
[<xs>] listesi üzerinde kabarcık sıralaması
'''), _tr('''
<xs> sayılarına bubble sort uygula*
[<xs>] listesini kabarcık sıralaması ile sıralayıp göster*
''', '''
<xs> listesini kabarcık sıralaması ile sıralama
''')),
    _task("count_in_list", {"x": integer(1, 9), "xs": numbers(5, 8, 1, 9)}, '''
numbers = [<xs>]
count = numbers.count(<x>)
print(count)
''', _en('''
count* how many times <x> is in [<xs>]
print* how many times the number <x> appears in the list [<xs>]
count* the number <x> in <xs>
find* how often <x> occurs in the list [<xs>]
show* how often the number <x> is in the list <xs>
print* the count of <x> in [<xs>]
calculate* how many times the list <xs> contains <x>
''', '''
counting <x> in [<xs>]
how many times the number <x> appears in [<xs>]
the count of <x> in the list <xs>
how often <x> occurs in the list [<xs>]
counting the number <x> in the list <xs>
how often the number <x> is in <xs>
'''), _en('''
tell* how often the number <x> appears in [<xs>]
show* the count of <x> in the list <xs>
''', '''
counting how many times <x> is in <xs>
'''), _tr('''
[<xs>] listesinde <x> sayısının kaç kez geçtiğini yazdır*
<xs> listesinde kaç tane <x> olduğunu say*
[<xs>] listesindeki <x> sayılarını say*
<x> sayısının <xs> listesinde kaç defa geçtiğini bul*
[<xs>] listesinde kaç tane <x> olduğunu göster*
<xs> sayıları arasında kaç kere <x> olduğunu hesapla*
[<xs>] listesinde kaç kez <x> sayısı geçtiğini bul*
''', '''
[<xs>] listesinde <x> sayısının kaç kez geçtiği
<xs> listesindeki <x> sayılarını sayma
[<xs>] listesinde kaç tane <x> olduğu
<x> sayısının <xs> listesinde geçme sayısı
[<xs>] listesinde <x> sayısının kaç defa olduğu
<xs> sayıları arasında kaç tane <x> olduğu
'''), _tr('''
<xs> listesinde <x> sayısının kaç defa geçtiğini göster*
[<xs>] listesinde kaç kere <x> geçtiğini say*
''', '''
[<xs>] listesindeki <x> sayısının geçme sayısı
''')),
)

TASKS: tuple[Task, ...] = _WORDS + _SENTENCES + _DRAWINGS + _LISTS
