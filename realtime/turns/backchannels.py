"""What a listener says to show that he listens, and that is no turn of his."""

from realtime.turns.phrases import Phrases

# No word of refusal or of "stop" is among them: who says "no" wants to be heard.
_BACKCHANNELS = Phrases(
    {
        "en": (
            "mhm|mm|mmm|mm hmm|mmhmm|hm|hmm|uh huh|uhhuh|aha|ah|oh|uh|um|er|erm|huh|yeah|yep|yup|yes|ya|ok|okay|"
            "right|all right|alright|sure|i see|got it|gotcha|of course|exactly|true|indeed|really|wow|"
            "nice|great|"
            "good|cool|fine|oh really|oh wow|oh okay|i know|makes sense|"
            "fair enough|you"  # Whisper hears that in a breath
        ),
        "de": (
            "mhm|hm|hmm|aha|ah|oh|äh|ähm|ja|jaja|jo|okay|ok|genau|gut|klar|stimmt|richtig|ach so|achso|"
            "verstehe|alles klar|sicher|natürlich|na klar|echt|wirklich|super|toll"
        ),
        "fr": (
            "mhm|hum|hm|hmm|ah|oh|euh|ouais|oui|d'accord|ok|okay|bien|très bien|voilà|exactement|je vois|"
            "bien sûr|tout à fait|c'est ça|ah bon|vraiment|super|entendu"
        ),
        "es": (
            "mhm|ajá|aja|hm|hmm|ah|oh|eh|sí|si|vale|ok|okay|claro|bien|bueno|ya|ya veo|exacto|de acuerdo|"
            "entiendo|por supuesto|en serio|perfecto"
        ),
        "it": (
            "mhm|mh|hm|hmm|ah|oh|eh|sì|si|ok|okay|certo|bene|va bene|giusto|esatto|capisco|ho capito|d'accordo|"
            "davvero|perfetto|già"
        ),
        "pt": (
            "mhm|aham|uhum|hm|hmm|ah|oh|é|sim|tá|ta bom|tá bom|ok|okay|certo|claro|bem|bom|entendi|entendo|"
            "exato|isso|pois é|sério|perfeito"
        ),
        "zh": (
            "嗯|嗯嗯|嗯哼|哦|噢|喔|啊|呃|额|对|对对|对对对|是|是的|是啊|好|好的|好吧|行|行吧|可以|没错|"
            "明白|明白了|知道了|懂了|当然|真的|真的吗|嗯好|嗯对"
        ),
        "ja": (
            "うん|うんうん|ううん|ええ|ええと|えっと|あ|ああ|あー|おお|へえ|へー|ほう|ふーん|うーん|はい|"
            "はいはい|そう|そうそう|そうです|そうですね|そうですか|そうか|そっか|なるほど|なるほどね|たしかに|"
            "確かに|わかりました|分かりました|了解|了解です|オーケー|本当|本当ですか|んー|ん"
        ),
        "ko": (
            "음|응|응응|어|어어|아|아아|오|네|네네|네에|예|예예|그래|그래요|그렇죠|그렇군요|그렇구나|그쵸|맞아|"
            "맞아요|좋아|좋아요|알겠어요|알겠습니다|알았어|알았어요|오케이|정말|정말요|진짜|진짜요"
        ),
    }
)
# Several in a row are none the more a turn: "yeah, okay, I see". More than so many of them are.
_MOST = 4


def is_backchannel(text: str, language: str | None = None) -> bool:
    """Whether all of it is "mhm", "yeah", "okay" and the like, or there is no word in it at all.

    ``language`` is a code such as "en" or "en-US"; None, or one that is not known here: any of them.
    """
    phrases = _BACKCHANNELS.count(text, language)
    return phrases is not None and phrases <= _MOST
