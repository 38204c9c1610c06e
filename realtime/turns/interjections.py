"""What a caller says in half a second to interrupt somebody."""

from realtime.turns.phrases import Phrases

_INTERJECTIONS = Phrases(
    {
        "en": (
            "no|nope|nah|stop|stop it|wait|wait wait|hold on|hang on|hey|hello|hi|what|huh what|why|who|"
            "how|sorry|"
            "pardon|excuse me|enough|quiet|cancel|help|never mind|nevermind|shut up|actually|but|listen|look|"
            "one moment|one second|a moment|pause|next|skip|back|repeat|again|louder|slower|goodbye|bye|operator|"
            "agent|zero|one|two|three|four|five|six|seven|eight|nine|ten|not that|please|please stop|forget it"
        ),
        "de": (
            "nein|nee|nö|stopp|stop|halt|warte|warten sie|moment|momentmal|moment mal|hey|hallo|was|"
            "wie|wie bitte|"
            "warum|wer|entschuldigung|verzeihung|genug|ruhe|abbrechen|hilfe|egal|aber|hör zu|pause|weiter|zurück|"
            "nochmal|noch mal|lauter|langsamer|tschüss|bitte|null|eins|zwei|drei|vier|fünf|sechs|sieben|acht|neun"
        ),
        "fr": (
            "non|stop|arrête|arrêtez|attends|attendez|hé|allô|bonjour|quoi|comment|pourquoi|qui|"
            "pardon|excusez-moi|"
            "assez|silence|annuler|aide|mais|écoute|écoutez|un instant|une seconde|pause|suivant|"
            "encore|plus fort|"
            "au revoir|s'il vous plaît|zéro|un|deux|trois|quatre|cinq|six|sept|huit|neuf|dix"
        ),
        "es": (
            "no|para|pare|alto|espera|espere|oye|oiga|hola|qué|cómo|por qué|quién|perdón|perdona|disculpe|basta|"
            "silencio|cancelar|ayuda|pero|escucha|escuche|un momento|un segundo|pausa|siguiente|"
            "otra vez|más alto|"
            "más despacio|adiós|por favor|cero|uno|dos|tres|cuatro|cinco|seis|siete|ocho|nueve|diez"
        ),
        "it": (
            "no|ferma|fermati|basta|aspetta|aspetti|ehi|pronto|ciao|che|cosa|come|perché|chi|scusa|"
            "scusi|silenzio|"
            "annulla|aiuto|ma|senti|senta|ascolta|un momento|un attimo|pausa|avanti|ancora|più forte|per favore|"
            "arrivederci|zero|uno|due|tre|quattro|cinque|sei|sette|otto|nove|dieci"
        ),
        "pt": (
            "não|para|pare|espera|espere|ei|alô|olá|oi|quê|o quê|como|por quê|quem|desculpa|desculpe|chega|"
            "silêncio|cancelar|ajuda|mas|escuta|escute|um momento|um segundo|pausa|próximo|de novo|mais alto|"
            "mais devagar|tchau|por favor|zero|um|dois|três|quatro|cinco|seis|sete|oito|nove|dez"
        ),
        "zh": (
            "不|不是|不对|不要|不用|停|停一下|停下|等|等等|等一下|喂|你好|什么|啥|为什么|谁|怎么|抱歉|不好意思|够了|"
            "安静|取消|救命|帮我|算了|但是|可是|听我说|暂停|下一个|再说一遍|再来|大声点|慢点|再见|零|一|二|三|四|五|"
            "六|七|八|九|十"
        ),
        "ja": (
            "いいえ|いや|違う|違います|だめ|止めて|やめて|ストップ|待って|ちょっと待って|ちょっと|ねえ|もしもし|すみません|"
            "何|なに|なんで|誰|え|ごめん|もういい|静かに|キャンセル|助けて|でも|聞いて|次|もう一度|もう一回|ゆっくり|"
            "さようなら|お願い|ゼロ|一|二|三|四|五|六|七|八|九|十"
        ),
        "ko": (
            "아니|아니요|아뇨|아니에요|그만|멈춰|멈춰요|잠깐|잠깐만|잠깐만요|잠시만요|저기|저기요|여보세요|안녕하세요|뭐|뭐요|"
            "뭐라고요|왜|왜요|누구|미안|죄송합니다|됐어요|조용히|취소|도와주세요|근데|그런데|하지만|다음|다시|천천히|크게|"
            "제발|영|공|일|이|삼|사|오|육|칠|팔|구|십"
        ),
    }
)


def is_interjection(text: str, language: str | None = None) -> bool:
    """Whether it is a word or two that people interrupt with: "no", "stop", "wait", "sorry?", a number.

    ``language`` is a code such as "en" or "en-US"; None, or one that is not known here: any of them.
    """
    return _INTERJECTIONS.count(text, language) in (1, 2)
