"""Whose turn it is: when the caller has finished, and what is no turn of his."""

from realtime.turns.backchannels import is_backchannel
from realtime.turns.interjections import is_interjection
from realtime.turns.judge import JUDGED_SECONDS, TurnJudge
from realtime.turns.phrases import plain
from realtime.turns.smart_turn import SmartTurn
from realtime.turns.threshold import PauseSettings, PauseThreshold
from realtime.turns.turns import HEARING_PAUSE, Turn, Turns

__all__ = [
    "HEARING_PAUSE",
    "JUDGED_SECONDS",
    "PauseSettings",
    "PauseThreshold",
    "SmartTurn",
    "Turn",
    "TurnJudge",
    "Turns",
    "is_backchannel",
    "is_interjection",
    "plain",
]
