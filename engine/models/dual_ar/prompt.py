"""The prompt: what stands in the context before and between the frames of speech.

S2-Pro is trained on a chat: a system turn with the references, then a user turn with the text and an assistant
turn with its speech, over and over. S1-mini is trained on text and speech in alternation. Every part is
tokenised on its own, as in training, and there is no token before the first.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from engine.errors import SpeechError, UnusableVoice
from engine.models.dual_ar.config import END_TOKEN, CheckpointError, DualARConfig, Layout
from engine.models.dual_ar.pages import Positions
from engine.models.dual_ar.tokenizer import SPEAKER, Tokenizer

SPEECH_ROOM = 2048
"""Positions that are kept free for speech behind the prompt, 95 s; half the context where that is smaller."""

_INSTRUCTION = "convert the provided text to speech"
_WITH_REFERENCES = f"{_INSTRUCTION} reference to the following:\n\nText:\n"
_SPEECH = "\n\nSpeech:\n"

# Also the letters that compatibility normalisation would turn into these.
_OPEN, _BAR, _CLOSE = "[<\uff1c\ufe64]", "[|\uff5c]", "[>\uff1e\ufe65]"
_MARK = re.compile(rf"{_OPEN}{_BAR}[^\s<>|\uff1c\ufe64\uff5c\uff1e\ufe65]{{0,64}}{_BAR}{_CLOSE}")
_HALF_MARK = re.compile(
    rf"(?<!{_OPEN}){_OPEN}++{_BAR}++|(?<!{_BAR}){_BAR}++{_CLOSE}++"  # in linear time, whatever the text
)


@dataclass(frozen=True, slots=True)
class ReferenceCodes:
    """A voice to speak with: what speaker ``speaker`` says in a recording, and its codes (codebooks, frames)."""

    speaker: int
    text: str
    codes: Positions


def speakable(text: str) -> str:
    """The text without control tokens: of all ``<|...|>`` only speaker marks stay. May leave nothing."""
    pieces, at = [], 0
    for mark in SPEAKER.finditer(text):
        pieces += [_unmarked(text[at : mark.start()]), mark.group()]
        at = mark.end()
    pieces.append(_unmarked(text[at:]))
    return "".join(pieces).strip()


def window(turns: Sequence[int], limit: int) -> int:
    """The index of the first turn to keep, of turns so many positions long, for at most ``limit`` in all.

    Whole turns are kept, the latest ones; the voice's prompt is none of them and always stays. When a context
    is rebuilt because it was full, a limit well below its size makes that rare.
    """
    first = len(turns)
    while first and turns[first - 1] <= limit:
        first -= 1
        limit -= turns[first]
    return first


class PromptBuilder:
    """Makes positions (n, 1 + codebooks) of text and codes, in the order that the model was trained on.

    A stream is ``system``, then for each segment ``user``, frames of speech, ``end_of_turn``. Raises
    :class:`CheckpointError` if the tokenizer lacks a control token or has another id for it than the config.
    """

    def __init__(self, tokenizer: Tokenizer, config: DualARConfig) -> None:
        self._tokenizer = tokenizer
        self._config = config
        self._chat = config.layout is Layout.S2_PRO
        for name, id_ in {
            END_TOKEN: config.end_token,
            "<|semantic:0|>": config.semantic_start,
            f"<|semantic:{config.semantic_size - 1}|>": config.semantic_end,
        }.items():
            if tokenizer.id_of(name) != id_:
                raise CheckpointError(
                    f"the tokenizer's id of {name} is {tokenizer.id_of(name)}, the model's is {id_}: "
                    "the two are not from the same checkpoint"
                )
        self._end = config.end_token
        if self._chat:
            self._start = self._control("<|im_start|>")
            self._voice = self._control("<|voice|>")
        else:
            self._interleave = self._control("<|interleave|>")
        context = config.slow.max_positions
        self.limit = context - min(SPEECH_ROOM, context // 2)
        """How many positions may stand before a segment's speech."""

    def system(self, references: Sequence[ReferenceCodes]) -> Positions:
        """The voice's prompt, with which every stream of it begins; without references the model's own voice.

        Raises :class:`UnusableVoice` if it takes so much of the context that no room for speech is left.
        """
        parts = self._chat_system(references) if self._chat else self._interleaved_system(references)
        prompt = np.concatenate(parts)
        if len(prompt) > self.limit:
            lengths = ", ".join(
                f"{reference.codes.shape[1]} frames of speech and {len(reference.text)} characters"
                for reference in references
            )
            raise UnusableVoice(
                f"the voice's references ({lengths}) take {len(prompt)} positions, at most {self.limit} of the "
                f"model's {self._config.slow.max_positions} are allowed; use shorter recordings"
            )
        return prompt

    def user(self, text: str, speaker: int | None) -> Positions:
        """The text to speak and the beginning of its speech; ``speaker`` is None for a voice of no reference.

        Raises :class:`SpeechError` if nothing to speak is left without control tokens, or too much.
        """
        clean = speakable(text)
        if not SPEAKER.sub("", clean).strip():
            raise SpeechError(f"there is nothing to speak in {text[:80]!r}")
        if self._chat:
            spoken = clean if speaker is None else f"<|speaker:{speaker}|>{clean}"
            parts = [
                *self._turn("user", self._text(spoken)),
                self._ids([self._start, *self._tokenizer.encode("assistant\n"), self._voice]),
            ]
        else:
            parts = [self._text(f"<|speaker:{speaker or 0}|>"), self._text(clean)]
        prompt = np.concatenate(parts)
        if len(prompt) > self.limit:
            raise SpeechError(
                f"a segment of {len(clean)} characters takes {len(prompt)} positions, at most {self.limit} of "
                f"the model's {self._config.slow.max_positions} are allowed; send shorter pieces"
            )
        return prompt

    def end_of_turn(self) -> Positions:
        """What stands behind the last frame of a segment's speech before the next one's text."""
        return np.concatenate(self._close())

    def frames(self, codes: Positions) -> Positions:
        """Codes (codebooks, n) as positions (n, 1 + codebooks); raises ``ValueError`` if they are no codes."""
        config = self._config
        if codes.ndim != 2 or len(codes) != config.codebooks:
            raise ValueError(f"codes have shape {codes.shape}; it must be ({config.codebooks}, frames)")
        for book, (row, size) in enumerate(
            zip(codes, [config.semantic_size] + [config.codebook_size] * (config.codebooks - 1), strict=True)
        ):
            if row.size and not 0 <= row.min() <= row.max() < size:
                raise ValueError(f"codes of codebook {book} are {row.min()}..{row.max()}; at most {size - 1}")
        return np.column_stack([codes[0] + config.semantic_start, codes.T]).astype(np.int64)

    def frame(self, codes: Positions) -> Positions:
        """The codes of one frame (codebooks,) as one position (1 + codebooks,)."""
        row: Positions = self.frames(codes[:, None])[0]
        return row

    def _chat_system(self, references: Sequence[ReferenceCodes]) -> list[Positions]:
        if not references:
            return self._turn("system", self._text(_INSTRUCTION))
        texts = "\n".join(
            text if SPEAKER.match(text) else f"<|speaker:{reference.speaker}|>{text}"
            for reference in references
            for text in [speakable(reference.text)]
        )
        return self._turn(
            "system",
            self._text(_WITH_REFERENCES),
            self._text(texts),
            self._text(_SPEECH),
            *(self.frames(reference.codes) for reference in references),
        )

    def _interleaved_system(self, references: Sequence[ReferenceCodes]) -> list[Positions]:
        parts = [self._ids([self._interleave])]
        for reference in references:
            speaker = self._text(f"<|speaker:{reference.speaker}|>")
            text = self._text(speakable(reference.text))
            parts += [speaker, text, self.frames(reference.codes), *self._close()]
        return parts

    def _turn(self, role: str, *parts: Positions) -> list[Positions]:
        return [self._ids([self._start, *self._tokenizer.encode(f"{role}\n")]), *parts, *self._close()]

    def _close(self) -> list[Positions]:
        return [self._ids([self._end, *(self._tokenizer.encode("\n") if self._chat else [])])]

    def _text(self, text: str) -> Positions:
        return self._ids(self._tokenizer.encode(text))

    def _ids(self, ids: Iterable[int]) -> Positions:
        tokens = np.fromiter(ids, np.int64)
        rows = np.zeros((len(tokens), 1 + self._config.codebooks), np.int64)
        rows[:, 0] = tokens
        return rows

    def _control(self, name: str) -> int:
        id_ = self._tokenizer.id_of(name)
        if id_ >= self._config.slow.vocab:
            raise CheckpointError(
                f"the tokenizer's id of {name} is {id_}, the model's vocabulary ends at "
                f"{self._config.slow.vocab - 1}"
            )
        return id_


def _unmarked(text: str) -> str:
    """Without ``<|...|>``, and without what is left of such as were nested or are in halves."""
    return _HALF_MARK.sub(" ", _MARK.sub("", text))
