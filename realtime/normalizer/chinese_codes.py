"""Mandarin numbers that count nothing: of telephones, rooms, trains and cards, nicknames, versions, letters."""

import re

from realtime.normalizer.chinese_numbers import APART, BY_DIGIT, ON_PHONE
from realtime.normalizer.draft import Rule, Saying, when

_MOBILE = re.compile(
    r"(?<![A-Za-z0-9.,-])(?:\+?86[ -]?)?(1[3-9][0-9])[ -]?([0-9]{4})[ -]?([0-9]{4})(?![0-9-]|[.,][0-9])"
)
_PHONE = re.compile(r"(?<![A-Za-z0-9.,-])(?:0[0-9]{2,3}-[0-9]{7,8}|[48]00-[0-9]{3,4}-[0-9]{3,4})(?![0-9-])")
# What is counted is no code: "打100分", "电话费2000元".
_COUNTS_NOTHING = (
    r"(?![0-9]|[.,][0-9]|[ ]?[个只条本张件次天年月日周秒点分名位人种家元块万亿千折米倍岁页%％多余])"
)
_FREE_CALL = re.compile(r"(?<![A-Za-z0-9.,-])([48]00)([0-9]{3})([0-9]{4})(?![0-9-]|[.,][0-9])")
_NUMBER_SIGN = re.compile(r"(?<![A-Za-z])N[oO]\.?[ ]?(?=[0-9])")
_CALLED = re.compile(
    r"((?:拨打|致电|电话|热线|拨|打|客服|尾号|验证码|密码|邮编|账号|卡号|工号|学号|编号|单号|口令|房间|房号|端口|状态码|错误码|错误代码|QQ|Q群|微信)"
    rf"(?:号码|号)?[ ：:是为“\"]{{0,2}})([0-9]{{3,12}}+){_COUNTS_NOTHING}"
)
# Numbers that everybody calls, where something else says so.
_HOTLINE = re.compile(
    rf"{APART}(?<![-:：/年月￥¥$€£第])(?:11[0249]|12[0-2]|911|999|123[0-9]{{2}}|100(?:86|10|00)|95[0-9]{{3}}|96[0-9]{{3}})"
    rf"{_COUNTS_NOTHING}(?![-:：/])"
)
_HOTLINE_WORDS = re.compile(
    "拨|打电话|拨打|致电|电话|热线|急救|救护|报警|警|火|消防|呼叫|客服|查号|求助|投诉|紧急|订票|铁路|事故"
)
_ALWAYS_HOTLINES = frozenset(("12306", "12315", "10086", "10010"))
_NICKNAMES = {
    "985": "高校|大学|院校|工程|名校|学校|毕业|硕士|本科|[、/和或与及]",
    "211": "高校|大学|院校|工程|名校|学校|毕业|硕士|本科|[、/和或与及]985",
    "996": "工作|制|加班|文化|福报|的|是|，|。",
    "007": "工作|制|加班|系列|电影",
    "315": "晚会|打假|曝光|维权",
    "618": "大促|购物|年中|活动|狂欢|预售|期间|促销|当天|来",
    "520": "表白|快乐|情人|告白|礼物|当天|这天",
    "360": "杀毒|浏览器|安全|软件|公司|搜索",
    "163": "邮箱",
    "126": "邮箱",
    "58": "同城",
    "911": "事件|恐怖|袭击|恐袭",
    "9·11": "",
    "9.11": "事件|恐怖|袭击|恐袭",
}
_NICKNAME = re.compile(
    rf"{APART}(?:{'|'.join(f'{re.escape(name)}(?={behind})' for name, behind in _NICKNAMES.items())})(?![0-9])"
)
_SEVEN_ELEVEN = re.compile(rf"{APART}7-?11(?=[ ]?(?:便利|超市|连锁|门店))|(?<=便利店)7-11(?![0-9])")
_ROOM = re.compile(
    rf"{APART}[1-9][0-9]{{2,3}}(?=室|号房|房间)|{APART}[1-9][0-9]{{2}}(?=路(?:公交|车|[，。]))"
    rf"|{APART}40[0-9](?=[ ]?(?:错误|页面|报错))"
    r"|(?:(?<=[栋幢座])|(?<=单元))[1-9][0-9]{2,3}(?![0-9.,]|[层楼])"
)
_BORN = re.compile(
    r"(?<![A-Za-z0-9.,:：第])[0-9][05](?=(?:后?[、/和与及跟][ ]?[0-9][05])?后(?![天年月小分秒个面]))"
)
_AIRLINER = re.compile(r"((?:波音|空客)[ ]?)([1-9][0-9]{2})(?![0-9.])")
_TRAIN = re.compile(
    r"(?<![A-Za-z0-9])([A-Z]{1,2})([0-9]{1,4})(?=次|航班)|(?<=航班)([A-Z]{2})([0-9]{3,4})(?![0-9])"
)
# RTX4090, A380; in versions and on roads no digit is left out either.
_MODEL = re.compile(r"(?<=[A-Za-z])[0-9]{3,}+(?![0-9.,])|(?<=[A-Za-z]-)[0-9]{3,}+(?![0-9.,])")
_LINES = re.compile(rf"{APART}(360|480|576|720|1080|1440|2160)(?=[pPiI](?![A-Za-z]))")
_DOTTED = re.compile(rf"(?:{APART}|(?<=(?<![A-Za-z0-9])[vV]))[0-9]++(?:\.[0-9]++){{2,}}+(?![A-Za-z0-9])")


def _grouped(text: str) -> str:
    return "，".join(group.translate(ON_PHONE) for group in re.findall("[0-9]+", text))


def _hotline(match: re.Match[str]) -> Saying:
    text, start, end = match.string, match.start(), match.end()
    if match[0] in _ALWAYS_HOTLINES or _HOTLINE_WORDS.search(text, max(0, start - 12), end + 6):
        return match[0].translate(ON_PHONE)
    return None


def _train(match: re.Match[str]) -> Saying:
    letters, number = (1, 2) if match[1] else (3, 4)
    return letters, (number, match[number].translate(ON_PHONE))


CODES = when(
    "0123456789",
    Rule(_MOBILE, lambda match: "，".join(group.translate(ON_PHONE) for group in match.groups())),
    Rule(_PHONE, lambda match: _grouped(match[0])),
    Rule(_FREE_CALL, lambda match: "，".join(group.translate(ON_PHONE) for group in match.groups())),
    *when("N", Rule(_NUMBER_SIGN, lambda _: "第")),
    Rule(_CALLED, lambda match: (1, (2, match[2].translate(ON_PHONE)))),
    Rule(_HOTLINE, _hotline),
    Rule(_NICKNAME, lambda match: match[0].translate(ON_PHONE | {ord("."): None, ord("·"): None})),
    Rule(_SEVEN_ELEVEN, lambda _: "七幺幺"),
    Rule(_ROOM, lambda match: match[0].translate(ON_PHONE)),
    Rule(_BORN, lambda match: match[0].translate(BY_DIGIT)),
    Rule(_AIRLINER, lambda match: (1, (2, match[2].translate(BY_DIGIT)))),
    Rule(_TRAIN, _train),
    Rule(_MODEL, lambda match: match[0].translate(BY_DIGIT)),
    Rule(_LINES, lambda match: match[0].translate(BY_DIGIT)),
)
"""To be said before all other numbers."""

VERSIONS = when(
    ".", Rule(_DOTTED, lambda match: "点".join(part.translate(BY_DIGIT) for part in match[0].split(".")))
)
"""To be said after dates, which may have full stops, too."""
