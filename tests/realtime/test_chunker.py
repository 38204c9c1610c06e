"""The chunker: where a text may be cut, and when it is."""

import random
import re
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from realtime.chunker import PACES, SPEAKER, TOLERANCE, Chunk, Chunker
from realtime.chunker.scanner import Scanner
from realtime.request import Latency

BALANCED = PACES[Latency.BALANCED]
SILENT, RELAXED = 0.0, 60.0


def chunker(latency: Latency = Latency.BALANCED, chunk_length: int = 200, least: int = 50) -> Chunker:
    return Chunker(PACES[latency], chunk_length=chunk_length, min_chunk_length=least)


def take_all(c: Chunker, now: float = 0.0, ahead: float = SILENT) -> list[Chunk]:
    segments = []
    while segment := c.take(now, ahead):
        segments.append(segment)
    return segments


def texts(segments: Iterable[Chunk]) -> list[str]:
    return [segment.text for segment in segments]


def spoken(tokens: Iterable[str], ahead: float = SILENT, **kwargs: int) -> list[Chunk]:
    """All segments of a text that arrives in these tokens and is then flushed."""
    c = chunker(**kwargs)  # type: ignore[arg-type]
    segments = []
    for token in tokens:
        c.push(token, 0.0)
        segments += take_all(c, ahead=ahead)
    c.flush()
    return segments + take_all(c, ahead=ahead)


def pieces(text: str, size: int) -> list[str]:
    return [text[i : i + size] for i in range(0, len(text), size)]


def leading(text: str) -> Chunk:
    """The first words of a stream, with more of their sentence to come."""
    return Chunk(text, 0, len(text), open_ended=True)


# What must never be cut, between « » here, and the text around it.
WHOLE = [
    # numbers, money, dates, addresses
    "It costs {$3.14} a litre.",
    "Das kostet {22,1 Prozent} mehr.",
    "It took {$5 million} to build.",
    "It cost {1 000 000 €} at least.",
    "It cost {R$ 5} at least.",
    "The card is {4111 1111 1111 1111} and valid.",
    "You can call {020 7946 0958} now.",
    "You can call {+1 (555) 123 4567} now.",
    "Er zahlt {5 Mio. Euro} dafür.",
    "Use version {1.2.3} of it.",
    "Ping {192.168.1.1} and wait.",
    "We meet at {9:30} or at 10:45.",
    "We meet at {9:30 am} tomorrow.",
    "It was {Jan. 5} then.",
    "It was {5 March 2024} then.",
    "On {May 5,} we met.",
    "El {5 de mayo} llega.",
    "Le {5 mai 2024} il pleut.",
    "Write to {jane.doe@example.com} now.",
    "See {https://example.com/a,b.html?x=1.} Then go.",
    "It is {No. 5} of them.",
    # abbreviations, initials, ellipses
    "{Mr. Smith} and {Dr. Jones} met.",
    "For fruit, {e.g. apples,} ask.",
    "The {U.S.} team won.",
    "{J. K. Rowling} wrote it.",
    "{Well...} maybe so.",
    "{Wait ...} what did you say?",
    "Wir treffen uns am {5. Mai} dort.",
    "Es war im {19. Jahrhundert} so.",
    "Obst, {z. B. Äpfel} und mehr.",
    "Nimm Obst, {d. h. Äpfel} und mehr.",
    "Это {т. е. пример} для вас.",
    "{А. С. Пушкин} жил там.",
    "Это было в {2024 г. Москва} росла.",
    "La {Sra. López} y el {Sr. Díaz} hablan.",
    "O {Sr. Silva} e a {Sra. Costa} falam.",
    "Voici {M. Dupont} et {Mme Durand} ensemble.",
    "आज {डॉ. शर्मा} आए।",
    "{EE. UU.} es grande.",
    "La {Av. Libertad} es larga.",
    "El {Lic. Gómez} vino.",
    "O {Eng. Costa} veio.",
    "Le {Pr. Martin} parle.",
    "Au {bd. Voltaire} il pleut.",
    "L'an 5 {av. J.-C.} il y avait.",
    "Die {3. Etage} ist leer.",
    "Hier kommt {Dr. med. Müller} heute.",
    "Это {проф. Иванов} говорит.",
    "Было {ок. 5} км пути.",
    "यह {पं. नेहरू} थे।",
    "พบ {ดร. สมชาย} ที่นี่",
    "It costs {Rs. 500} now.",
    "He is {5 ft. 3} in the morning.",
    "A {Ph. D. is} long.",
    "In {Ft. Worth} it rains.",
    "Then {Adm. Nelson} and {Maj. Tom} won.",
    "See {Eq. 5} there.",
    "On {Feb. 2nd, 2024} it was.",
    "On {May 5, 2024} it was.",
    "Take these: {1. First} item, {2. Second} item.",
    # set-off punctuation, quotations and brackets
    "{Bonjour !} Ça va ?",
    "Il a dit {« Oui, je vais bien. »} hier.",
    "He said {“I know. I went.”} to her.",
    'He said {"I know. I went."} to her.',
    "Er sagte {„Ja, gut. Komm.“} zu ihr.",
    "It is {(see the note, page 5)} there.",
    "他说{“你好。我来了。”}然后走了。",
    "彼は{「はい、そうです。」}と言った。",
    "他读{《红楼梦，上》}很久。",
    "यह एक वाक्य {है ।} यह दूसरा है।",
    "ราคา {มาก ๆ} ครับ",
    "ราคา {5 บาท} ครับ",
    "真的{吗？！」}好的。",
    "上午{9：30}开会。",
    "他买了{１，０００}本书。",
    # markup
    "He said {[whispers in a small voice]} hello.",
    "Wait {[pause 1.5s]} for it.",
    "Read {[the good book](https://example.com/a_b)} now.",
    "{1. First} of all.\n{2. Second} of all.",
    "List:\n{- First} of all.\n{* Second} of all.",
]


def bare(text: str) -> str:
    return text.replace("{", "").replace("}", "")


def check_whole(marked: str, said: list[str]) -> None:
    for part in re.findall(r"{(.*?)}", marked):
        assert any(part in chunk for chunk in said), (part, said)


@pytest.mark.parametrize("text", WHOLE)
def test_never_cut_inside(text: str) -> None:
    whole = spoken([bare(text)])
    check_whole(text, texts(whole))
    rng = random.Random(text)
    for size in (1, 2, 3, 5):
        assert spoken(pieces(bare(text), size)) == whole
    for _ in range(10):
        assert spoken(random_pieces(bare(text), rng)) == whole


@pytest.mark.parametrize("text", WHOLE)
@pytest.mark.parametrize("ahead", [SILENT, 1.0, RELAXED])
def test_nor_where_the_text_must_be_cut(text: str, ahead: float) -> None:
    """With words before it such that the longest chunk ends at any place of it."""
    if "\n" in text or text.startswith("{1."):
        return  # a list begins a line
    for words in range(0, 40, 2):
        marked = "so " * words + text
        check_whole(marked, texts(spoken(pieces(bare(marked), 4), ahead, chunk_length=80)))


@pytest.mark.parametrize("text", ["At 2 p.m. EST we go.", "Das war Friedrich II. König von dort."])
def test_nor_is_there_taken_for_a_sentence_s_end_what_is_none(text: str) -> None:
    assert texts(spoken([text], RELAXED, least=1)) == [text]


def random_pieces(text: str, rng: random.Random) -> list[str]:
    cuts = sorted(rng.sample(range(len(text)), min(6, len(text))))
    return [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]


@pytest.mark.parametrize("ahead", [SILENT, 1.0, RELAXED])
@given(
    st.lists(
        st.sampled_from(
            [
                *map(bare, WHOLE),
                "Hi!",
                '"Oh',
                "(so",
                "«",
                "5",
                "«\u00a0Non\u00a0»",
                "x " * 40,
                "你好，世界。",
                "[1]",
                "3 < 5",
                "a" * 300,
                "<|speaker:1|>Yes.",
            ]
        )
    ),
    st.data(),
)
def test_the_same_segments_however_the_text_was_cut(
    ahead: float, parts: list[str], data: st.DataObject
) -> None:
    text = " ".join(parts)
    whole = spoken([text], ahead)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=20)))
    tokens = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert spoken(tokens, ahead) == whole


@given(st.text(max_size=400), st.sampled_from([SILENT, 1.0, RELAXED]), st.integers(1, 7))
@example("[" * 90, SILENT, 1)
@example("<|speaker:" + "1" * 20, SILENT, 1)
@example("a" * 400, SILENT, 3)
def test_no_text_is_lost_or_said_twice(text: str, ahead: float, size: int) -> None:
    said = "".join("".join(texts(spoken(pieces(text, size), ahead))).split())
    assert said == "".join(SPEAKER.sub("", text).split())


@given(st.text(alphabet="ab .,!\n", max_size=2000))
def test_no_segment_is_longer_than_asked(text: str) -> None:
    assert all(len(segment.text) <= 100 for segment in spoken([text], RELAXED, chunk_length=100))


@pytest.mark.parametrize("opened", ['"', "“", "(", "« ", "„", "「"])
def test_a_quotation_that_is_long_or_never_closed_does_not_stall(opened: str) -> None:
    text = f"Say {opened}now we go on and on. " + "It goes on and on. " * 5
    said = texts(spoken([text]))
    assert len(said) > 2
    c = chunker()
    c.push(f"He said {opened}no. ", 0.0)
    first = c.take(1.0, SILENT)
    assert first is not None
    assert first.text == "He said"
    assert texts(take_all(c, now=1.0)) == [f"{opened}no."]


def test_a_pause_behind_a_quotation_releases_it_whole() -> None:
    c = chunker()
    c.push('He said "no."', 0.0)
    assert texts(take_all(c, now=1.0)) == ['He said "no."']


def test_a_pause_leaves_an_abbreviation_with_its_name() -> None:
    c = chunker()
    c.push("I met Mr.", 0.0)
    assert texts([c.take(1.0, SILENT) or leading("")]) == ["I met"]
    c.push(" Smith. ", 1.0)
    assert texts(take_all(c, now=2.0)) == ["Mr. Smith."]


def test_a_pause_leaves_a_number_with_its_unit() -> None:
    c = chunker()
    c.push("They want about 5 ", 0.0)
    assert texts(take_all(c, now=1.0)) == ["They want"]
    c.push("million. ", 1.0)
    assert texts(take_all(c, now=2.0)) == ["about 5 million."]


def test_bold_text_is_cut_between_its_words() -> None:
    said = texts(spoken(["**The old sailor told us a long story** again and again and again."]))
    assert said[0] == "**The old sailor told us"


def test_a_silent_listener_gets_the_first_clause() -> None:
    c = chunker()
    c.push("Hello there, I am", 0.0)
    assert texts(take_all(c)) == ["Hello there,"]


@pytest.mark.parametrize(
    ("latency", "first"),
    [
        (Latency.LOW, "She walked slowly"),
        (Latency.BALANCED, "She walked slowly down the road"),
        (Latency.NORMAL, "She walked slowly down the road to the next little"),
    ],
)
def test_or_the_first_words_up_to_a_phrase(latency: Latency, first: str) -> None:
    c = chunker(latency, least=200)
    c.push("She walked slowly down the road to the next little town ", 0.0)
    assert c.take(0.0, SILENT) == leading(first)


@pytest.mark.parametrize(
    ("latency", "text", "first"),
    [
        (Latency.LOW, "在这个阳光明媚的早晨我和我的朋友们一起去了公园", "在这个阳光明媚的早晨"),
        (Latency.BALANCED, "我想告诉你二零二四年三月五日他们在北京开会", "我想告诉你二零二四年三月五日他们"),
        (Latency.LOW, "今日は天気がとても良いので友達と一緒に公園へ行きたいと思います", "今日は天気がとても"),
        (
            Latency.BALANCED,
            "今日は天気がとても良いので友達と一緒に公園へ行きたいと思います",
            "今日は天気がとても良いので",
        ),
        (Latency.LOW, "วันนี้อากาศดีมากฉันอยากไปเดินเล่นที่สวนสาธารณะกับเพื่อนของฉัน", "วันนี้อากาศดีมาก"),
        (
            Latency.LOW,
            "오늘은 날씨가 아주 좋아서 친구와 함께 공원에 가고 싶어요",
            "오늘은 날씨가 아주 좋아서 친구와",
        ),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 3, 5, 100])
def test_nor_is_a_space_needed_between_the_first_words(
    latency: Latency, text: str, first: str, size: int
) -> None:
    c = chunker(latency)
    said = []
    for piece in pieces(text, size):
        c.push(piece, 0.0)
        said += take_all(c)
    assert said[0].text == first


def test_text_without_spaces_is_cut_between_words_where_it_must_be() -> None:
    said = spoken(
        ["今日は天気がとても良いので友達と一緒に公園へ行きたいと思います"], RELAXED, chunk_length=20
    )
    assert texts(said) == ["今日は天気がとても良いので友達と一緒に", "公園へ行きたいと思います"]


def test_no_is_also_a_word() -> None:
    assert texts(spoken(["I said no. Then I left."], least=1)) == ["I said no.", "Then I left."]


def test_the_first_words_do_not_end_with_an_article() -> None:
    c = chunker()
    c.push("The old sailor told us a long story again ", 0.0)
    assert c.take(0.0, SILENT) == leading("The old sailor told us")


def test_with_seconds_left_only_whole_sentences_leave() -> None:
    c = chunker(least=10)
    c.push("I went to the market, where I bought some fish, ", 0.0)
    assert take_all(c, ahead=RELAXED) == []
    assert texts(take_all(c, ahead=BALANCED.relaxed - 0.1)) == [
        "I went to the market,",
        "where I bought some fish,",
    ]


def test_when_the_listener_is_about_to_run_dry_a_phrase_leaves() -> None:
    c = chunker(least=10)
    c.push("I went down to the market with my oldest friend ", 0.0)
    assert take_all(c, ahead=BALANCED.relaxed - 0.1) == []
    segment = c.take(0.0, BALANCED.hurry - 0.1)
    assert segment is not None
    assert segment.open_ended


def test_shortly_before_that_the_first_words_leave_as_at_the_beginning() -> None:
    c = chunker(least=100)
    c.push("I went down to the market with my oldest friend ", 0.0)
    assert c.take(0.0, BALANCED.urgent + 0.1) is None
    assert c.take(0.0, BALANCED.urgent) == leading("I went down to the market")


def test_due_names_the_times_at_which_something_may_leave() -> None:
    c = chunker(least=10)
    assert c.due(0.0, 0.0) is None
    c.push("I went down to the market with ", 10.0)
    assert c.due(10.0, 5.0) == pytest.approx(10.0 + BALANCED.idle)
    assert c.due(11.0, 5.0) == pytest.approx(11.0 + 5.0 - BALANCED.relaxed)
    assert c.due(11.0, 1.0) == pytest.approx(11.0 + 1.0 - BALANCED.hurry)


def test_a_finished_sentence_leaves_after_a_pause_without_a_flush() -> None:
    c = chunker()
    c.push("It costs $3.14.", 0.0)
    assert take_all(c, now=0.0) == []
    assert texts(take_all(c, now=BALANCED.idle)) == ["It costs $3.14."]


# Where the writer pauses, at the "|", within what must never be cut, between « » here.
PAUSES = [
    "It costs {$3|.14} today.",
    "It costs {$3.|14} today.",
    "It costs {10,|000} now.",
    "It is {192.|168.1.1} for us.",
    "Use {v1.|2} of it.",
    "At {9:|30 p.m.} we go.",
    "At {9:30 p.|m.} we go.",
    "The {U.|S.} team won.",
    "See {https:|//example.com/a} now.",
    "See {https://example.|com/a} now.",
    "Write to {jane@example.|com} now.",
    "Read {[a link](http://a.|com/b)} now.",
    "It was {Jan. |5} then.",
    "It was {Jan.| 5} then.",
    "On {May |5,} we met.",
    "Wir treffen uns am {5.| Mai} dort.",
    "Es war im {19. J|ahrhundert} so.",
    "Er zahlt {5 Mio. |Euro} dafür.",
    "It is {No. |5} of them.",
    "{1. |First} of all.",
    "Это было {т.|е. пример} для вас.",
    "今日は{3.|14}です。",
    "他买了{１，|０００}本书。",
]


@pytest.mark.parametrize("latency", Latency)
@pytest.mark.parametrize("text", PAUSES)
def test_a_pause_tears_nothing_that_goes_on(text: str, latency: Latency) -> None:
    c = chunker(latency)
    head, tail = bare(text).split("|")
    c.push(head, 0.0)
    said = take_all(c, now=0.0)
    while (due := c.due(0.0, SILENT)) is not None and due <= PACES[latency].idle + TOLERANCE and not said:
        said += take_all(c, now=due)
        break
    c.push(tail, PACES[latency].idle + TOLERANCE)
    c.flush()
    check_whole(text.replace("|", ""), texts(said + take_all(c, now=1.0)))


@pytest.mark.parametrize("text", ["It costs $3.", "It is no. 5, or 10,", "Call the U.S.", "See https://a."])
def test_what_might_have_gone_on_is_complete_after_a_long_pause(text: str) -> None:
    c = chunker()
    c.push(text, 0.0)
    early = take_all(c, now=BALANCED.idle)
    assert c.pending
    assert " ".join(texts(early + take_all(c, now=BALANCED.settled))) == text
    assert c.due(BALANCED.settled, SILENT) is None


@pytest.mark.parametrize("text", ["It happened in 1999.", "We met at 9:30.", "It costs $3.14."])
def test_what_is_as_long_as_it_gets_leaves_after_a_short_one(text: str) -> None:
    c = chunker()
    c.push(text, 0.0)
    assert texts(take_all(c, now=BALANCED.idle)) == [text]


def test_a_slow_writer_is_not_taken_to_pause_behind_each_token() -> None:
    c = chunker(Latency.LOW)
    said = []
    for number, token in enumerate(("The", " ser", "ver", " is", " at", " home", " now.")):
        for later in (0.0, PACES[Latency.LOW].idle):
            if not later:
                c.push(token, 0.17 * number)
            said += take_all(c, now=0.17 * number + later)
    assert not said
    assert texts(take_all(c, now=0.17 * 6 + 2 * 0.17)) == ["The server is at home now."]


def test_a_pause_does_not_cut_a_word() -> None:
    c = chunker()
    c.push("I think par", 0.0)
    assert texts(take_all(c, now=1.0)) == ["I think"]
    c.push("rots talk. ", 1.0)
    assert texts(take_all(c, now=2.0)) == ["parrots talk."]


@pytest.mark.parametrize(
    "text", ["今天的天气非常好我们", "きょうはとてもいい天気", "他说：「今天的天气非常好"]
)
def test_a_pause_releases_words_that_no_space_ends(text: str) -> None:
    c = chunker()
    c.push(text, 0.0)
    early = take_all(c, now=0.0)
    assert c.pending
    assert "".join(texts(early + take_all(c, now=BALANCED.idle))) == text
    c.push("想出去玩。", 1.0)
    c.flush()
    assert texts(take_all(c, now=1.0)) == ["想出去玩。"]


def test_a_pause_does_not_part_the_first_characters_of_a_word() -> None:
    c = chunker()
    c.push("今天", 0.0)
    assert take_all(c, now=1.0) == []


def test_flush_releases_everything() -> None:
    c = chunker()
    c.push("It costs $3.14. An unfinished [tag", 0.0)
    c.flush()
    assert texts(take_all(c, ahead=RELAXED)) == ["It costs $3.14. An unfinished [tag"]
    assert c.pending == 0


def test_text_after_a_flush_is_a_new_beginning() -> None:
    c = chunker()
    c.push("One", 0.0)
    c.flush()
    c.push("two three", 0.0)
    assert texts(take_all(c)) == ["One"]
    c.flush()
    assert texts(take_all(c)) == ["two three"]


@pytest.mark.parametrize(
    "text", ["3 < 5 and so on.", "See [1] here.", "A [ b.", "x <| y.", "<|speaker:x|> no."]
)
def test_what_only_looks_like_markup_does_not_stall(text: str) -> None:
    c = chunker(least=1)
    c.push(text + " Next one. And", 0.0)
    assert "".join(texts(take_all(c))).replace(" ", "").startswith(text.replace(" ", ""))


def test_speakers_take_turns() -> None:
    segments = spoken(pieces("Zero. <|speaker:1|>One here. One more. <|speaker:12|>Twelve", 1))
    assert [(segment.speaker, segment.text) for segment in segments] == [
        (0, "Zero."),
        (1, "One here."),
        (1, "One more."),
        (12, "Twelve"),
    ]


def test_a_turn_is_never_joined_with_the_next() -> None:
    segments = spoken(["<|speaker:0|>Hi<|speaker:1|>Hi<|speaker:0|>Bye"], RELAXED)
    assert [(segment.speaker, segment.text) for segment in segments] == [(0, "Hi"), (1, "Hi"), (0, "Bye")]


def test_open_ended_says_that_the_sentence_goes_on() -> None:
    segments = spoken(["Well, that is that. Is it? Yes"])
    assert [segment.open_ended for segment in segments] == [True, False, False, False]


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("你好。今天天气很好！你呢？", ["你好。", "今天天气很好！", "你呢？"]),
        ("真的？！好……吧。", ["真的？！", "好……", "吧。"]),
        ("你好,世界!好的.", ["你好,", "世界!", "好的."]),
        ("これはペンです。あれは本です。", ["これはペンです。", "あれは本です。"]),
        ("（はい）。『いいえ』、そう。", ["（はい）。", "『いいえ』、", "そう。"]),
        ("안녕하세요. 네. 그래요? 좋아요!", ["안녕하세요.", "네.", "그래요?", "좋아요!"]),
        ("यह एक वाक्य है। यह दूसरा है॥ और", ["यह एक वाक्य है।", "यह दूसरा है॥", "और"]),
        ("هل أنت هنا؟ نعم، أنا؛ هنا.", ["هل أنت هنا؟", "نعم،", "أنا؛", "هنا."]),
        ("สวัสดีครับ วันนี้ดี ครับ", ["สวัสดีครับ", "วันนี้ดี ครับ"]),
        ("Wirklich? Ja! Gut.", ["Wirklich?", "Ja!", "Gut."]),
        ("Hola ¿cómo estás? ¡Bien! Sí.", ["Hola", "¿cómo estás?", "¡Bien!", "Sí."]),
        ("Bonjour ! Ça va ? Oui : bien.", ["Bonjour !", "Ça va ?", "Oui :", "bien."]),
        ("« Bonjour. » Puis rien.", ["« Bonjour. »", "Puis rien."]),
        ("„Ja.“ Dann ging er.", ["„Ja.“", "Dann ging er."]),
        ("»Ja.« Dann ging er.", ["»Ja.«", "Dann ging er."]),
        ("И т. д. Он ушёл.", ["И т. д.", "Он ушёл."]),
        ("Olá! Tudo bem? Sim.", ["Olá!", "Tudo bem?", "Sim."]),
        ("We ate at 5 p.m. Then he left.", ["We ate at 5 p.m.", "Then he left."]),
        ("I am 5. You are 6.", ["I am 5.", "You are 6."]),
        ("Plan B. It works.", ["Plan B.", "It works."]),
        ("“Stop!” he said. “No.” It was.", ["“Stop!”", "he said.", "“No.”", "It was."]),
        ("One \n\n two\nthree", ["One", "two", "three"]),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 100])
def test_sentence_ends_of_other_scripts(text: str, sentences: list[str], size: int) -> None:
    assert texts(spoken(pieces(text, size))) == sentences


HEAVY = {
    "spaces": " ",
    "newlines": "\n",
    "speaker marks": "<|speaker:1|>",
    "brackets": "[",
    "angles": "<",
    "open tags": "[x ",
    "full stops": "。",
    "combining marks": "\u0301",
    "flags": "🇩",
    "initials": "a. ",
    "quotes": '"a ',
    "parentheses": "(",
    "words without spaces": "a",
    "words in wide spaces": "a" * 150 + " " * 230,
}


@pytest.mark.parametrize("size", [4, 100_000])
@pytest.mark.parametrize("part", HEAVY.values(), ids=HEAVY.keys())
def test_no_call_looks_at_more_than_a_chunk_needs(
    part: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted, not timed: the steps of the scan, each bounded by itself, are linear in the text."""
    steps = 0
    mark = Scanner._mark

    def counted(*args: Any) -> None:
        nonlocal steps
        steps += 1
        mark(*args)

    monkeypatch.setattr(Scanner, "_mark", counted)
    c, length = chunker(), 100_000
    for token in pieces("a" + part * (length // len(part)), size):
        c.push(token, 0.0)
        assert len(take_all(c, ahead=RELAXED)) <= size
        assert len(c._buffer.text) <= max(size, 1000)
        assert len(c._scanner.marks) <= 400
    c.flush()
    take_all(c)
    while c.due(0.0, 0.0) is not None:
        take_all(c)
    assert c.pending == 0
    assert steps <= length


def test_text_with_nothing_to_say_is_stepped_over_in_strides() -> None:
    c = chunker()
    c.push(" " * 300_000 + "Hi", 0.0)
    c.flush()
    calls = 0
    while c.due(0.0, RELAXED) == TOLERANCE or not calls:
        assert (chunk := c.take(0.0, RELAXED)) is None or chunk == Chunk("Hi", 300_000, 300_002)
        calls += 1
    assert 3 <= calls <= 6
    assert c.pending == 0


def test_random_tokens_of_a_long_text() -> None:
    rng = random.Random(7)
    text = " ".join(bare(rng.choice(WHOLE)) for _ in range(200))
    position, tokens = 0, []
    while position < len(text):
        size = rng.randint(1, 6)
        tokens.append(text[position : position + size])
        position += size
    assert spoken(tokens) == spoken([text])


@pytest.mark.parametrize("spaces", [1, 31, 32, 33, 40, 500])
@pytest.mark.parametrize("head", ["Name", "Hello there my friend.", "It is no. 5", "Well, yes,"])
def test_wide_spaces_do_not_stall(head: str, spaces: int) -> None:
    c = chunker(least=1)
    text = head + " " * spaces + "Price is four dollars and it is sold here. And"
    c.push(text, 0.0)
    said = take_all(c)
    assert "".join("".join(texts(said)).split()) == "".join(text.removesuffix("And").split())
    assert texts(spoken(pieces(text, 3), least=1)) == texts(spoken([text], least=1))


START_TIMES = st.floats(0, 4e9).map(lambda seconds: round(seconds, 3))


@given(
    START_TIMES,
    st.lists(
        st.tuples(
            st.sampled_from(["Okay", " there", ",", " 3.14", ' "yes', "。", "é", "\n"]), st.integers(0, 900)
        )
    ),
    st.sampled_from(list(Latency)),
)
@example(1000.0, [], Latency.LOW)
def test_the_timer_never_misses(start: float, tokens: list[tuple[str, int]], latency: Latency) -> None:
    """Timers fire on a clock of milliseconds: what is due is given, or a later time is named."""
    c, origin = chunker(latency), round(start * 1000)
    millis, ahead_until = origin, origin  # the listener has speech until then
    for token, pause in [*tokens, ("Yes.", 0)]:
        c.push(token, millis / 1000)
        until, turns = millis + pause, 0
        if token == "Yes.":
            until += 1_000_000_000
        while True:
            now = millis / 1000
            ahead = max(ahead_until - millis, 0) / 1000
            if chunk := c.take(now, ahead):
                ahead_until = max(ahead_until, millis) + 70 * len(chunk.text)
                continue
            due = c.due(now, ahead)
            assert due is None or due > now
            turns += 1
            assert turns < 100
            if due is None or due * 1000 > until:
                break
            # The loop's clock may be a millisecond behind.
            millis = max(millis, int(due * 1000))
        millis = until
    assert c.pending == 0


@pytest.mark.parametrize("head", ["Hello. ", "Hello, ", "Hello there ", "你好，", "Hello"])
@pytest.mark.parametrize("mark", ["<|speaker:12|>", "[laughs, softly.]", "[tag.]"])
def test_a_pause_does_not_tear_a_mark(head: str, mark: str) -> None:
    text = f"{head}{mark}Hi."
    for cut in range(len(head), len(head + mark)):
        c = chunker(least=1)
        c.push(text[:cut], 0.0)
        said = take_all(c, now=1.0)
        c.push(text[cut:], 1.0)
        said += take_all(c, now=1.0)
        c.flush()
        said += take_all(c, now=1.0)
        assert "".join("".join(texts(said)).split()) == "".join(SPEAKER.sub("", text).split())
        assert said[-1].speaker == (12 if mark.startswith("<") else 0)
        if mark.startswith("["):
            assert sum(mark in chunk.text for chunk in said) == 1, said


@pytest.mark.parametrize(
    "head", ["x" * 95, "你好" * 48, "e\u0301" * 48, "ab [" * 24, "字" * 30, "字" * 99, ""]
)
@pytest.mark.parametrize("mark", ["[whispers in a small voice]", "[" + "long " * 15 + "x]"])
@pytest.mark.parametrize("ahead", [SILENT, RELAXED])
def test_a_long_text_is_not_cut_within_a_tag(head: str, mark: str, ahead: float) -> None:
    text = head + mark + "你好" * 60
    for size in (1, 7, 1000):
        said = spoken(pieces(text, size), ahead, chunk_length=100)
        assert sum(mark in chunk.text for chunk in said) == 1, said


@pytest.mark.parametrize("size", [1, 2, 3, 5, 1000])
def test_a_speaker_mark_within_a_bracket_is_obeyed(size: int) -> None:
    said = spoken(pieces("See [the <|speaker:3|>note] here.", size))
    assert [(chunk.speaker, chunk.text) for chunk in said] == [(0, "See [the"), (3, "note] here.")]


@pytest.mark.parametrize("text", ["[" + "x" * 100 + " and so it goes on. Then", "Hello [" + "y " * 60])
def test_a_bracket_that_is_never_closed_is_released(text: str) -> None:
    c = chunker(least=1)
    c.push(text, 0.0)
    assert take_all(c, now=1.0) != []


CLUSTERS = ["👩‍👩‍👧", "🇩🇪", "e\u0301\u0323", "\u1112\u1161\u11ab", "क्षि", "ที่", "👍🏽"]


@pytest.mark.parametrize("cluster", CLUSTERS)
@pytest.mark.parametrize("length", [10, 11, 12, 13])
def test_a_hard_cut_keeps_clusters_whole(cluster: str, length: int) -> None:
    text = "x" + cluster * 40
    for ahead, size in [(SILENT, 1), (RELAXED, 3), (RELAXED, 1000)]:
        said = texts(spoken(pieces(text, size), ahead, chunk_length=length))
        assert "".join(said) == text
        assert all(len(part.removeprefix("x")) % len(cluster) == 0 for part in said), said


@given(st.text(max_size=300), st.sampled_from([SILENT, 1.0, RELAXED]), st.integers(1, 7), st.integers(1, 60))
@example("é" * 300 + "<|speaker:1|> [a", SILENT, 1, 20)
def test_a_chunk_knows_where_it_stood(text: str, ahead: float, size: int, length: int) -> None:
    reached = 0
    for chunk in spoken(pieces(text, size), ahead, chunk_length=length):
        assert text[chunk.start : chunk.end] == chunk.text
        assert chunk.text == chunk.text.strip() != ""
        assert not SPEAKER.sub("", text[reached : chunk.start]).strip()
        reached = chunk.end
    assert not SPEAKER.sub("", text[reached:]).strip()


SCRAPS = [
    *'hello |the |It |a. |Dr. |5 |million |am |Mai |9|1. |- |. |, |!|?"|…|—|" | "|“|”|(|) |« | »|‘|’'.split(
        "|"
    ),
    *"「|」|、|：|。|你|好吗|\u0301|🇩|e\u0301|ไทย |\xa0|\n|[|]|[laugh]|[a](b c) |[whispers in a voice]".split(
        "|"
    ),
    *["<|speaker:1|>", "<|speaker:2|>", "<|spea", " " * 40, "x" * 130, "word " * 30],
]


@given(
    st.lists(st.sampled_from(SCRAPS), max_size=50),
    st.sampled_from([SILENT, 0.6, 2.0, RELAXED]),
    st.sampled_from([1, 20, 100, 200]),
    st.sampled_from([0, 50, 100]),
    st.integers(1, 50),
)
@example([".", " " * 40, "- ", "a. "], SILENT, 200, 100, 1)
@example(["「", "« ", "\n", "5 ", "：", "「", "- ", ", ", "It "], 2.0, 20, 0, 3)
@example(["[whispers in a voice]", ") ", "a. "], SILENT, 20, 0, 2)
@example(["“", ". ", "[whispers in a voice]", " ", ") ", "!", "million "], SILENT, 20, 0, 7)
def test_the_same_chunks_whatever_the_text(
    scraps: list[str], ahead: float, length: int, least: int, size: int
) -> None:
    text = "".join(scraps)
    said = spoken([text], ahead, chunk_length=length, least=least)
    assert spoken(pieces(text, size), ahead, chunk_length=length, least=least) == said
