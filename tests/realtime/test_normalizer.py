"""The normaliser: what a person would say."""

import pytest

from realtime.normalizer import Normalizer, normalize

# What is written, and what is said for it.
ENGLISH = {
    "cardinals": [
        ("1,234,567", "one million two hundred thirty-four thousand five hundred sixty-seven"),
        ("It was -5 outside.", "It was minus five outside."),
        ("Pi is 3.14.", "Pi is three point one four."),
        ("I have 0 of 21.", "I have zero of twenty-one."),
        ("Agent 007", "Agent zero zero seven"),
        ("1, 2, 3", "one, two, three"),
        ("about .5 of it", "about point five of it"),
        ("1e6", "one times ten to the power of six"),
        ("1 000 000 people", "one million people"),
        ("10 000 dollars, € 10 000.50", "ten thousand dollars, ten thousand euros and fifty cents"),
        (
            "12\u202f345 or 12\u00a0345",
            "twelve thousand three hundred forty-five or twelve thousand three hundred forty-five",
        ),
        ("2 500 mg tablets", "two five hundred milligrams tablets"),
        ("10 100 dollar bills", "ten one hundred dollar bills"),
        ("100 200 300", "one hundred two hundred three hundred"),
        ("1234567890123456", "one two three four five six seven eight nine zero one two three four five six"),
    ],
    "ordinals": [
        ("the 1st, 22nd and 103rd", "the first, twenty-second and one hundred third"),
        ("on the 12th.", "on the twelfth."),
        ("a 21st-century idea", "a twenty-first-century idea"),
        ("the 40th", "the fortieth"),
    ],
    "years": [
        ("in 1999", "in nineteen ninety-nine"),
        ("since 2024.", "since twenty twenty-four."),
        ("by 1066", "by one thousand sixty-six"),
        ("from 1905 to 2005", "from nineteen oh five to two thousand five"),
        ("the 1900s and the 1950s", "the nineteen hundreds and the nineteen fifties"),
        ("the '90s", "the nineties"),
        (
            "30s to 50s music, wait 30s, a 20s delay",
            "thirties to fifties music, wait thirty seconds, a twenty second delay",
        ),
        ("the 2010s", "the twenty tens"),
        ("1990–1995", "nineteen ninety to nineteen ninety-five"),
        ("the 2023-24 season", "the twenty twenty-three to twenty-four season"),
        ("2000 users", "two thousand users"),
        ("1985 people", "one thousand nine hundred eighty-five people"),
        ("© 2024 Acme", "copyright twenty twenty-four Acme"),
    ],
    "money": [
        ("It costs $3.14.", "It costs three dollars and fourteen cents."),
        ("£5 and €1.50", "five pounds and one euro and fifty cents"),
        ("¥500", "five hundred yen"),
        ("$5 million", "five million dollars"),
        ("$3.2bn.", "three point two billion dollars."),
        ("US$5", "five US dollars"),
        ("$1 and $1.01", "one dollar and one dollar and one cent"),
        ("$0.99", "ninety-nine cents"),
        ("$1,234.56", "one thousand two hundred thirty-four dollars and fifty-six cents"),
        ("-$5", "minus five dollars"),
        ("$5–$10", "five to ten dollars"),
        ("$20/month", "twenty dollars per month"),
        ("a $20 bill", "a twenty dollar bill"),
        ("20¢ or 5€", "twenty cents or five euros"),
        ("100 USD", "one hundred US dollars"),
        ("₹1,23,456", "one hundred twenty-three thousand four hundred fifty-six rupees"),
        (
            "Rs. 12,34,567.50",
            "one million two hundred thirty-four thousand five hundred sixty-seven rupees and fifty paise",
        ),
        ("₹2.5 crore", "two point five crore rupees"),
        ("$-5 or €-5", "minus five dollars or minus five euros"),
        ("$-1,200.50", "minus one thousand two hundred dollars and fifty cents"),
        ("R$ 5, -R$ 5", "five reais, minus five reais"),
        ("NT$500, -A$5", "five hundred New Taiwan dollars, minus five Australian dollars"),
        ("₺50", "fifty lira"),
        ("XYZ$5", "XYZ five dollars"),
        (
            "€5,50 or 1.200,50 €",
            "five euros and fifty cents or one thousand two hundred euros and fifty cents",
        ),
        ("$.50", "fifty cents"),
        ("$5K-$10K", "five thousand dollars to ten thousand dollars"),
        ("$10 CAD, $15/hr", "ten Canadian dollars, fifteen dollars per hour"),
        ("$5.50–$6", "five dollars and fifty cents to six dollars"),
    ],
    "percentages": [
        ("25%.", "twenty-five percent."),
        ("10%-20%", "ten to twenty percent"),
        ("3.5 %", "three point five percent"),
        ("10–20%", "ten to twenty percent"),
        ("100%!", "one hundred percent!"),
    ],
    "fractions": [
        ("1/2 and 3/4", "one half and three quarters"),
        ("1 1/2 cups", "one and a half cups"),
        ("2½ cups", "two and a half cups"),
        ("2/3.", "two thirds."),
        ("7/10", "seven out of ten"),
        ("½ tsp and 1 1/2 tbsp", "one half teaspoon and one and a half tablespoons"),
        ("3/4 lb, a 1/2-mile run", "three quarters pound, a one half-mile run"),
        (
            "4/5 stars, rated 9/10 or 4.5/5",
            "four out of five stars, rated nine out of ten or four point five out of five",
        ),
        ("2-1/2 cups", "two and a half cups"),
        ("open 24/7", "open twenty-four seven"),
    ],
    "dates": [
        ("2024-03-05", "March fifth, twenty twenty-four"),
        ("3/5/2024", "March fifth, twenty twenty-four"),
        ("25/12/2023.", "December twenty-fifth, twenty twenty-three."),
        ("Jan. 5th, 2024", "January fifth, twenty twenty-four"),
        ("5 March 2024", "the fifth of March, twenty twenty-four"),
        ("the 5th of March", "the fifth of March"),
        ("on March 3–5", "on March third to fifth"),
        ("In May 2024.", "In May twenty twenty-four."),
        ("July 4", "July fourth"),
        ("due 12/25, by 12/25", "due December twenty-fifth, by twelve out of twenty-five"),
        ("Mon–Fri", "Monday to Friday"),
        (
            "the 2024/25 season in FY2024",
            "the twenty twenty-four to twenty-five season in FY twenty twenty-four",
        ),
        ("13/45/2024", "thirteen slash forty-five slash two thousand twenty-four"),
    ],
    "times": [
        ("9:30", "nine thirty"),
        ("9:30am", "nine thirty a.m."),
        ("At 9:05 p.m. we left.", "At nine oh five p.m. we left."),
        ("14:05", "fourteen oh five"),
        ("10:00", "ten o'clock"),
        ("7 p.m.", "seven p.m."),
        ("11.30 pm", "eleven thirty p.m."),
        ("9.30–10.30 am", "nine thirty to ten thirty a.m."),
        ("11.30%", "eleven point three zero percent"),
        ("9am-5pm", "nine a.m. to five p.m."),
        ("9:30–10:30", "nine thirty to ten thirty"),
        ("8:00-17:00", "eight o'clock to seventeen hundred"),
        ("10:00:05", "ten and five seconds"),
        ("a score of 3:1", "a score of three to one"),
    ],
    "ranges": [
        ("2-3 days", "two to three days"),
        ("pages 10–12.", "pages ten to twelve."),
        ("5km-10km, 10x–20x", "five to ten kilometers, ten to twenty times"),
        (
            "Q1-Q3, 1st–3rd, the 1990s-2000s",
            "Q one to Q three, first to third, the nineteen nineties to two thousands",
        ),
        ("5-10 km", "five to ten kilometers"),
    ],
    "units": [
        ("5km", "five kilometers"),
        ("1 kg", "one kilogram"),
        ("20°C", "twenty degrees Celsius"),
        ("-5 °F.", "minus five degrees Fahrenheit."),
        ("60 mph", "sixty miles per hour"),
        ("10 GB", "ten gigabytes"),
        ("3.5 ft", "three point five feet"),
        ("20 m²", "twenty square meters"),
        ("100 km/h", "one hundred kilometers per hour"),
        ("a 5-km run", "a five-kilometer run"),
        ("1h30m", "one hour thirty minutes"),
        ("5'10\"", "five foot ten"),
        ("10k users", "ten thousand users"),
        ("2x faster", "two times faster"),
        ("a 45° angle", "a forty-five degree angle"),
        ("9.8 m/s²", "nine point eight meters per second squared"),
        ("6 ft 2 in", "six feet two inches"),
        ('a 27" monitor, 12" long', "a twenty-seven inch monitor, twelve inches long"),
        ('She said "I am 27" to me', 'She said "I am twenty-seven" to me'),
        ("100 sq. ft of it", "one hundred square feet of it"),
        ("350F, 20 degrees C", "three hundred fifty degrees Fahrenheit, twenty degrees Celsius"),
        ("100K users, a 4K screen", "one hundred thousand users, a four K screen"),
        ("y = 2x + 1", "y equals two x plus one"),
        ('I am 5" he said', 'I am five" he said'),
        ("221B Baker Street, 7B people", "two hundred twenty-one B Baker Street, seven billion people"),
        ("5 in a row", "five in a row"),
    ],
    "phone numbers": [
        ("(555) 123-4567", "five five five, one two three, four five six seven"),
        ("+1 555 123 4567.", "plus one, five five five, one two three, four five six seven."),
        ("555-1234", "five five five, one two three four"),
        ("1-800-FLOWERS", "one eight hundred FLOWERS"),
        ("Call 911!", "Call nine one one!"),
        ("PIN 1234, code is 0420", "PIN one two three four, code is zero four two zero"),
        ("Beverly Hills, CA 90210", "Beverly Hills, CA nine zero two one zero"),
        ("Room 1203, Flight UA 123", "Room twelve oh three, Flight UA one twenty-three"),
        ("612 345 678", "six one two, three four five, six seven eight"),
        ("Call 6123 4567.", "Call six one two three, four five six seven."),
    ],
    "cards and accounts": [
        ("4111 1111 1111 1111", "four one one one, one one one one, one one one one, one one one one"),
        ("3782 822463 10005", "three seven eight two, eight two two four six three, one zero zero zero five"),
        ("1990 1995 2000", "nineteen ninety nineteen ninety-five two thousand"),
        ("2020 5000 people", "twenty twenty five thousand people"),
        ("GB29 NWBK 6016 1331 19", "GB two nine, NWBK, six zero one six, one three three one, one nine"),
    ],
    "versions and machines": [
        ("1.2.3", "one point two point three"),
        ("v2.0", "version two point zero"),
        ("Python 3.11", "Python three point eleven"),
        ("192.168.1.1", "one ninety-two dot one sixty-eight dot one dot one"),
        ("10.0.0.1:8080", "ten dot zero dot zero dot one port eight thousand eighty"),
        ("GPT-4, B12 and H₂O", "GPT four, B twelve and H two O"),
        ("COVID-19.", "COVID nineteen."),
        ("Boeing 747s, 737s, an A320", "Boeing seven forty-sevens, seven thirty-sevens, an A three twenty"),
        ("the 500s took 300s", "the five hundreds took three hundred seconds"),
        (
            "a 404 error, 500 Internal Server Error",
            "a four oh four error, five hundred Internal Server Error",
        ),
        ("a 401(k), a 501(c)(3)", "a four oh one k, a five oh one c three"),
        ("1080p H.264", "ten eighty p H two hundred sixty-four"),
        ("v2.0.0-beta.1", "version two point zero point zero beta one"),
    ],
    "addresses": [
        ("jane.doe@example.com", "jane dot doe at example dot com"),
        ("https://example.com/a-b?x=1", "example dot com slash a dash b"),
        ("www.example.org.", "example dot org."),
        ("(see http://localhost:8000)", "(see localhost port eight zero zero zero)"),
        ("Open src/main.py, please.", "Open src slash main dot py, please."),
        ("<https://example.com>", "example dot com"),
        ("#MachineLearning by @jane_doe", "hashtag Machine Learning by at jane doe"),
    ],
    "signs": [
        ("R&D", "R and D"),
        ("salt & pepper", "salt and pepper"),
        ("3 < 5", "three less than five"),
        ("x > y", "x greater than y"),
        ("2 + 2 = 4.", "two plus two equals four."),
        ("2 * 3", "two times three"),
        ("6 ÷ 2", "six divided by two"),
        ("5 - 3", "five minus three"),
        ("[1]", "one"),
        ("as shown [2, 3].", "as shown two, three."),
        ("#5", "number five"),
        ("C# and C++", "C sharp and C plus plus"),
        ("18+", "eighteen plus"),
        ("~50", "about fifty"),
        ("x^2", "x squared"),
        ("O(n^2), 3.0 x 10^8", "O(n squared), three point zero times ten to the power of eight"),
        ("5! = 120", "five factorial equals one hundred twenty"),
        ("a && b, GMT-5", "a and b, GMT minus five"),
        ("TCP/IP", "TCP IP"),
        ("he/she", "he or she"),
        ("and/or", "and or"),
        ("Settings → Privacy", "Settings, Privacy"),
        ("Great job 🎉!", "Great job!"),
        ("👍🏽", ""),
        ("an unclosed [ bracket", "an unclosed bracket"),
        ("<your name>", "your name"),
    ],
    "roman numerals": [
        ("Chapter IV", "Chapter four"),
        ("Henry VIII.", "Henry the eighth."),
        ("World War II", "World War two"),
        ("the XXI century, XIXth-century art", "the twenty-first century, nineteenth-century art"),
        ("Chapter I reads well", "Chapter I reads well"),
        ("I saw IV bags", "I saw IV bags"),
    ],
    "abbreviations": [
        ("Mr. and Mrs. Smith", "Mister and Missus Smith"),
        ("Dr. Jones on Elm Dr.", "Doctor Jones on Elm Drive."),
        ("St. Peter on Main St. today", "Saint Peter on Main Street today"),
        ("fruit, e.g. apples", "fruit, for example apples"),
        ("i.e., now", "that is, now"),
        ("pens, etc.", "pens, et cetera."),
        ("cats vs. dogs vs birds", "cats versus dogs versus birds"),
        ("approx. 5 of them", "approximately five of them"),
        ("No. 5, p. 7", "Number five, page seven"),
        ("No. Never.", "No. Never."),
        ("Part C. 5 of them", "Part C. five of them"),
        ("No.5 in fig.2", "Number five in figure two"),
        ("Acme Inc. grew", "Acme Incorporated grew"),
        ("the U.S. and NASA", "the U.S. and NASA"),
    ],
}


@pytest.mark.parametrize(
    ("written", "said"), [case for cases in ENGLISH.values() for case in cases], ids=lambda text: text[:24]
)
def test_english(written: str, said: str) -> None:
    assert normalize(written, "en").text == said


CHINESE = [
    ("他出生于2024年3月5日。", "他出生于二零二四年三月五日。"),
    ("2024-03-05", "二零二四年三月五日"),
    ("1990-1995年", "一九九零到一九九五年"),
    ("20年，90年代", "二十年，九十年代"),
    ("上午9:30到14:05", "上午九点三十分到十四点零五分"),
    ("￥3.50元，3.5元", "三点五元，三点五元"),
    ("$5万，2元", "五万美元，两元"),
    ("增长了25%。", "增长了百分之二十五。"),
    ("10%-20%，10～20%", "百分之十到二十，百分之十到二十"),
    ("今天25℃，昨天-5℃", "今天二十五摄氏度，昨天零下五摄氏度"),
    ("电话13812345678", "电话幺三八，幺二三四，五六七八"),
    ("拨打110", "拨打幺幺零"),
    ("010-12345678", "零幺零，幺二三四五六七八"),
    ("3/4，2-3个，2个月", "四分之三，两到三个，两个月"),
    ("第2名，12月", "第二名，十二月"),
    ("1,234,567，10005，100000，1010", "一百二十三万四千五百六十七，一万零五，十万，一千零一十"),
    ("版本1.2.3", "版本一点二点三"),
    ("5km，100km/h，80㎡", "五公里，一百公里每小时，八十平方米"),
    ("3 + 5 = 8，比分3:1", "三加五等于八，比分三比一"),
    ("２０２４年，５０％", "二零二四年，百分之五十"),
    ("a@b.com。", "a at b 点 com。"),
    ("**重点**：[链接](https://x.com)", "重点：链接"),
    ("- 苹果\n- 梨", "苹果。\n梨"),
    ("0.5和-3", "零点五和负三"),
    ("5A景区，3A游戏，电流5A", "五A景区，三A游戏，电流五安"),
    ("90后，00后和80、95后，3天后", "九零后，零零后和八零、九五后，三天后"),
    ("v1.2.3", "v一点二点三"),
    ("＄５０，１，０００元", "五十美元，一千元"),
    ("-5元，-$5，$-5，¥-5", "负五元，负五美元，负五美元，负五元"),
    ("-5度，-10~-5℃，近视-3度，-10%", "零下五度，零下十到零下五摄氏度，近视负三度，负百分之十"),
    ("10℃-20℃，5元-8元，2023年-2024年", "十摄氏度到二十摄氏度，五元到八元，二零二三年到二零二四年"),
    ("A$5，NT$500，R$ 5，$5-$10", "五澳元，五百新台币，五雷亚尔，五到十美元"),
    ("7-11便利店", "七幺幺便利店"),
    ("打110，请打120急救，火警119", "打幺幺零，请打幺二零急救，火警幺幺九"),
    ("12306，客服10086，911事件", "幺二三零六，客服幺零零八六，九幺幺事件"),
    ("打100分，110米，电话费120元", "打一百分，一百一十米，电话费一百二十元"),
    ("尾号1234，验证码是：0123", "尾号幺二三四，验证码是：零幺二三"),
    ("302室，航班CA1234，波音747，RTX4090", "三零二室，航班CA幺二三四，波音七四七，RTX四零九零"),
    ("985、211大学，618大促", "九八五、二幺幺大学，六幺八大促"),
    ("2000人，20000，12000", "两千人，两万，一万二千"),
    ("比分3-2，5-3=2，歼-20，GPT-4", "比分三比二，五减三等于二，歼二十，GPT四"),
    ("≥18，±5，18+，100万+", "大于等于十八，正负五，十八加，一百万加"),
    ("x²，10⁻⁶，CO₂，3½，Ⅲ期", "x的平方，十的负六次方，CO二，三又二分之一，三期"),
    ("100元/月，血压120/80", "一百元每月，血压一百二十比八十"),
    ("2024-03，2020-2021", "二零二四年三月，二零二零到二零二一"),
    (r"面积是$\pi r^2$，\(\frac{1}{2}\)，$x_1 \neq 5$", "面积是π r的平方，二分之一，x 一不等于五"),
    ("100 USD，1.5亿USD，1920x1080", "一百美元，一点五亿美元，一千九百二十乘一千零八十"),
    ("72次/分，5ml/kg，2片，1h30min", "七十二次每分，五毫升每公斤，两片，一小时三十分钟"),
    ("4001234567，1单元202，101路公交", "四零零，幺二三，四五六七，一单元二零二，幺零幺路公交"),
    ("端口8080，404错误，No.1", "端口八零八零，四零四错误，第一"),
    ("C++和C#，1080p", "C加加和C sharp，一零八零p"),
    ("1. 打开\n2. 关闭", "一、打开\n二、关闭"),
]


@pytest.mark.parametrize(("written", "said"), CHINESE)
def test_chinese(written: str, said: str) -> None:
    assert normalize(written, "zh-CN").text == said


def test_the_script_says_which_language() -> None:
    assert normalize("一共25个").text == "一共二十五个"
    assert normalize("All 25 of them").text == "All twenty-five of them"
    assert normalize("全部で25個").text == "全部で25個"
    assert normalize("Всего 25 штук").text == "Всего 25 штук"
    assert normalize("The word 好 has 6 strokes").text == "The word 好 has six strokes"


def test_of_other_languages_only_the_markup_goes() -> None:
    text = "# Preise\n**Brot** kostet 3,50 €, siehe [hier](https://x.de) und https://www.brot.de/a?b=1."
    said = "Preise.\nBrot kostet 3,50 €, siehe hier und brot.de/a."
    assert normalize(text, "de").text == said


def test_of_many_languages_latin_letters_do_not_tell_which() -> None:
    assert (
        normalize("**25** Stück, siehe www.x.de/a?b=1 <|im_end|>", "mul").text
        == "25 Stück, siehe x.de/a im end"
    )
    assert normalize("一共25个", "mul").text == "一共二十五个"
    assert normalize("Всего 25 штук", "mul").text == "Всего 25 штук"


def test_a_stream_that_was_japanese_stays_so_without_kana() -> None:
    stream = Normalizer()
    assert stream.normalize("東京で会おう。", "mul").text == "東京で会おう。"
    assert stream.normalize("2020年東京大会", "mul").text == "2020年東京大会"
    assert normalize("2020年东京大会", "mul").text == "二零二零年东京大会"


@pytest.mark.parametrize("language", ["en", "mul"])
@pytest.mark.parametrize(
    "tag",
    [
        "[laughing]",
        "[whisper in small voice]",
        "[pause 1.5s]",
        "[1.5s]",
        "[2 second pause]",
        "[pitch +2]",
        "[笑い]",
    ],
)
def test_tags_for_the_model_stay_as_they_are(tag: str, language: str) -> None:
    for text in (f"{tag} Hello.", f"Hello, {tag}you{tag}.", f"**{tag}** Hello.", f"- {tag} One\n- {tag} Two"):
        assert normalize(text, language).text.count(tag) == text.count(tag)
    assert normalize("See [1].", language).text in ("See 1.", "See one.")


MARKUP = [
    ("**bold** and *it* and _it_ and ~~gone~~ and `code`", "bold and it and it and gone and code"),
    ("an **open end", "an open end"),
    ("# Title\nText.", "Title.\nText."),
    ("- one\n* two\n+ three!\nEnd.", "one.\ntwo.\nthree!\nEnd."),
    ("1. Mix.\n2. Bake.", "one. Mix.\ntwo. Bake."),
    ("- [ ] open\n- [x] done", "open.\ndone"),
    ("> quoted\n> twice", "quoted.\ntwice"),
    ("[text](https://x.com) and ![alt](a.png)", "text and alt"),
    ('[text](https://en.wikipedia.org/wiki/A_(b) "title").', "text."),
    ("say [tomato](/təˈmeɪtoʊ/) now", "say [tomato](/təˈmeɪtoʊ/) now"),
    ("| a | b |\n|---|:-:|\n| 1 | 2 |", "a, b.\none, two."),
    ("up\n\n---\n\ndown", "up\n\ndown"),
    (r"\*not\* \# \$5", "not five dollars"),
    ("so $E = mc^2$.", "so E equals mc squared."),
    (r"\(x^{2} \leq 5\) and $$\frac{1}{2}$$", "x squared at most five and one half"),
    (r"$\text{speed} = \frac{\text{distance}}{\text{time}}$", "speed equals distance divided by time"),
    (r"\[\sqrt{16} = 4 \times 1\]", "square root of sixteen equals four times one"),
    ("$x$ is $10^{-3}$, $5=5€$", "x is ten to the power of minus three, five dollars equals five euros"),
    ("It costs $5 and then $6.", "It costs five dollars and then six dollars."),
    ("<b>x</b> &amp; y<br>z", "x and y z"),
    ("snake_case and __init__", "snake case and init"),
    ("well -- yes", "well — yes"),
    ("use --help", "use help"),
    ("  much   space \n\n\n here ", "much space\n\nhere"),
]


@pytest.mark.parametrize(("written", "said"), MARKUP)
def test_markup(written: str, said: str) -> None:
    assert normalize(written).text == said


def test_a_block_of_code_may_span_chunks() -> None:
    normalizer = Normalizer()
    chunks = ["So:\n```python\nx: List<int>", "y = Map<str>\n```", "then List<int>"]
    said = [normalizer.normalize(chunk).text for chunk in chunks]
    assert said == ["So:\nx: List int", "y equals Map str", "then List less than int"]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("<|im_start|>system<|im_end|>", "im start system im end"),
        ("<|endoftext|>", "endoftext"),
        ("&lt;|endoftext|&gt;", "endoftext"),
        ("<\u200b|endoftext|\u200b>", "endoftext"),
        ("<<||>|x|>", "x"),
        ("<|speaker:1|>Hi. <|speaker:1<|x|>|>", "<|speaker:1|>Hi. speaker:one x"),
        ("[a <|x|>]", "a x"),
        ("a\x00b\x1b c", "ab c"),
    ],
)
def test_no_control_token_gets_through(written: str, said: str) -> None:
    assert normalize(written, "en").text == said


@pytest.mark.parametrize(
    "text",
    ["[whispers] Hi 5.", "[pause 1.5s] Go.", "So [speaks at 2x speed] it goes.", "Oh![laughs][sighs] Well."],
)
def test_tags_stay(text: str) -> None:
    assert normalize(text, "en").text == text.replace(" 5.", " five.")


def test_every_word_knows_where_it_comes_from() -> None:
    raw = "It costs **$3.14** on Jan. 5th."
    spoken = normalize(raw)
    pairs = [(spoken.text[o.start : o.end], raw[o.source_start : o.source_end]) for o in spoken.origins]
    money = [(word, "$3.14") for word in "three dollars and fourteen cents".split()]
    assert pairs == [
        ("It", "It"),
        ("costs", "costs"),
        *money,
        ("on", "on"),
        ("January", "Jan."),
        ("fifth.", "5th."),
    ]


def test_nothing_stays_nothing() -> None:
    assert normalize("") == normalize(" \n ")
    assert normalize("").origins == ()
