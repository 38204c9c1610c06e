r"""Formulas in TeX, as language models write them, become signs that have words: "$E = mc^2$", "\frac{1}{2}"."""

import re

from realtime.normalizer.draft import Rule, Words, when

_WITHIN = r"(?:[^\\\n]|\\[^()\[\]\n]){1,300}"
_BRACKETED = re.compile(rf"\\\(({_WITHIN})\\\)|\\\[({_WITHIN})\\\]")
_DISPLAYED = re.compile(r"\$\$([^$]{1,300})\$\$")
# Between dollars there is a formula, not a price, where something is in it that prices do not have.
_INLINE = re.compile(
    r"(?<![A-Za-z0-9$\\])\$((?=[^\s$0-9][^$\n\\^_{=]{0,200}[\\^_{=]|[0-9\\^_{][^$\n\\^_{]{0,200}[\\^_{])[^$\n]{0,200}(?<!\s)|[A-Za-z])\$(?![A-Za-z0-9$])"
)
_ARGUMENT = r"\s?\{([^{}]{0,80})\}"
_WRAPPED = re.compile(
    rf"\\(?:text(?:bf|it|rm)?|math(?:rm|bf|it|bb|cal)|operatorname|boxed|vec|hat|bar|overline){_ARGUMENT}"
)
_FRACTION = re.compile(rf"\\[dt]?frac{_ARGUMENT}{_ARGUMENT}")
_ROOT = re.compile(rf"\\sqrt{_ARGUMENT}")
_DEGREES = re.compile(r"\^\{?\\circ\}?")
_RAISED = re.compile(r"([\^_])\{([^{}]{1,40})\}")
_COMMANDS = {
    **dict.fromkeys("times cdot ast".split(), " × "),
    **dict.fromkeys("le leq leqslant".split(), " ≤ "),
    **dict.fromkeys("ge geq geqslant".split(), " ≥ "),
    **dict.fromkeys("ne neq".split(), " ≠ "),
    **dict.fromkeys("approx sim simeq".split(), " ≈ "),
    **dict.fromkeys("to rightarrow Rightarrow implies".split(), " → "),
    **dict.fromkeys("ldots cdots dots".split(), "… "),
    **dict.fromkeys("left right big Big displaystyle".split(), ""),
    **dict.fromkeys("quad qquad".split(), " "),
    "div": " ÷ ", "pm": " ± ", "infty": "∞", "pi": "π", "sqrt": "√", "int": "integral ",
}  # fmt: skip
_COMMAND = re.compile(rf"\\({'|'.join(sorted(_COMMANDS, key=len, reverse=True))})(?![A-Za-z])")


def _fraction(match: re.Match[str]) -> Words:
    numbers = match[1].isdigit() and match[2].isdigit()
    return f"{match[1]}{'/' if numbers else ' ÷ '}{match[2]}"


FORMULAS = (
    *when("$", Rule(_DISPLAYED, lambda _: (1,)), Rule(_INLINE, lambda _: (1,))),
    *when(
        "\\",
        Rule(_BRACKETED, lambda match: (1,) if match[1] is not None else (2,)),
        Rule(_WRAPPED, lambda _: (1,)),
        Rule(_ROOT, lambda match: f"√{match[1]}"),
        Rule(_FRACTION, _fraction),
        Rule(_DEGREES, lambda _: "°"),
        Rule(_COMMAND, lambda match: _COMMANDS[match[1]]),
    ),
    *when("{", Rule(_RAISED, lambda _: (1, 2))),
)
"""To be said while backslashes and dollars are there."""
