"""Tags in a text: ``[whispers]``, ``[pause 1.5s]``, ``(happy)``, parsed once into typed spans.

Three notations are read: free text in square brackets, as S2 models take it; the fixed words in parentheses of
the S1 models; and the ``<break/>`` of SSML. A tag's scope is that of Fish Audio's documentation: **a mood lasts
from its tag to the end of the sentence, or to the next mood**; moods with nothing but white space between them
add up (:func:`blend`). A pause or an unknown tag leaves the mood as it is.

Only the text is looked at here: who speaks the spans decides where a sentence ends.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from engine import PLAIN, Style

MAX_TAG = 80
"""A "[" that is not closed within so many characters, itself and "]" included, was only a bracket."""
MAX_PAUSE = 10.0
"""The longest pause that can be asked for, in seconds."""


@dataclass(frozen=True, slots=True)
class Words:
    """Text to be spoken: ``text[start:end]`` of the text that was parsed, white space included."""

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Pause:
    """Silence, in seconds, where the tag stands: 0 to :data:`MAX_PAUSE`."""

    seconds: float
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Mood:
    """How to speak from here to the end of the sentence or the next mood; ``PLAIN`` ends the one before."""

    style: Style
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Unknown:
    """A tag that names nothing known here, or a sound such as laughter. ``name`` is what its brackets hold.

    It is not to be read aloud.
    """

    name: str
    start: int
    end: int


Span = Words | Pause | Mood | Unknown


def parse(text: str) -> tuple[Span, ...]:
    """The spans of a text, in its order and without a gap. Any string is fine; linear in its length.

    Not a tag, and so part of :class:`Words`: brackets that hold no letter ("[1]") or begin with anything else
    than a letter, that are not closed within :data:`MAX_TAG` characters or on the same line; Markdown links and
    ``[word](/phonemes/)``; and every parenthesis that is not, as a whole, one of the S1 tags.

    >>> parse("[whispers] Come in.")
    (Mood(style=Style(whisper=True, ...), start=0, end=10), Words(text=' Come in.', start=10, end=19))
    """
    spans: list[Span] = []
    spoken = 0
    for tag in _tags(text):
        if tag.start > spoken:
            spans.append(Words(text[spoken : tag.start], spoken, tag.start))
        spans.append(tag)
        spoken = tag.end
    if spoken < len(text):
        spans.append(Words(text[spoken:], spoken, len(text)))
    return tuple(spans)


def blend(*styles: Style) -> Style:
    """Several styles at once: levels add up, factors are multiplied, within what still sounds like speech."""
    level, pace, pitch, span = 0.0, 1.0, 1.0, 1.0
    for style in styles:
        level += style.level_db
        pace *= style.pace
        pitch *= style.pitch
        span *= style.range
    return Style(
        any(style.whisper for style in styles),
        round(min(max(level, -9.0), 6.0), 3),
        round(min(max(pace, 0.65), 1.4), 3),
        round(min(max(pitch, 0.7), 1.4), 3),
        round(min(max(span, 0.2), 1.8), 3),
    )


def style_of(words: str) -> Style | None:
    """The style that a description asks for, such as a tag holds one; None if it names no mood that is known."""
    return _style(_spaced(words))


MOODS: dict[str, tuple[Style, str]] = {
    "whisper": (
        Style(whisper=True),
        "whisper* hush* under_his_breath under_her_breath under_my_breath under_their_breath sotto_voce",
    ),
    "soft": (
        Style(level_db=-4.5, pace=0.97, range=0.9),
        "soft* quiet* small_voice tiny_voice low_volume lower_volume murmur* mutter* mumbl* breathy intima*",
    ),
    "loud": (Style(level_db=4.0, range=1.15), "loud* high_volume higher_volume raised_voice big_voice"),
    "shouting": (
        Style(level_db=5.5, pace=0.97, pitch=1.15, range=1.3),
        "shout* yell* scream* holler* bellow* roar* shriek*",
    ),
    "emphasis": (Style(level_db=2.5, pace=0.88, range=1.35), "emphas* emphat* stress strong* accentuat*"),
    "excited": (
        Style(level_db=1.5, pace=1.08, pitch=1.1, range=1.4),
        "excit* thrill* enthusias* energetic* energi* high_energy ecsta* hyped eager* keen* hysteric*",
    ),
    "happy": (
        Style(level_db=0.5, pace=1.03, pitch=1.06, range=1.25),
        "happy happi* joy* cheer* delight* glad* playful* amus* smil* bright* upbeat friendly satisfied pleased "
        "grateful* thankful* hopeful* optimis* jolly merry merri*",
    ),
    "sad": (
        Style(level_db=-2.0, pace=0.88, pitch=0.95, range=0.65),
        "sad sadly sadness sadder unhappy unhappi* sorrow* depress* melanchol* grief griev* mourn* tearful* "
        "crying weep* sobbing heartbroken disappoint* regret* lonely loneli* guilt* ashamed upset hurt pain* "
        "resign* gloom* nostalgi* pessimis* envious jealous*",
    ),
    "angry": (
        Style(level_db=3.0, pace=1.06, pitch=1.04, range=1.3),
        "angry angri* anger mad furious* fury rage enraged raging irritat* annoy* frustrat* outrag* hostile "
        "aggressive* impatien* disapprov* bitter*",
    ),
    "calm": (
        Style(level_db=-1.0, pace=0.93, pitch=0.98, range=0.8),
        "calm* relax* peace* sooth* seren* tranquil* meditat* low_energy composed",
    ),
    "gentle": (
        Style(level_db=-2.0, pace=0.94, range=0.95),
        "gentl* tender* warm* kind kindly comfort* compassion* empath* sympath* loving* affection* caring "
        "sincer* moved concilia* consol* reassur*",
    ),
    "fast": (
        Style(pace=1.2, range=1.05),
        "fast* quick* rapid* hurr* rush* urgent* urgency hast* breathless* speed_up high_speed",
    ),
    "slow": (Style(pace=0.82), "slow* drawl* deliberate* unhurried* low_speed"),
    "low": (
        Style(pitch=0.85, range=0.95),
        "low lower low_voice low_tone low_pitch* lower_pitch* pitch_down deep* bass baritone "
        "gravel* husky gruff*",
    ),
    "high": (
        Style(pitch=1.18, range=1.05),
        "high higher high_voice high_pitch* higher_pitch* pitch_up squeak* falsetto shrill* childlike childish*",
    ),
    "shy": (
        Style(level_db=-3.5, pace=0.94, pitch=1.04, range=0.8),
        "shy shyly shyness timid* bashful* hesita* embarrass* awkward* meek* sheepish* reluctan* uncertain* "
        "unsure doubt* yielding",
    ),
    "nervous": (
        Style(level_db=-1.0, pace=1.08, pitch=1.06, range=1.1),
        "nervous* anxi* worr* tense* tension trembl* shaky shaking stressed uneas* jitter*",
    ),
    "afraid": (
        Style(level_db=-0.5, pace=1.1, pitch=1.1, range=1.2),
        "afraid scared fear* terrif* terror panic* fright* horrif*",
    ),
    "serious": (
        Style(pace=0.95, pitch=0.95, range=0.85),
        "serious* grave gravely solemn* stern* formal* sober* firm* authoritative* determin*",
    ),
    "broadcast": (
        Style(level_db=1.0, pace=1.02, pitch=0.97, range=1.15),
        "broadcast* professional* announc* news newsreader newscaster anchor* narrat* presenter radio "
        "documentary",
    ),
    "confident": (
        Style(level_db=1.0, pace=0.98, range=1.12),
        "confiden* proud* pride assertive* bold* assured",
    ),
    "surprised": (
        Style(level_db=1.0, pitch=1.12, range=1.45),
        "surpris* astonish* amaz* shock* stunned startl* disbelie*",
    ),
    "curious": (
        Style(pitch=1.04, range=1.2),
        "curio* interested intrigu* inquisitive* questioning confus* puzzl* wonder*",
    ),
    "mocking": (
        Style(pace=0.92, pitch=0.98, range=1.3),
        "sarcas* ironic* irony mock* sneer* scorn* disdain* contempt* disgust* smug*",
    ),
    "tired": (
        Style(level_db=-2.0, pace=0.86, pitch=0.97, range=0.65),
        "tired* sleepy sleepi* exhaust* weary weari* bored* boredom drows* letharg*",
    ),
    "flat": (
        Style(range=0.25),
        "monoton* robot* flat flatly deadpan emotionless* expressionless* indifferen*",
    ),
    "dramatic": (
        Style(level_db=1.0, pace=0.9, range=1.4),
        "dramatic* intens* theatric* passion* epic suspense* myster*",
    ),
}
"""What the moods do to a voice, and by which words they are found in a tag: ``*`` stands for any letters, ``_``
for a space or a hyphen. The factors are what can be told apart without a voice losing its identity.
"""

# Of the Fish Audio documentation of the S1 models; English is the only language of their tags.
_S1_MOODS = (
    "happy sad angry excited calm nervous confident surprised satisfied delighted scared worried upset "
    "frustrated depressed empathetic embarrassed disgusted moved proud relaxed grateful curious sarcastic "
    "disdainful unhappy anxious hysterical indifferent uncertain doubtful confused disappointed regretful "
    "guilty ashamed jealous envious hopeful optimistic pessimistic nostalgic lonely bored contemptuous "
    "sympathetic compassionate determined resigned impatient scornful panicked furious reluctant keen "
    "interested joyful disapproving negative denying astonished serious sincere conciliative comforting "
    "sneering hesitating yielding painful awkward amused in_a_hurry_tone shouting screaming whispering "
    "soft_tone"
)
_S1_SOUNDS = (
    "laugh laughing chuckle chuckling sobbing crying crying_loudly sigh sighing groan groaning panting gasp "
    "gasping yawning snoring moaning breath cough coughing clear_throat clearing_throat lip_smacking "
    "crowd_laughing background_laughter audience_laughing break long_break pause"
)

_INTENSITY = {
    **dict.fromkeys("very extremely really so super incredibly intensely deeply highly".split(), 1.4),
    **dict.fromkeys("slightly bit little somewhat mildly subtly faintly almost".split(), 0.5),
    **dict.fromkeys("not no without less never".split(), 0.0),
}
_STRONGEST = 1.5
_SOUND = (
    "laugh* chuckl* giggl* snicker* sigh* sob sobs sobbed sobbing cry cries crying cough* sneez* sniff* snor* "
    "gasp* groan* moan* "
    "pant pants panting yawn* inhal* exhal* breath breaths breathes breathing throat gulp* swallow* hum hums "
    "humming hmm sing sings singing song whistl* burp* hiccup* smack* applause clap* music audience crowd "
    "background noise* effect* sfx"
)
_PAUSE_NOUNS = frozenset("pause pauses paused pausing break silence silent beat wait waits".split())
_PAUSE = 0.5
_PAUSES = {
    **dict.fromkeys("short brief briefly small quick little tiny slight half weak".split(), 0.25),
    **dict.fromkeys("long longer big dramatic extended deep strong".split(), 1.0),
}
_LONGER = frozenset("very really extra extremely".split())
_NUMBERS = {"half": 0.5, "a": 1.0, "an": 1.0} | {
    word: float(number)
    for number, word in enumerate("one two three four five six seven eight nine ten".split(), start=1)
}
_UNITLESS_IS_MS = 30.0  # "[pause 500]" cannot mean seconds
# Words by which a sound is but how the words are to be spoken.
_MANNER = "voice* tone* speak* say* said talk* under"


class _Lexicon:
    """Finds the words and phrases of a table; the longest phrase counts, and the longest beginning of a word."""

    def __init__(self, names: dict[str, str]) -> None:
        """``names`` maps what is to be found to its words, written as in :data:`MOODS`."""
        self._names = {
            word.replace("_", " "): name for name, words in names.items() for word in words.split()
        }
        self._longest = max(word.count(" ") for word in self._names) + 1

    def find(self, tokens: list[str]) -> Iterator[tuple[str, int]]:
        """What is found, each with the index of its first token."""
        index = 0
        while index < len(tokens):
            for length in range(min(self._longest, len(tokens) - index), 0, -1):
                if name := self._look_up(" ".join(tokens[index : index + length])):
                    yield name, index
                    index += length
                    break
            else:
                index += 1

    def _look_up(self, phrase: str) -> str | None:
        shortest = phrase.rfind(" ") + 2  # a phrase may be open at its last word only
        beginnings = (phrase[:end] + "*" for end in range(len(phrase), shortest, -1))
        return next((self._names[word] for word in (phrase, *beginnings) if word in self._names), None)


_MOOD_WORDS = _Lexicon({name: words for name, (_, words) in MOODS.items()})
_SOUND_WORDS = _Lexicon({"sound": _SOUND})
_MANNER_WORDS = _Lexicon({"manner": _MANNER})
_PLAIN_AGAIN = re.compile(
    r"/.*|(?:end|stop|stops|reset)(?:\s\w+){0,2}|"
    r"(?:(?:back|return|returns|to|in|with|a|the|my|own)\s)*(?:normal|neutral|natural|regular|plain|default|usual)"
    r"(?:ly)?(?:\s(?:voice|tone|volume|speed|pace|pitch|style|speech|speaking|delivery|again))*"
)
_DURATION = re.compile(
    r"(?<![0-9.,])([0-9]+(?:[.,][0-9]+)?|[.,][0-9]+)\s*"
    r"(?:(ms|msecs?|millisec\w*)|(s|secs?|seconds?)|(min|minutes?))?(?![^\W_])"
)
_SPELT_DURATION = re.compile(rf"\b({'|'.join(_NUMBERS)})(?:\s+an?)?[\s-]+(?:sec|second|minute)s?\b")
_BARE_DURATION = re.compile(r"[0-9.,]+\s*(?:ms|s|secs?|seconds?)")
_WORD = re.compile(r"[^\W\d_]+")

_S1_NAMES = "|".join((_S1_MOODS + " " + _S1_SOUNDS).replace("_", r"[\s_-]").split())
_S1 = rf"\((?P<s1>(?:(?:slightly|very|extremely)\s)?(?:{_S1_NAMES}))\)"
_LINK = (
    r"\[[^\[\]\n]{1,200}\](?:\(/[^()/\n]{1,199}/\)|\[[0-9]{1,3}\]|"
    rf"(?!{_S1.replace('?P<s1>', '?:')})"
    r"\([^\s()]{0,2000}(?:\([^\s()]{0,200}\)[^\s()]{0,200})?(?:\s\"[^\"\n]{0,200}\")?\))"
)
_BREAK = r"<break(?P<break>(?:\s[^<>\n]{0,60})?)>|<break/>"
_TAG = re.compile(
    rf"(?P<link>{_LINK})|\[(?P<free>/?[^\W_][^\[\]\n]{{0,{MAX_TAG - 3}}})\]|{_S1}|{_BREAK}", re.IGNORECASE
)


def _tags(text: str) -> Iterator[Pause | Mood | Unknown]:
    for match in _TAG.finditer(text):
        if match["link"] is not None or match.end() - match.start() > MAX_TAG:
            continue
        start, end = match.span()
        name = (match["free"] or match["s1"] or "").strip()
        if not name:
            yield Pause(_seconds(_spaced(match["break"] or "")), start, end)
            continue
        content = _spaced(name)
        if _is_pause(content):
            yield Pause(_seconds(content), start, end)
        elif name[0].isdigit():
            continue  # "[2nd edition]"
        elif (style := _style(content)) is not None:
            yield Mood(style, start, end)
        else:
            yield Unknown(name, start, end)


def _spaced(content: str) -> str:
    """Lower case, and nothing but spaces between words."""
    return " ".join(content.lower().replace("_", " ").replace("-", " ").split())


def _is_pause(content: str) -> bool:
    """Whether a tag speaks of a pause before anything else, or of nothing but a time."""
    words = _WORD.findall(content)
    near = words[:3] + words[-1:]
    return not _PAUSE_NOUNS.isdisjoint(near) or bool(_BARE_DURATION.fullmatch(content))


def _seconds(content: str) -> float:
    """How long a pause shall be that is described like this."""
    if match := _DURATION.search(content):
        seconds = float(match[1].replace(",", "."))
        if match[2] or (not match[3] and not match[4] and seconds > _UNITLESS_IS_MS):
            seconds /= 1000
        elif match[4]:
            seconds *= 60
    elif match := _SPELT_DURATION.search(content):
        seconds = _NUMBERS[match[1]]
    else:
        words = _WORD.findall(content)
        seconds = next((_PAUSES[word] for word in words if word in _PAUSES), _PAUSE)
        if not _LONGER.isdisjoint(words):
            seconds = seconds * 2 if seconds > _PAUSE else seconds / 2
    return min(seconds, MAX_PAUSE)


def _style(content: str) -> Style | None:
    """The style of all moods that a tag names; None if there is none."""
    if _PLAIN_AGAIN.fullmatch(content):
        return PLAIN
    words = _WORD.findall(content)
    if any(_SOUND_WORDS.find(words)) and not any(_MANNER_WORDS.find(words)):
        return None  # "[soft laughter]" is a sound, and no way of speaking
    strengths: dict[str, float] = {}
    for name, index in _MOOD_WORDS.find(words):
        strengths.setdefault(name, _strength(words[:index]))
    felt = [_scaled(MOODS[name][0], strength) for name, strength in strengths.items() if strength]
    return blend(*felt) if felt else None


def _strength(before: list[str]) -> float:
    """How strongly a mood is meant, by the words before its own: "not so" is not at all."""
    strength = 1.0
    for word in reversed(before):
        if word not in _INTENSITY:
            break
        strength *= _INTENSITY[word]
    return min(strength, _STRONGEST)


def _scaled(style: Style, strength: float) -> Style:
    return Style(
        style.whisper,
        style.level_db * strength,
        style.pace**strength,
        style.pitch**strength,
        style.range**strength,
    )
