"""Words and signs that decide where a text may be cut, of all languages at once.

No language is known or guessed: a word is listed only where it does no harm in the others. All words are in
lower case, abbreviations without their last full stop.
"""

import regex


def _words(*languages: str) -> frozenset[str]:
    return frozenset(word for language in languages for word in language.split())


TITLES = _words(
    "mr mrs ms dr prof st ft mt rev hon gen col maj capt lt sgt pvt cmdr adm gov sen rep pres messrs",  # English
    "hr fr dipl ing",  # German
    "sra srta dra sres ud uds dña lic arq eng av",  # Spanish and Portuguese, with "sr" below
    "sr exmo exma mme mlle mgr pr bd",
    "тов гр акад проф доц ул пл пр им",  # Russian
    "डॉ प्रो श्री पं",  # Hindi
    "ดร ผศ รศ นพ",  # Thai
    "د أ م",  # Arabic
)
"""They bind to the name that follows."""

BINDING = _words(
    "e.g i.e cf vs viz resp ph",
    "z.b d.h u.a vgl bzw bspw evtl ggf inkl exkl sog zzgl geb i.d.r med phil rer jur habil",
    "p.ej p.ex pág págs núm env ee",
    "т.е т.к т.н напр",
)
"""They bind to whatever follows."""

TRAILING = _words(
    "etc al inc ltd corp co dept univ assn bros ave blvd rd jr eds a.m p.m u.s u.k u.n ph.d",
    "usw usf str std jh mio mrd",
    "ltda cía ee.uu jj.oo ff.aa rr.hh",
    "гг руб коп тыс млн млрд др",
    "ई.पू กทม",
)
"""They end something, and may end the sentence with it."""

BEFORE_NUMBERS = _words(
    "no nos vol fig figs eq tab apt pp p ch chap sec art approx tel ext min max ca est rs ft lb lbs",
    "nr abs kap bd abb",
    "n núm pág aprox",
    "стр рис гл п д кв см ст ок",
)
"""Abbreviations before a number; before anything else they are words like others."""

MONTHS = _words(
    "january february march april may june july august september october november december",
    "jan feb mar apr jun jul aug sep sept oct nov dec",
    "januar februar märz april mai juni juli august oktober dezember mär okt dez jänner",
    "janvier février mars avril juin juillet août septembre octobre novembre décembre janv févr avr juil déc",
    "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre ene abr ago dic",
    "janeiro fevereiro março maio junho julho setembro outubro novembro dezembro fev",
    "января февраля марта апреля мая июня июля августа сентября октября ноября декабря",
    "जनवरी फ़रवरी फरवरी मार्च अप्रैल मई जून जुलाई अगस्त सितंबर अक्टूबर नवंबर दिसंबर",
    "يناير فبراير مارس أبريل مايو يونيو يوليو أغسطس سبتمبر أكتوبر نوفمبر ديسمبر",
)

MAGNITUDES = _words(
    "hundred thousand million billion trillion millions billions k m bn",
    "tausend millionen milliarde milliarden billionen mio mrd",
    "mille millions milliard milliards mil millón millones milhão milhões bilhão bilhões",
    "тысяча тысячи тысяч миллион миллиона миллионов миллиард миллиарда миллиардов тыс млн млрд",
    "हज़ार हजार लाख करोड़ ألف مليون مليار พัน หมื่น แสน ล้าน 만 억 조",
)

UNITS = _words(
    "percent per cent dollars dollar euro euros pounds pound cents yen yuan won rubles rupees usd eur gbp jpy",
    "mm cm m km kilometers kilometres meters metres miles feet foot inches inch yards ft mi",
    "g kg mg kilos grams kilograms tons tonnes pounds lbs oz l ml liters litres degrees watts volts",
    "kb mb gb tb hz khz mhz ghz w kw kwh v km/h mph kmh kph °c °f",
    "am pm a.m p.m o'clock uhr h hours hour minutes minute seconds second days day weeks week months month",
    "years year",
    "prozent stunden stunde minuten sekunden tage tagen jahre jahren grad kilometer meter liter gramm",
    "heures heure minutes secondes jours ans mètres litres degrés pour",
    "horas hora minutos segundos días años euros kilómetros metros litros grados por dias anos quilômetros reais",
    "г гг год года лет руб рублей рубля рубль км м кг час часа часов минут секунд процентов процента процент",
    "किलोमीटर रुपये रुपए प्रतिशत घंटे मिनट साल كيلومتر دولار ساعة دقيقة سنة บาท คน ชั่วโมง นาที ปี",
    "년 월 일 시 분 초 원 명 개 살",
)
"""Words that belong to the number before them."""

UNIT_SIGNS = frozenset("%‰°€$£¥₹₽₩฿′″")

BEFORE_ORDINALS = _words(
    "am der die das den dem des im vom zum zur beim das seit ab bis jeder jeden ihr ihren sein seinen"
)
"""After one of these, a number with a full stop is the ordinal of German and its like: "am 5. Mai"."""

OPENERS = _words(
    "down up along across around off out and or but because that which who when where while if so than "
    "then though although unless until since as with without within into onto from for to in on at by "
    "of about after before between through over under during the a an my your his her its our their "
    "this these those",
    "und oder aber weil dass wenn mit ohne für nach über unter zwischen",
    "et mais parce avec sans dans sur sous pour chez",
    "y pero porque con sin sobre entre hasta desde",
    "mas porque com sem sobre até",
    "и но или что если когда потому с без для на по от до после",
)
"""Words that begin a phrase: a speaker may take breath before one of them."""

CLINGING = OPENERS | _words(
    "no not very is are was were be been will would can could should may might must has have had do "
    "does did i you he she it we they there",
    "der das den dem ein eine einen einem einer nicht ist sind zum zur vom im",
    "le la les un une des du au aux ne est sont je tu il elle nous vous",
    "el los las una del al es son",
    "os um uma da dos das na nas ao é são",
    "в к о у за из под при не ни я ты он она мы вы они",
)
"""Words that belong to the next one: no breath is taken behind them."""

STARTERS = CLINGING - _words("a le la el los des du das den dem os y o i") | _words(
    "i now here what why how yes well please let just also however meanwhile today yesterday tomorrow another "
    "some many most all every each both next first finally",
    "die sie er es wir ihr ich danach dann heute",
    "ce cette ces ils elles puis",
    "él ella ellos luego después ele ela eles depois",
    "это этот эта они потом затем однако там",
)
"""After an abbreviation, one of these with a capital begins a new sentence."""

LONGEST_OPENER = max(map(len, OPENERS))
LONGEST_WORD = max(map(len, MONTHS | MAGNITUDES | UNITS | STARTERS))

SENTENCE_ENDS = ".!?…‽⁇⁈⁉‼。！？｡．؟۔।॥։።"
CLAUSE_ENDS = ",;:—、，；：､،؛၊፣"
UNSPACED_ENDS = "。！？｡、，；：､"
"""Marks of scripts that put no space after them: the mark itself is the place to cut."""
LOOSE_ENDS = "!?,;:…—～"
"""Marks that do so only behind a letter of such a script, and before another."""
CLOSERS = "\"'”’“»›«‹)]}）」』】》〉*_`"
"""What may stand between a word's punctuation and the space: in some languages, the next one's opening sign."""
DASHES = frozenset("-–—")
SET_OFF = frozenset(".,!?;:…»›)]؟،؛।॥ๆฯ%")
"""Signs that belong to the word before them even where a space sets them off, as in French."""
NO_BREAK = "\u00a0\u202f\u2007"

QUOTES = {
    "(": ")",
    "（": "）",
    "「": "」",
    "『": "』",
    "《": "》",
    "〈": "〉",
    "【": "】",
    '"': '"',
    "“": "”",
    "„": "“”",
    "”": "”",
    "‘": "’",
    "«": "»",
    "»": "«",
    "‹": "›",
    "›": "‹",
}
"""What opens a bracket or a quotation, and what closes it."""
ALWAYS_OPEN = frozenset("（「『《〈【")
"""Of these, those that can be nothing else."""
OPENS_ALONE = frozenset(QUOTES) - frozenset('»›”"')
"""Of these, those that open what follows even if they stand alone, as in French."""

UNSPACED_WORD: regex.Pattern[str] = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}ー]")
"""A letter of a script that puts no space behind a word."""

GROWING: regex.Pattern[str] = regex.compile(
    r"(?:(?<=\d)(?<!\d{4}|:\d\d|\p{Sc}\d+\.\d\d)\.|\d[,:：，]|(?<![^\W_])(?:[^\W\d_]\.)+"
    r"|(?<!\S)(?:https?|mailto|ftp|tel):|(?:://|www\.|\]\()\S*|(?<!\S)\S*\w@\S*)\Z"
)
"""The end of a text of which more may belong to its last word, though a sign stands there that ends a clause:
"3.", "10,", "U.", "https:"; but not "in 2024.", "at 9:30." and "$3.14."."""
