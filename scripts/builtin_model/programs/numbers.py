"""Programs about numbers: sequences, primes, sums, digits, bases, conversions, simple geometry."""

from __future__ import annotations

import random

from .params import integer, numbers
from .task import Phrases, Sampler, Task

ALSO = (" and print ", " and show ", " and display ")
PARTICIPLES = {
    "yazdır": "yazdıran", "hesapla": "hesaplayan", "bul": "bulan", "göster": "gösteren", "listele": "listeleyen",
    "çevir": "çeviren", "dönüştür": "dönüştüren", "et": "eden", "söyle": "söyleyen", "topla": "toplayan",
    "sırala": "sıralayan", "yaz": "yazan", "belirle": "belirleyen", "say": "sayan", "yap": "yapan", "ayır": "ayıran",
    "oluştur": "oluşturan", "oyna": "oynayan",
}


def lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.strip().splitlines())


def third_person(wish: str) -> str:
    """``compute and print the sum`` -> ``computes and prints the sum``."""
    verb, rest = wish.split(" ", 1)
    verb = verb[:-1] + "ies" if verb == "multiply" else verb + "s"
    for also in ALSO:
        if rest.startswith(also.lstrip()):
            rest = also.strip() + "s " + rest[len(also) - 1:]
    return f"{verb} {rest}"


def participle(wish: str) -> str:
    """``faktöriyelini hesapla`` -> ``faktöriyelini hesaplayan``."""
    rest, verb = wish.rsplit(" ", 1)
    return f"{rest} {PARTICIPLES[verb]}"


def english(do: str, thing: str) -> Phrases:
    wishes = lines(do)
    return Phrases(does=tuple(map(third_person, wishes)), do=wishes, thing=lines(thing))


def turkish(do: str, thing: str) -> Phrases:
    wishes = lines(do)
    return Phrases(does=tuple(map(participle, wishes)), do=wishes, thing=lines(thing))


def either(*samplers: Sampler) -> Sampler:
    return lambda rng: rng.choice(samplers)(rng)


def position(rng: random.Random) -> str:
    """Return a position whose English ordinal ends in ``th``."""
    return str(rng.choice([n for n in range(4, 61) if n % 10 not in (1, 2, 3) or n in (11, 12, 13)]))


def mirrored(rng: random.Random) -> str:
    half = str(rng.randint(1, 99))
    return half + half[::-1][rng.randint(0, 1):] if len(half) > 1 else half * rng.randint(2, 5)


def binary(rng: random.Random) -> str:
    return f"{rng.randint(4, 1023):b}"


TASKS: tuple[Task, ...] = (
    Task(
        "fibonacci_first", {"n": integer(3, 45)},
        """a = 0
b = 1
for i in range(<n>):
    print(a)
    a, b = b, a + b
""",
        english("""print the first <n> Fibonacci numbers
            show the first <n> numbers of the Fibonacci sequence
            list the first <n> Fibonacci numbers
            display the first <n> terms of the Fibonacci series
            compute and print the first <n> Fibonacci numbers
            output <n> Fibonacci numbers
            generate the Fibonacci sequence with <n> terms
            print <n> terms of Fibonacci""",
            """the first <n> Fibonacci numbers
            the first <n> terms of the Fibonacci sequence
            <n> Fibonacci numbers
            printing the first <n> Fibonacci numbers
            the Fibonacci sequence with <n> terms
            a Fibonacci series of <n> numbers
            fibonacci, first <n> terms"""),
        turkish("""ilk <n> Fibonacci sayısını yazdır
            ilk <n> Fibonacci sayısını göster
            Fibonacci dizisinin ilk <n> terimini yazdır
            Fibonacci dizisinin ilk <n> sayısını listele
            <n> tane Fibonacci sayısı yazdır
            ilk <n> Fibonacci sayısını hesaplayıp yazdır
            Fibonacci serisinin ilk <n> elemanını bul
            <n> terimli Fibonacci dizisini oluştur""",
            """ilk <n> Fibonacci sayısı
            Fibonacci dizisinin ilk <n> terimi
            Fibonacci serisinin ilk <n> sayısı
            <n> terimli Fibonacci dizisi
            <n> tane Fibonacci sayısı
            Fibonacci dizisinin ilk <n> elemanı"""),
        english("""give the first <n> members of the Fibonacci sequence
            find and print <n> numbers of the Fibonacci series""", "a list of the first <n> Fibonacci numbers"),
        turkish("""Fibonacci serisinin ilk <n> terimini listele
            ekrana ilk <n> Fibonacci sayısını yaz""", "Fibonacci serisinin ilk <n> terimi"),
    ),
    Task(
        "fibonacci_below", {"n": integer(10, 999)},
        """a = 0
b = 1
while a < <n>:
    print(a)
    a, b = b, a + b
""",
        english("""print the Fibonacci numbers below <n>
            print all Fibonacci numbers less than <n>
            list the Fibonacci numbers smaller than <n>
            show every Fibonacci number under <n>
            display the Fibonacci sequence below <n>
            find all Fibonacci numbers below <n>
            output the Fibonacci series as long as it is less than <n>""",
            """the Fibonacci numbers below <n>
            all Fibonacci numbers less than <n>
            the Fibonacci numbers smaller than <n>
            every Fibonacci number under <n>
            the Fibonacci sequence below <n>
            finding the Fibonacci numbers below <n>"""),
        turkish("""<n> sayısından küçük Fibonacci sayılarını yazdır
            <n> sayısından küçük tüm Fibonacci sayılarını listele
            <n> altındaki Fibonacci sayılarını göster
            değeri <n> sayısından küçük olan Fibonacci sayılarını bul
            <n> sayısının altındaki Fibonacci sayılarını yazdır
            Fibonacci dizisinin <n> sayısından küçük terimlerini yazdır""",
            """<n> sayısından küçük Fibonacci sayıları
            <n> altındaki Fibonacci sayıları
            <n> sayısından küçük tüm Fibonacci sayıları
            Fibonacci dizisinin <n> sayısından küçük terimleri
            <n> sayısının altındaki Fibonacci sayıları
            değeri <n> sayısından küçük Fibonacci sayıları"""),
        english("show all numbers of the Fibonacci sequence smaller than <n>",
                "Fibonacci numbers that are less than <n>"),
        turkish("<n> altındaki tüm Fibonacci sayılarını listele", "<n> altındaki bütün Fibonacci sayıları"),
    ),
    Task(
        "primes_up_to", {"n": integer(10, 300)},
        """def is_prime(n):
    for i in range(2, n):
        if n % i == 0:
            return False
    return n > 1


for i in range(2, <n> + 1):
    if is_prime(i):
        print(i)
""",
        english("""print the prime numbers up to <n>
            print all primes up to <n>
            list the primes from 1 to <n>
            show all prime numbers between 1 and <n>
            find every prime up to <n>
            display the primes from 2 to <n>
            output all the prime numbers until <n>
            find and print all prime numbers up to <n>""",
            """the prime numbers up to <n>
            all primes up to <n>
            primes from 1 to <n>
            prime numbers between 1 and <n>
            finding every prime up to <n>
            listing the primes until <n>
            a list of all primes up to <n>"""),
        turkish("""<n> sayısına kadar olan asal sayıları yazdır
            <n> sayısına kadar tüm asal sayıları listele
            1 ile <n> arasındaki asal sayıları bul
            1 ile <n> arasındaki tüm asal sayıları yazdır
            <n> sayısına kadar olan asalları göster
            2 ile <n> arasındaki asal sayıları ekrana yazdır
            <n> sayısına kadar asal sayıları bulup yazdır""",
            """<n> sayısına kadar olan asal sayılar
            <n> sayısına kadar tüm asal sayılar
            1 ile <n> arasındaki asal sayılar
            1 ile <n> arasındaki asallar
            <n> sayısına kadar asal sayıların listesi
            2 ile <n> arasındaki tüm asal sayılar"""),
        english("""show every prime number from 1 to <n>
            give all primes between 2 and <n>""", "every prime number up to <n>"),
        turkish("""1 ile <n> arasındaki asalları listele
            <n> sayısına kadar bütün asal sayıları göster""", "<n> sayısına kadar bütün asallar"),
    ),
    Task(
        "first_primes", {"n": integer(3, 80)},
        """def is_prime(n):
    for i in range(2, n):
        if n % i == 0:
            return False
    return n > 1


count = 0
i = 2
while count < <n>:
    if is_prime(i):
        print(i)
        count += 1
    i += 1
""",
        english("""print the first <n> prime numbers
            print the first <n> primes
            list the first <n> primes
            show the first <n> prime numbers
            find the first <n> primes
            compute and print the first <n> prime numbers
            display <n> prime numbers
            output the <n> smallest primes""",
            """the first <n> prime numbers
            the first <n> primes
            finding the first <n> primes
            a list of the first <n> primes
            the <n> smallest prime numbers
            <n> prime numbers"""),
        turkish("""ilk <n> asal sayıyı yazdır
            ilk <n> asal sayıyı bul
            ilk <n> asal sayıyı listele
            ilk <n> asal sayıyı göster
            en küçük <n> asal sayıyı yazdır
            <n> tane asal sayı yazdır
            baştan <n> asal sayıyı hesapla
            ilk <n> asal sayıyı bulup yazdır""",
            """ilk <n> asal sayı
            ilk <n> asal sayının listesi
            en küçük <n> asal sayı
            <n> tane asal sayı
            ilk <n> asal
            ilk <n> asal sayıyı bulma"""),
        english("""give the first <n> primes
            find and print the first <n> prime numbers""", "listing the first <n> prime numbers"),
        turkish("ilk <n> asal sayıyı ekrana yaz", "baştan <n> asal sayı"),
    ),
    Task(
        "is_prime", {"n": integer(2, 999)},
        """def is_prime(n):
    for i in range(2, n):
        if n % i == 0:
            return False
    return n > 1


if is_prime(<n>):
    print("prime")
else:
    print("not prime")
""",
        english("""check if <n> is prime
            check whether <n> is a prime number
            test if <n> is a prime
            tell whether <n> is prime or not
            find out if <n> is a prime number
            determine whether <n> is prime
            say if the number <n> is prime
            show if <n> is a prime number or not""",
            """checking if <n> is prime
            checking whether <n> is a prime number
            testing if <n> is a prime
            a prime test for <n>
            finding out whether <n> is prime or not
            a check that <n> is prime"""),
        turkish("""<n> sayısının asal olup olmadığını kontrol et
            <n> sayısının asal olup olmadığını söyle
            <n> asal mı diye kontrol et
            <n> sayısı asal mı değil mi söyle
            <n> sayısının asal sayı olup olmadığını göster
            <n> sayısının asal olup olmadığını belirle
            <n> için asallık testi yap""",
            """<n> sayısının asal olup olmadığı
            <n> sayısının asallık testi
            <n> sayısının asal olup olmadığını kontrol etme
            <n> sayısının asal olup olmadığını bulma
            <n> sayısının asallık kontrolü
            <n> için asallık testi"""),
        english("test whether the number <n> is prime", "testing whether <n> is prime"),
        turkish("<n> sayısı asal mı söyle", "<n> için asallık kontrolü"),
    ),
    Task(
        "factorial", {"n": integer(2, 60)},
        """def factorial(n):
    result = 1
    for i in range(1, n + 1):
        result *= i
    return result


print(factorial(<n>))
""",
        english("""compute the factorial of <n>
            print the factorial of <n>
            calculate <n> factorial
            find the factorial of the number <n>
            show <n>!
            compute and print <n>!
            multiply all numbers from 1 to <n>
            work out the factorial of <n>
            print the product of the numbers from 1 to <n>""",
            """the factorial of <n>
            <n> factorial
            <n>!
            computing the factorial of <n>
            calculating <n>!
            the product of all numbers from 1 to <n>
            the factorial of the number <n>"""),
        turkish("""<n> sayısının faktöriyelini hesapla
            <n> sayısının faktöriyelini yazdır
            <n> faktöriyeli bul
            <n> faktöriyeli hesapla
            <n> faktöriyel değerini göster
            <n> sayısının faktöriyelini bulup yazdır
            1 ile <n> arasındaki sayıların çarpımını hesapla
            <n>! değerini hesapla""",
            """<n> sayısının faktöriyeli
            <n> faktöriyel
            <n> faktöriyel hesabı
            <n>! değeri
            <n> sayısının faktöriyelini hesaplama
            1 ile <n> arasındaki sayıların çarpımı"""),
        english("""give the value of <n> factorial
            calculate and show the factorial of <n>""", "finding the factorial of <n>"),
        turkish("<n> sayısının faktöriyelini bul", "<n> sayısının faktöriyel hesabı"),
    ),
    Task(
        "sum_to", {"n": integer(5, 999)},
        """total = 0
for i in range(1, <n> + 1):
    total += i
print(total)
""",
        english("""compute the sum of the numbers from 1 to <n>
            print the sum of all numbers from 1 to <n>
            add up the numbers from 1 to <n>
            calculate the total of the integers from 1 to <n>
            find the sum of the first <n> whole numbers
            sum all the numbers up to <n>
            show 1 + 2 + ... + <n>
            add all integers between 1 and <n>""",
            """the sum of the numbers from 1 to <n>
            the sum of all numbers up to <n>
            adding up the numbers from 1 to <n>
            the total of the integers from 1 to <n>
            summing 1 to <n>
            the sum of the first <n> whole numbers"""),
        turkish("""1 ile <n> arasındaki sayıların toplamını hesapla
            1 ile <n> arasındaki sayıları topla
            <n> sayısına kadar olan sayıların toplamını yazdır
            <n> sayısına kadar tüm sayıları topla
            1 ile <n> arasındaki tam sayıların toplamını bul
            ilk <n> doğal sayının toplamını hesapla
            1 ile <n> arasındaki tüm sayıların toplamını göster""",
            """1 ile <n> arasındaki sayıların toplamı
            <n> sayısına kadar olan sayıların toplamı
            <n> sayısına kadar tüm sayıların toplamı
            1 ile <n> arasındaki tam sayıların toplamı
            ilk <n> doğal sayının toplamı
            1 ile <n> arasındaki sayıları toplama"""),
        english("""calculate the sum of the integers up to <n>
            add the whole numbers from 1 to <n>""", "the total of all numbers from 1 to <n>"),
        turkish("<n> sayısına kadar olan doğal sayıların toplamını hesapla",
                "1 ile <n> arasındaki doğal sayıların toplamı"),
    ),
    Task(
        "sum_even", {"n": integer(5, 999)},
        """total = 0
for i in range(2, <n> + 1, 2):
    total += i
print(total)
""",
        english("""compute the sum of the even numbers up to <n>
            print the sum of all even numbers from 1 to <n>
            add up the even numbers up to <n>
            calculate the sum of even numbers between 1 and <n>
            find the total of the even numbers up to <n>
            sum the even numbers from 1 to <n>
            show the sum of every even number up to <n>""",
            """the sum of the even numbers up to <n>
            the sum of all even numbers from 1 to <n>
            adding up the even numbers up to <n>
            the total of the even numbers between 1 and <n>
            summing even numbers up to <n>
            the sum of every even number up to <n>"""),
        turkish("""<n> sayısına kadar olan çift sayıların toplamını hesapla
            <n> sayısına kadar çift sayıları topla
            1 ile <n> arasındaki çift sayıların toplamını yazdır
            1 ile <n> arasındaki çift sayıları topla
            <n> sayısına kadar tüm çift sayıların toplamını bul
            1 ile <n> arasındaki bütün çift sayıların toplamını göster""",
            """<n> sayısına kadar olan çift sayıların toplamı
            1 ile <n> arasındaki çift sayıların toplamı
            <n> sayısına kadar tüm çift sayıların toplamı
            çift sayıların <n> sayısına kadar toplamı
            1 ile <n> arasındaki çift sayıları toplama
            <n> sayısına kadar çift sayı toplamı"""),
        english("calculate the total of all even numbers from 1 to <n>", "the total of all even numbers up to <n>"),
        turkish("<n> sayısına kadar bütün çift sayıların toplamını yazdır",
                "1 ile <n> arasındaki tüm çift sayıların toplamı"),
    ),
    Task(
        "gcd", {"a": integer(4, 300), "b": integer(4, 300)},
        """def gcd(a, b):
    while b > 0:
        a, b = b, a % b
    return a


print(gcd(<a>, <b>))
""",
        english("""compute the greatest common divisor of <a> and <b>
            find the gcd of <a> and <b>
            print the gcd of <a> and <b>
            calculate the greatest common divisor of the numbers <a> and <b>
            show the highest common factor of <a> and <b>
            find the largest number that divides both <a> and <b>
            work out the greatest common factor of <a> and <b>""",
            """the greatest common divisor of <a> and <b>
            the gcd of <a> and <b>
            gcd of <a>, <b>
            the highest common factor of <a> and <b>
            finding the gcd of <a> and <b>
            computing the greatest common divisor of <a> and <b>
            the greatest common factor of <a> and <b>"""),
        turkish("""<a> ile <b> sayılarının en büyük ortak bölenini bul
            <a> ve <b> sayılarının en büyük ortak bölenini hesapla
            <a> ve <b> sayılarının EBOB değerini yazdır
            <a> ile <b> için EBOB hesapla
            <a> ile <b> sayılarının ebob değerini bul
            <a> ve <b> sayılarını bölen en büyük sayıyı bul
            <a> ve <b> için en büyük ortak böleni göster""",
            """<a> ile <b> sayılarının en büyük ortak böleni
            <a> ve <b> sayılarının en büyük ortak böleni
            <a> ve <b> sayılarının EBOB değeri
            <a> ile <b> sayılarının ebob değeri
            <a> ile <b> sayılarının EBOB hesabı
            <a> ve <b> sayılarını bölen en büyük sayı"""),
        english("calculate the gcd of the two numbers <a> and <b>", "calculating the gcd of <a> and <b>"),
        turkish("<a> ile <b> sayılarının EBOB değerini hesapla", "<a> ve <b> sayılarının EBOB hesabı"),
    ),
    Task(
        "lcm", {"a": integer(2, 99), "b": integer(2, 99)},
        """def gcd(a, b):
    while b > 0:
        a, b = b, a % b
    return a


print(<a> * <b> // gcd(<a>, <b>))
""",
        english("""compute the least common multiple of <a> and <b>
            find the lcm of <a> and <b>
            print the lcm of <a> and <b>
            calculate the least common multiple of the numbers <a> and <b>
            show the lowest common multiple of <a> and <b>
            find the smallest number divisible by both <a> and <b>
            work out the smallest common multiple of <a> and <b>""",
            """the least common multiple of <a> and <b>
            the lcm of <a> and <b>
            lcm of <a>, <b>
            the lowest common multiple of <a> and <b>
            finding the lcm of <a> and <b>
            computing the least common multiple of <a> and <b>
            the smallest common multiple of <a> and <b>"""),
        turkish("""<a> ile <b> sayılarının en küçük ortak katını bul
            <a> ve <b> sayılarının en küçük ortak katını hesapla
            <a> ve <b> sayılarının EKOK değerini yazdır
            <a> ile <b> için EKOK hesapla
            <a> ile <b> sayılarının ekok değerini bul
            <a> ve <b> sayılarına bölünen en küçük sayıyı bul
            <a> ve <b> için en küçük ortak katı göster""",
            """<a> ile <b> sayılarının en küçük ortak katı
            <a> ve <b> sayılarının en küçük ortak katı
            <a> ve <b> sayılarının EKOK değeri
            <a> ile <b> sayılarının ekok değeri
            <a> ile <b> sayılarının EKOK hesabı
            <a> ve <b> sayılarına bölünen en küçük sayı"""),
        english("calculate the lcm of the two numbers <a> and <b>", "calculating the lcm of <a> and <b>"),
        turkish("<a> ile <b> sayılarının EKOK değerini hesapla", "<a> ve <b> sayılarının EKOK hesabı"),
    ),
    Task(
        "prime_factors", {"n": integer(10, 9999)},
        """n = <n>
i = 2
while n > 1:
    if n % i == 0:
        print(i)
        n = n // i
    else:
        i += 1
""",
        english("""print the prime factors of <n>
            find the prime factors of <n>
            list the prime factors of the number <n>
            compute the prime factorization of <n>
            split <n> into prime factors
            show the prime factorization of <n>
            factor <n> into primes""",
            """the prime factors of <n>
            the prime factorization of <n>
            finding the prime factors of <n>
            splitting <n> into prime factors
            factoring <n> into primes
            the prime factors of the number <n>"""),
        turkish("""<n> sayısının asal çarpanlarını bul
            <n> sayısının asal çarpanlarını yazdır
            <n> sayısını asal çarpanlarına ayır
            <n> sayısının asal çarpanlarını listele
            <n> sayısının tüm asal çarpanlarını göster
            <n> sayısının asal çarpanlarını hesapla""",
            """<n> sayısının asal çarpanları
            <n> sayısının asal çarpanlara ayrılması
            <n> sayısının tüm asal çarpanları
            <n> sayısının asal çarpan listesi
            <n> sayısını asal çarpanlarına ayırma
            <n> sayısının asal çarpanlarını bulma"""),
        english("find and print all prime factors of <n>", "a list of the prime factors of <n>"),
        turkish("<n> sayısını asal çarpanlarına ayırıp yazdır", "<n> sayısının asal çarpanlarının listesi"),
    ),
    Task(
        "divisors", {"n": integer(6, 500)},
        """n = <n>
for i in range(1, n + 1):
    if n % i == 0:
        print(i)
""",
        english("""print the divisors of <n>
            list all divisors of <n>
            find the divisors of the number <n>
            show all numbers that divide <n>
            display every divisor of <n>
            compute and print all the divisors of <n>
            find every number that divides <n>""",
            """the divisors of <n>
            all divisors of <n>
            finding the divisors of the number <n>
            all numbers that divide <n>
            every divisor of <n>
            a list of divisors of <n>"""),
        turkish("""<n> sayısının bölenlerini yazdır
            <n> sayısının tüm bölenlerini bul
            <n> sayısının bölenlerini listele
            <n> sayısını bölen sayıları yazdır
            <n> sayısını tam bölen tüm sayıları göster
            <n> sayısının bütün bölenlerini yazdır""",
            """<n> sayısının bölenleri
            <n> sayısının tüm bölenleri
            <n> sayısını bölen sayılar
            <n> sayısını tam bölen tüm sayılar
            <n> sayısının bölen listesi
            <n> sayısının bölenlerini bulma"""),
        english("output all the divisors of <n>", "listing every divisor of <n>"),
        turkish("<n> sayısının bölenlerini bulup göster", "<n> sayısının bütün bölenleri"),
    ),
    Task(
        "collatz", {"n": integer(3, 300)},
        """n = <n>
print(n)
while n > 1:
    if n % 2 == 0:
        n = n // 2
    else:
        n = 3 * n + 1
    print(n)
""",
        english("""print the Collatz sequence of <n>
            show the Collatz sequence starting at <n>
            list the Collatz numbers from <n> down to 1
            compute the Collatz sequence for <n>
            display the Collatz steps of <n>
            print the Collatz sequence that starts with <n>
            generate the 3n + 1 sequence of <n>""",
            """the Collatz sequence of <n>
            the Collatz sequence starting at <n>
            the Collatz numbers from <n> down to 1
            computing the Collatz sequence for <n>
            the Collatz steps of <n>
            the 3n + 1 sequence of <n>"""),
        turkish("""<n> sayısının Collatz dizisini yazdır
            <n> ile başlayan Collatz dizisini göster
            <n> sayısından başlayan Collatz dizisini yazdır
            <n> için Collatz dizisini hesapla
            <n> sayısının Collatz adımlarını listele
            <n> için 3n + 1 dizisini oluştur""",
            """<n> sayısının Collatz dizisi
            <n> ile başlayan Collatz dizisi
            <n> sayısından başlayan Collatz dizisi
            <n> sayısının Collatz adımları
            <n> için Collatz hesabı
            <n> için 3n + 1 dizisi"""),
        english("output the Collatz sequence beginning with <n>", "printing the Collatz sequence of <n>"),
        turkish("<n> ile başlayan Collatz dizisini hesaplayıp yazdır", "<n> için Collatz adımları"),
    ),
    Task(
        "power", {"a": integer(2, 30), "b": integer(2, 30)},
        """result = 1
for i in range(<b>):
    result *= <a>
print(result)
""",
        english("""compute <a> to the power of <b>
            print <a> to the power <b>
            calculate <a> raised to the power of <b>
            raise <a> to the power of <b>
            find <a> to the power <b>
            show <a>^<b>
            work out <a> ** <b>
            take the number <a> to the power <b>""",
            """<a> to the power of <b>
            <a> to the power <b>
            <a> raised to <b>
            <a>^<b>
            computing <a> to the power of <b>
            the power <a> ** <b>
            raising <a> to the power <b>"""),
        turkish("""<a> üzeri <b> hesapla
            <a> üzeri <b> değerini yazdır
            <a> üzeri <b> işleminin sonucunu bul
            <a>^<b> değerini hesapla
            tabanı <a> ve üssü <b> olan sayıyı hesapla
            <a> üzeri <b> sonucunu göster
            <a> ** <b> değerini yazdır""",
            """<a> üzeri <b>
            <a> üzeri <b> işlemi
            <a> üzeri <b> değeri
            <a>^<b> hesabı
            tabanı <a> ve üssü <b> olan sayı
            <a> üzeri <b> hesaplama"""),
        english("calculate the power <a> to the <b>", "the value of <a> to the power <b>"),
        turkish("<a> üzeri <b> işlemini hesaplayıp yazdır", "<a> üzeri <b> işleminin sonucu"),
    ),
    Task(
        "digit_sum", {"n": integer(100, 99999)},
        """total = 0
for digit in "<n>":
    total += int(digit)
print(total)
""",
        english("""compute the sum of the digits of <n>
            print the digit sum of <n>
            add up the digits of <n>
            calculate the sum of the digits in <n>
            find the digit sum of the number <n>
            show the total of the digits of <n>
            sum the digits of <n>""",
            """the sum of the digits of <n>
            the digit sum of <n>
            adding up the digits of <n>
            summing the digits of <n>
            the total of the digits in <n>
            the digit sum of the number <n>"""),
        turkish("""<n> sayısının rakamları toplamını hesapla
            <n> sayısının rakamlarının toplamını bul
            <n> sayısının rakamlarını topla
            <n> sayısının rakamları toplamını yazdır
            <n> sayısındaki rakamları topla
            <n> sayısının basamakları toplamını göster""",
            """<n> sayısının rakamları toplamı
            <n> sayısının rakamlarının toplamı
            <n> sayısının rakamlarını toplama
            <n> sayısındaki rakamların toplamı
            <n> sayısının basamakları toplamı
            <n> sayısının rakam toplamı"""),
        english("add all the digits of the number <n>", "the sum of all digits in <n>"),
        turkish("<n> sayısındaki rakamların toplamını hesapla", "<n> sayısının tüm rakamlarının toplamı"),
    ),
    Task(
        "reverse_number", {"n": integer(100, 99999)},
        """n = <n>
result = 0
while n > 0:
    result = result * 10 + n % 10
    n = n // 10
print(result)
""",
        english("""reverse the number <n>
            print the number <n> backwards
            reverse the digits of <n>
            show the digits of the number <n> in reverse order
            print the reverse of the number <n>
            output the number <n> with its digits reversed
            turn the number <n> around""",
            """reversing the number <n>
            the number <n> backwards
            reversing the digits of <n>
            the reverse of the number <n>
            the digits of the number <n> in reverse order
            the number <n> with reversed digits"""),
        turkish("""<n> sayısını ters çevir
            <n> sayısının tersini yazdır
            <n> sayısının rakamlarını ters çevir
            <n> sayısının tersini bul
            <n> sayısını tersten yazdır
            <n> sayısının rakamlarını ters sırada göster""",
            """<n> sayısının tersi
            <n> sayısını ters çevirme
            <n> sayısının tersten yazılışı
            <n> sayısının rakamlarını ters çevirme
            <n> sayısının ters çevrilmesi
            <n> sayısının ters sırada rakamları"""),
        english("display the digits of <n> backwards", "printing the number <n> in reverse order"),
        turkish("<n> sayısının rakamlarını tersten yazdır", "<n> sayısının rakamlarının ters çevrilmesi"),
    ),
    Task(
        "to_binary", {"n": integer(5, 999)},
        """n = <n>
result = ""
while n > 0:
    result = str(n % 2) + result
    n = n // 2
print(result)
""",
        english("""convert <n> to binary
            print <n> in binary
            show the number <n> in binary
            turn the decimal number <n> into binary
            find the binary form of <n>
            compute the binary representation of <n>
            write <n> in base 2
            convert the decimal number <n> to base 2""",
            """converting <n> to binary
            <n> in binary
            the binary form of <n>
            the binary representation of <n>
            turning the decimal number <n> into binary
            the number <n> in base 2"""),
        turkish("""<n> sayısını ikilik sisteme çevir
            <n> sayısını ikili sayıya çevir
            <n> sayısını ikilik tabanda yazdır
            <n> sayısının ikilik karşılığını bul
            <n> sayısını 2 tabanına çevir
            <n> sayısını ikilik sistemde göster
            onluk <n> sayısını ikilik sisteme dönüştür""",
            """<n> sayısının ikilik karşılığı
            <n> sayısını ikilik sisteme çevirme
            <n> sayısının ikilik tabandaki yazılışı
            <n> sayısının 2 tabanındaki karşılığı
            <n> sayısının ikilik sistemdeki değeri
            onluk <n> sayısının ikilik gösterimi"""),
        english("display the number <n> in base 2", "converting the decimal number <n> to binary"),
        turkish("<n> sayısını ikilik tabana dönüştür", "<n> sayısının ikilik sistemdeki karşılığı"),
    ),
    Task(
        "to_hex", {"n": integer(10, 9999)},
        """n = <n>
result = ""
while n > 0:
    result = "0123456789abcdef"[n % 16] + result
    n = n // 16
print(result)
""",
        english("""convert <n> to hexadecimal
            print <n> in hexadecimal
            show the number <n> in hex
            turn the decimal number <n> into hexadecimal
            find the hexadecimal form of <n>
            compute the hex representation of <n>
            write <n> in base 16
            convert the decimal number <n> to hex""",
            """converting <n> to hexadecimal
            <n> in hexadecimal
            <n> in hex
            the hexadecimal form of <n>
            the hex representation of <n>
            turning the decimal number <n> into hexadecimal
            the number <n> in base 16"""),
        turkish("""<n> sayısını on altılık sisteme çevir
            <n> sayısını hexadecimal sayıya çevir
            <n> sayısını on altılık tabanda yazdır
            <n> sayısının on altılık karşılığını bul
            <n> sayısını 16 tabanına çevir
            <n> sayısını on altılık sistemde göster
            onluk <n> sayısını on altılık sisteme dönüştür""",
            """<n> sayısının on altılık karşılığı
            <n> sayısını on altılık sisteme çevirme
            <n> sayısının on altılık tabandaki yazılışı
            <n> sayısının 16 tabanındaki karşılığı
            <n> sayısının hexadecimal değeri
            onluk <n> sayısının on altılık gösterimi"""),
        english("display the number <n> in base 16", "converting the decimal number <n> to hexadecimal"),
        turkish("<n> sayısını on altılık tabana dönüştür", "<n> sayısının on altılık sistemdeki karşılığı"),
    ),
    Task(
        "multiplication_table", {"n": integer(2, 60)},
        """n = <n>
for i in range(1, 11):
    print(n, "x", i, "=", n * i)
""",
        english("""print the multiplication table of <n>
            show the multiplication table for <n>
            display the times table of <n>
            print the times table for the number <n>
            list the <n> times table
            output the multiplication table of the number <n>
            print <n> times 1 to <n> times 10
            multiply <n> by every number from 1 to 10""",
            """the multiplication table of <n>
            the multiplication table for <n>
            the times table of <n>
            the <n> times table
            printing the multiplication table of the number <n>
            a multiplication table for the number <n>"""),
        turkish("""<n> sayısının çarpım tablosunu yazdır
            <n> için çarpım tablosunu göster
            <n> sayısının çarpım tablosunu oluştur
            <n> çarpım tablosunu yazdır
            <n> sayısını 1 ile 10 arasındaki sayılarla çarpıp yazdır
            <n> sayısının çarpım tablosunu listele""",
            """<n> sayısının çarpım tablosu
            <n> için çarpım tablosu
            <n> çarpım tablosu
            <n> sayısının 1 ile 10 arasındaki çarpımları
            <n> sayısının çarpım tablosunu yazdırma
            <n> sayısına ait çarpım tablosu"""),
        english("show the times table of the number <n>", "a times table for <n>"),
        turkish("<n> sayısına ait çarpım tablosunu ekrana yazdır", "<n> sayısının çarpım tablosunu oluşturma"),
    ),
    Task(
        "squares", {"n": integer(3, 99)},
        """for i in range(1, <n> + 1):
    print(i ** 2)
""",
        english("""print the squares of the numbers from 1 to <n>
            print the squares from 1 to <n>
            list the squares of 1 to <n>
            show the first <n> square numbers
            display the square of every number up to <n>
            print the first <n> squares
            output the squares of all numbers up to <n>""",
            """the squares of the numbers from 1 to <n>
            the squares from 1 to <n>
            the first <n> square numbers
            a list of the squares of 1 to <n>
            the square of every number up to <n>
            printing the first <n> squares"""),
        turkish("""1 ile <n> arasındaki sayıların karelerini yazdır
            <n> sayısına kadar olan sayıların karelerini göster
            ilk <n> sayının karesini yazdır
            ilk <n> kare sayıyı listele
            1 ile <n> arasındaki her sayının karesini yazdır
            <n> sayısına kadar tüm sayıların karesini hesapla""",
            """1 ile <n> arasındaki sayıların kareleri
            <n> sayısına kadar olan sayıların kareleri
            ilk <n> sayının karesi
            ilk <n> kare sayı
            1 ile <n> arasındaki her sayının karesi
            <n> sayısına kadar tüm sayıların karesi"""),
        english("show the square of each number from 1 to <n>", "a list of the first <n> squares"),
        turkish("<n> sayısına kadar her sayının karesini listele", "ilk <n> sayının karelerinin listesi"),
    ),
    Task(
        "even_numbers", {"n": integer(5, 99)},
        """for i in range(2, <n> + 1, 2):
    print(i)
""",
        english("""print the even numbers up to <n>
            print all even numbers from 1 to <n>
            list the even numbers from 1 to <n>
            show the even numbers between 1 and <n>
            display every even number up to <n>
            output all even numbers until <n>""",
            """the even numbers up to <n>
            all even numbers from 1 to <n>
            the even numbers between 1 and <n>
            every even number up to <n>
            printing the even numbers up to <n>
            a list of the even numbers until <n>"""),
        turkish("""<n> sayısına kadar olan çift sayıları yazdır
            1 ile <n> arasındaki çift sayıları yazdır
            <n> sayısına kadar tüm çift sayıları listele
            1 ile <n> arasındaki çift sayıları göster
            1 ile <n> arasındaki bütün çift sayıları bul
            <n> sayısına kadar çift sayıları sırala""",
            """<n> sayısına kadar olan çift sayılar
            1 ile <n> arasındaki çift sayılar
            <n> sayısına kadar tüm çift sayılar
            1 ile <n> arasındaki bütün çift sayılar
            <n> sayısına kadar çift sayı listesi
            <n> sayısına kadar çift sayıları yazdırma"""),
        english("show every even number from 1 to <n>", "listing all even numbers up to <n>"),
        turkish("1 ile <n> arasındaki tüm çift sayıları listele", "1 ile <n> arasındaki tüm çift sayılar"),
    ),
    Task(
        "divisible", {"k": integer(2, 12), "n": integer(20, 200)},
        """for i in range(1, <n> + 1):
    if i % <k> == 0:
        print(i)
""",
        english("""print the numbers divisible by <k> up to <n>
            print all numbers from 1 to <n> that are divisible by <k>
            list the multiples of <k> up to <n>
            show every number between 1 and <n> that is divisible by <k>
            find the numbers up to <n> that can be divided by <k>
            display all multiples of <k> from 1 to <n>
            output the numbers divisible by <k> from 1 to <n>""",
            """the numbers divisible by <k> up to <n>
            all numbers from 1 to <n> that are divisible by <k>
            the multiples of <k> up to <n>
            every number between 1 and <n> divisible by <k>
            finding the numbers up to <n> that <k> divides
            a list of the multiples of <k> from 1 to <n>"""),
        turkish("""<n> sayısına kadar <k> ile bölünebilen sayıları yazdır
            1 ile <n> arasındaki <k> ile bölünen sayıları bul
            1 ile <n> arasında <k> sayısına tam bölünen sayıları listele
            <n> sayısına kadar <k> sayısının katlarını yazdır
            1 ile <n> arasındaki <k> ile bölünebilen tüm sayıları göster
            <k> sayısının <n> sayısına kadar olan katlarını listele""",
            """<n> sayısına kadar <k> ile bölünebilen sayılar
            1 ile <n> arasındaki <k> ile bölünen sayılar
            1 ile <n> arasında <k> sayısına tam bölünen sayılar
            <n> sayısına kadar <k> sayısının katları
            1 ile <n> arasındaki <k> ile bölünebilen tüm sayılar
            <k> sayısının <n> sayısına kadar olan katları"""),
        english("show all the multiples of <k> between 1 and <n>", "all multiples of <k> up to <n>"),
        turkish("1 ile <n> arasındaki <k> sayısının katlarını göster",
                "1 ile <n> arasında <k> ile bölünebilen sayılar"),
    ),
    Task(
        "leap_year", {"year": either(integer(1600, 2400), integer(1980, 2030))},
        """year = <year>
if year % 400 == 0 or year % 4 == 0 and year % 100 != 0:
    print("leap year")
else:
    print("not leap year")
""",
        english("""check if <year> is a leap year
            check whether the year <year> is a leap year
            test if <year> was a leap year
            tell whether <year> is a leap year or not
            find out if <year> is a leap year
            determine whether the year <year> is leap
            say if <year> is a leap year""",
            """checking if <year> is a leap year
            checking whether the year <year> is a leap year
            testing if <year> is a leap year
            a leap year test for <year>
            finding out whether <year> is a leap year or not
            a leap year check of <year>"""),
        turkish("""<year> yılının artık yıl olup olmadığını kontrol et
            <year> yılının artık yıl olup olmadığını söyle
            <year> artık yıl mı diye kontrol et
            <year> yılı artık yıl mı değil mi söyle
            <year> yılının artık olup olmadığını göster
            <year> yılının artık yıl olup olmadığını belirle""",
            """<year> yılının artık yıl olup olmadığı
            <year> için artık yıl testi
            <year> yılının artık yıl kontrolü
            <year> yılının artık yıl olup olmadığını kontrol etme
            <year> yılının artık olup olmadığı
            <year> yılının artık yıl olup olmadığını bulma"""),
        english("test whether the year <year> is a leap year", "testing whether <year> is a leap year"),
        turkish("<year> yılı artık yıl mı söyle", "<year> için artık yıl kontrolü"),
    ),
    Task(
        "celsius_to_fahrenheit", {"c": integer(1, 120)},
        """c = <c>
f = c * 9 / 5 + 32
print(f)
""",
        english("""convert <c> degrees Celsius to Fahrenheit
            convert <c> Celsius to Fahrenheit
            turn <c> degrees Celsius into Fahrenheit
            print <c> Celsius in Fahrenheit
            calculate how many degrees Fahrenheit <c> Celsius is
            show a temperature of <c> Celsius in Fahrenheit
            compute the Fahrenheit value of <c> degrees Celsius""",
            """converting <c> degrees Celsius to Fahrenheit
            <c> Celsius to Fahrenheit
            <c> degrees Celsius in Fahrenheit
            turning <c> Celsius into Fahrenheit
            the Fahrenheit value of <c> Celsius
            a temperature of <c> Celsius in Fahrenheit"""),
        turkish("""<c> derece Celsius değerini Fahrenheit birimine çevir
            <c> Celsius dereceyi Fahrenheit dereceye çevir
            <c> santigrat dereceyi Fahrenheit birimine dönüştür
            <c> Celsius sıcaklığın Fahrenheit karşılığını bul
            <c> derece Celsius sıcaklığın kaç Fahrenheit ettiğini hesapla
            <c> Celsius derecenin Fahrenheit değerini yazdır""",
            """<c> Celsius derecenin Fahrenheit karşılığı
            <c> derece Celsius değerini Fahrenheit birimine çevirme
            <c> santigrat derecenin Fahrenheit değeri
            <c> Celsius sıcaklığın Fahrenheit karşılığı
            <c> Celsius dereceden Fahrenheit dereceye dönüşüm
            <c> Celsius değerinin Fahrenheit hesabı"""),
        english("find the Fahrenheit temperature of <c> Celsius",
                "computing the Fahrenheit value of <c> degrees Celsius"),
        turkish("<c> Celsius değerinin Fahrenheit karşılığını hesapla", "<c> santigrat derecenin Fahrenheit karşılığı"),
    ),
    Task(
        "fahrenheit_to_celsius", {"f": integer(1, 250)},
        """f = <f>
c = (f - 32) * 5 / 9
print(round(c, 2))
""",
        english("""convert <f> degrees Fahrenheit to Celsius
            convert <f> Fahrenheit to Celsius
            turn <f> degrees Fahrenheit into Celsius
            print <f> Fahrenheit in Celsius
            calculate how many degrees Celsius <f> Fahrenheit is
            show a temperature of <f> Fahrenheit in Celsius
            compute the Celsius value of <f> degrees Fahrenheit""",
            """converting <f> degrees Fahrenheit to Celsius
            <f> Fahrenheit to Celsius
            <f> degrees Fahrenheit in Celsius
            turning <f> Fahrenheit into Celsius
            the Celsius value of <f> Fahrenheit
            a temperature of <f> Fahrenheit in Celsius"""),
        turkish("""<f> derece Fahrenheit değerini Celsius birimine çevir
            <f> Fahrenheit dereceyi Celsius dereceye çevir
            <f> Fahrenheit dereceyi santigrat dereceye dönüştür
            <f> Fahrenheit sıcaklığın Celsius karşılığını bul
            <f> derece Fahrenheit sıcaklığın kaç Celsius ettiğini hesapla
            <f> Fahrenheit derecenin Celsius değerini yazdır""",
            """<f> Fahrenheit derecenin Celsius karşılığı
            <f> derece Fahrenheit değerini Celsius birimine çevirme
            <f> Fahrenheit derecenin santigrat değeri
            <f> Fahrenheit sıcaklığın Celsius karşılığı
            <f> Fahrenheit dereceden Celsius dereceye dönüşüm
            <f> Fahrenheit değerinin Celsius hesabı"""),
        english("find the Celsius temperature of <f> Fahrenheit",
                "computing the Celsius value of <f> degrees Fahrenheit"),
        turkish("<f> Fahrenheit değerinin Celsius karşılığını hesapla", "<f> Fahrenheit derecenin santigrat karşılığı"),
    ),
    Task(
        "average", {"ns": numbers()},
        """numbers = [<ns>]
average = sum(numbers) / len(numbers)
print(round(average, 2))
""",
        english("""compute the average of <ns>
            print the average of the numbers <ns>
            calculate the average of the list [<ns>]
            find the mean of <ns>
            show the mean of the numbers <ns>
            work out the average of these numbers: <ns>
            compute and print the mean of [<ns>]""",
            """the average of <ns>
            the average of the numbers <ns>
            the mean of <ns>
            the mean of the list [<ns>]
            computing the average of [<ns>]
            finding the average of these numbers: <ns>"""),
        turkish("""<ns> sayılarının ortalamasını hesapla
            <ns> sayılarının ortalamasını yazdır
            [<ns>] listesinin ortalamasını bul
            <ns> sayılarının aritmetik ortalamasını hesapla
            <ns> sayılarının ortalamasını bulup göster
            [<ns>] listesindeki sayıların ortalamasını yazdır""",
            """<ns> sayılarının ortalaması
            [<ns>] listesinin ortalaması
            <ns> sayılarının aritmetik ortalaması
            [<ns>] listesindeki sayıların ortalaması
            <ns> sayılarının ortalama değeri
            <ns> sayılarının ortalamasını hesaplama"""),
        english("calculate the mean of these numbers: <ns>", "finding the mean of the numbers <ns>"),
        turkish("[<ns>] listesinin aritmetik ortalamasını hesapla", "[<ns>] listesinin aritmetik ortalaması"),
    ),
    Task(
        "fizzbuzz", {"n": integer(10, 99)},
        """for i in range(1, <n> + 1):
    if i % 15 == 0:
        print("FizzBuzz")
    elif i % 3 == 0:
        print("Fizz")
    elif i % 5 == 0:
        print("Buzz")
    else:
        print(i)
""",
        english("""print FizzBuzz up to <n>
            print FizzBuzz for the numbers from 1 to <n>
            play fizz buzz up to <n>
            show FizzBuzz from 1 to <n>
            solve FizzBuzz for 1 to <n>
            output fizzbuzz until <n>
            display the FizzBuzz game up to <n>""",
            """FizzBuzz up to <n>
            FizzBuzz from 1 to <n>
            fizz buzz for the numbers 1 to <n>
            the FizzBuzz game up to <n>
            playing FizzBuzz until <n>
            printing fizzbuzz up to <n>"""),
        turkish("""<n> sayısına kadar FizzBuzz yazdır
            1 ile <n> arasındaki sayılar için FizzBuzz yazdır
            <n> sayısına kadar fizz buzz oyna
            1 ile <n> arasında FizzBuzz göster
            <n> sayısına kadar FizzBuzz oyununu yazdır
            1 ile <n> arasında fizzbuzz oyna""",
            """<n> sayısına kadar FizzBuzz
            1 ile <n> arasında FizzBuzz
            <n> sayısına kadar fizz buzz oyunu
            1 ile <n> arasındaki sayılar için FizzBuzz
            <n> sayısına kadar FizzBuzz oyunu
            1 ile <n> arasında fizzbuzz oyunu"""),
        english("display FizzBuzz for all numbers up to <n>", "the fizz buzz game from 1 to <n>"),
        turkish("1 ile <n> arasındaki sayılar için FizzBuzz oyununu göster", "1 ile <n> arasındaki FizzBuzz oyunu"),
    ),
    Task(
        "simple_interest", {"p": integer(100, 9999), "r": integer(2, 15), "t": integer(2, 12)},
        """p = <p>
r = <r>
t = <t>
interest = p * r * t / 100
print(interest)
""",
        english("""calculate the simple interest of <p> at <r> percent for <t> years
            compute the simple interest on <p> at a rate of <r> percent over <t> years
            find the simple interest for <p> with rate <r> and time <t> years
            print the simple interest of <p> at <r>% for <t> years
            show the simple interest earned by <p> at <r>% in <t> years
            work out simple interest when principal is <p>, rate is <r> and years are <t>""",
            """the simple interest of <p> at <r> percent for <t> years
            simple interest on <p> at a rate of <r> percent over <t> years
            calculating the simple interest of <p> at <r>% for <t> years
            the simple interest for <p> with rate <r> and time <t> years
            simple interest with principal <p>, rate <r> and years <t>
            the simple interest earned by <p> at <r>% in <t> years"""),
        turkish("""<p> liranın yüzde <r> faizle <t> yıldaki basit faizini hesapla
            <p> lira için yüzde <r> oranla <t> yıllık basit faizi bul
            anaparası <p>, oranı <r> ve süresi <t> yıl olan basit faizi hesapla
            <p> liranın %<r> oranla <t> yıllık basit faizini yazdır
            <p> liranın yüzde <r> ile <t> yılda getireceği basit faizi göster
            <p> lira, yüzde <r> oran ve <t> yıl için basit faiz hesapla""",
            """<p> liranın yüzde <r> faizle <t> yıldaki basit faizi
            <p> lira için yüzde <r> oranla <t> yıllık basit faiz
            anaparası <p>, oranı <r> ve süresi <t> yıl olan basit faiz
            <p> liranın %<r> oranla <t> yıllık basit faizi
            <p> liranın yüzde <r> ile <t> yılda getireceği basit faiz
            <p> liranın yüzde <r> oranla <t> yıllık basit faiz hesabı"""),
        english("calculate simple interest on <p> for <t> years at <r> percent",
                "the simple interest on <p> for <t> years at <r>%"),
        turkish("<p> liranın <t> yılda yüzde <r> oranla basit faizini bul",
                "<p> liranın <t> yıllık yüzde <r> basit faizi"),
    ),
    Task(
        "minutes", {"n": integer(61, 999)},
        """n = <n>
print(n // 60, "hours", n % 60, "minutes")
""",
        english("""convert <n> minutes to hours and minutes
            turn <n> minutes into hours and minutes
            print <n> minutes as hours and minutes
            show how many hours and minutes <n> minutes are
            calculate the hours and minutes in <n> minutes
            split <n> minutes into hours and minutes""",
            """converting <n> minutes to hours and minutes
            <n> minutes in hours and minutes
            turning <n> minutes into hours and minutes
            the hours and minutes in <n> minutes
            splitting <n> minutes into hours and minutes
            <n> minutes as hours and minutes"""),
        turkish("""<n> dakikayı saat ve dakikaya çevir
            <n> dakikayı saat ve dakika olarak yazdır
            <n> dakikanın kaç saat kaç dakika olduğunu bul
            <n> dakikayı saat ve dakikaya dönüştür
            <n> dakikanın kaç saat kaç dakika ettiğini hesapla
            <n> dakikayı saat ve dakikaya ayır""",
            """<n> dakikanın saat ve dakika karşılığı
            <n> dakikayı saat ve dakikaya çevirme
            <n> dakikanın kaç saat kaç dakika olduğu
            <n> dakikanın saat ve dakika olarak yazılışı
            <n> dakikadan saat ve dakikaya dönüşüm
            <n> dakikayı saat ve dakikaya ayırma"""),
        english("show <n> minutes in hours and minutes", "finding how many hours and minutes are in <n> minutes"),
        turkish("<n> dakikayı saat ve dakika olarak göster", "<n> dakikanın saat ve dakikaya çevrilmesi"),
    ),
    Task(
        "count_digits", {"n": either(integer(10, 9999), integer(10000, 9999999))},
        """n = <n>
count = 0
while n > 0:
    n = n // 10
    count += 1
print(count)
""",
        english("""count the digits of <n>
            print how many digits <n> has
            count how many digits the number <n> has
            find the number of digits in <n>
            show the digit count of <n>
            calculate the number of digits of <n>
            tell how many digits are in <n>""",
            """counting the digits of <n>
            the number of digits in <n>
            the digit count of <n>
            how many digits <n> has
            finding the number of digits of <n>
            counting how many digits are in the number <n>"""),
        turkish("""<n> sayısının basamak sayısını bul
            <n> sayısının kaç basamaklı olduğunu bul
            <n> sayısının basamaklarını say
            <n> sayısının rakamlarını say
            <n> sayısının kaç basamaklı olduğunu yazdır
            <n> sayısındaki rakam sayısını hesapla""",
            """<n> sayısının basamak sayısı
            <n> sayısının kaç basamaklı olduğu
            <n> sayısının basamaklarını sayma
            <n> sayısındaki rakam sayısı
            <n> sayısının rakamlarını sayma
            <n> sayısındaki basamak sayısı"""),
        english("show how many digits there are in <n>", "counting all the digits in <n>"),
        turkish("<n> sayısında kaç rakam olduğunu bul", "<n> sayısında kaç rakam olduğu"),
    ),
    Task(
        "even_or_odd", {"n": integer(1, 999)},
        """n = <n>
if n % 2 == 0:
    print("even")
else:
    print("odd")
""",
        english("""check if <n> is even or odd
            check whether the number <n> is odd or even
            tell whether <n> is even or odd
            find out if <n> is even or odd
            test if <n> is even
            determine whether <n> is odd or even
            say if the number <n> is even or odd""",
            """checking if <n> is even or odd
            checking whether <n> is odd or even
            testing if <n> is even
            an even or odd test for <n>
            finding out whether the number <n> is even or odd
            a check that <n> is even"""),
        turkish("""<n> sayısının tek mi çift mi olduğunu bul
            <n> sayısının çift mi tek mi olduğunu yazdır
            <n> tek mi çift mi söyle
            <n> sayısının çift olup olmadığını kontrol et
            <n> sayısının tek mi çift mi olduğunu kontrol et
            <n> sayısı çift mi tek mi söyle""",
            """<n> sayısının tek mi çift mi olduğu
            <n> sayısının çift mi tek mi olduğu
            <n> sayısının çift olup olmadığı
            <n> için tek çift kontrolü
            <n> sayısının tek mi çift mi olduğunu bulma
            <n> sayısının çift olup olmadığını kontrol etme"""),
        english("test whether <n> is an odd or an even number", "testing whether <n> is odd or even"),
        turkish("<n> sayısı tek mi çift mi göster", "<n> sayısının tek çift testi"),
    ),
    Task(
        "km_to_miles", {"n": integer(2, 500)},
        """km = <n>
miles = km * 0.621371
print(round(miles, 2))
""",
        english("""convert <n> kilometers to miles
            convert <n> km to miles
            turn <n> kilometers into miles
            print <n> km in miles
            calculate how many miles <n> km is
            show a distance of <n> kilometers in miles
            compute the miles in <n> kilometers""",
            """converting <n> kilometers to miles
            <n> km to miles
            <n> kilometers in miles
            turning <n> km into miles
            a distance of <n> kilometers in miles
            the miles in <n> km"""),
        turkish("""<n> kilometreyi mile çevir
            <n> km mesafenin kaç mil ettiğini hesapla
            <n> kilometreyi mil olarak yazdır
            <n> kilometrenin mil karşılığını bul
            <n> km mesafeyi mile dönüştür
            <n> kilometrenin kaç mil olduğunu göster""",
            """<n> kilometrenin mil karşılığı
            <n> kilometreyi mile çevirme
            <n> km mesafenin mil değeri
            <n> kilometrenin kaç mil olduğu
            <n> kilometreden mile dönüşüm
            <n> km mesafeyi mile çevirme"""),
        english("find how many miles <n> kilometers are", "computing <n> kilometers in miles"),
        turkish("<n> km mesafenin mil karşılığını hesapla", "<n> km mesafenin mil karşılığı"),
    ),
    Task(
        "hypotenuse", {"a": integer(2, 60), "b": integer(2, 60)},
        """a = <a>
b = <b>
c = (a ** 2 + b ** 2) ** 0.5
print(round(c, 2))
""",
        english("""compute the hypotenuse of a right triangle with sides <a> and <b>
            find the hypotenuse for the sides <a> and <b>
            calculate the hypotenuse of a triangle with legs <a> and <b>
            print the length of the hypotenuse when the sides are <a> and <b>
            show the hypotenuse of a right triangle with legs <a> and <b>
            use the Pythagorean theorem to find the hypotenuse of <a> and <b>""",
            """the hypotenuse of a right triangle with sides <a> and <b>
            the hypotenuse for the sides <a> and <b>
            the hypotenuse of a triangle with legs <a> and <b>
            calculating the hypotenuse with sides <a> and <b>
            the length of the hypotenuse when the legs are <a> and <b>
            the Pythagorean theorem with sides <a> and <b>"""),
        turkish("""dik kenarları <a> ve <b> olan üçgenin hipotenüsünü hesapla
            kenarları <a> ve <b> olan dik üçgenin hipotenüsünü bul
            dik kenarları <a> ile <b> olan dik üçgenin hipotenüsünü yazdır
            <a> ve <b> kenarları için hipotenüs hesapla
            dik kenarları <a> ve <b> olan üçgende hipotenüs uzunluğunu göster
            Pisagor teoremiyle <a> ve <b> kenarlarının hipotenüsünü bul""",
            """dik kenarları <a> ve <b> olan üçgenin hipotenüsü
            kenarları <a> ve <b> olan dik üçgenin hipotenüsü
            <a> ve <b> dik kenarlarının hipotenüsü
            dik kenarları <a> ile <b> olan üçgende hipotenüs hesabı
            dik kenarları <a> ve <b> olan üçgende hipotenüs uzunluğu
            kenarları <a> ve <b> olan üçgende Pisagor teoremi"""),
        english("find the length of the hypotenuse of a triangle with sides <a> and <b>",
                "finding the hypotenuse when the sides are <a> and <b>"),
        turkish("kenarları <a> ile <b> olan dik üçgenin hipotenüs uzunluğunu hesapla",
                "kenarları <a> ile <b> olan dik üçgende hipotenüs"),
    ),
    Task(
        "circle_area", {"r": integer(2, 99)},
        """import math

r = <r>
area = math.pi * r ** 2
print(round(area, 2))
""",
        english("""compute the area of a circle with radius <r>
            calculate the area of a circle of radius <r>
            find the area of a circle whose radius is <r>
            print the area of the circle with radius <r>
            show how large the area of a circle with radius <r> is
            work out the circle area for radius <r>""",
            """the area of a circle with radius <r>
            the area of a circle of radius <r>
            the area of a circle whose radius is <r>
            calculating the circle area for radius <r>
            finding the area of a circle with radius <r>
            a circle area with radius <r>"""),
        turkish("""yarıçapı <r> olan dairenin alanını hesapla
            yarıçapı <r> olan bir dairenin alanını bul
            <r> yarıçaplı dairenin alanını yazdır
            <r> yarıçaplı çemberin alanını hesapla
            yarıçapı <r> olan çemberin alanını göster
            yarıçap <r> için daire alanı hesapla""",
            """yarıçapı <r> olan dairenin alanı
            <r> yarıçaplı dairenin alanı
            <r> yarıçaplı çemberin alanı
            yarıçapı <r> olan çemberin alanı
            yarıçap <r> için daire alanı
            yarıçapı <r> olan dairenin alan hesabı"""),
        english("calculate and print the area of a circle when the radius is <r>",
                "computing the area of the circle whose radius is <r>"),
        turkish("<r> yarıçaplı bir dairenin alanını bulup yazdır", "yarıçapı <r> olan bir dairenin alan değeri"),
    ),
)
