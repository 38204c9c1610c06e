"""How many frames the codec gets at once, and that it does not matter to the sound."""

from functools import cache

import numpy as np
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.models.codec import Decoder, load_decoder
from engine.models.dual_ar.config import Layout
from engine.models.dual_ar.vocoder import PIECES, Lead, Vocoder
from engine.models.lane import Lane
from tests.engine.models.dual_ar.babble import folder

CPU = torch.device("cpu")
FRAME = 2048 / 44_100


@cache
def decoder() -> Decoder:
    return load_decoder(folder(Layout.S2_PRO), CPU, torch.float32)


def test_the_first_piece_is_one_frame_and_more_follow_as_the_lead_grows() -> None:
    lead = Lead(paced=True)
    pieces, now, cost = [], 0.0, 0.008
    for _ in range(12):
        piece = lead.piece(now, cost)
        now += piece * cost
        lead.made(piece * FRAME, now)
        pieces.append(piece)
    assert pieces[0] == 1
    assert pieces == sorted(pieces)
    assert pieces[-1] == max(PIECES)


def test_who_is_about_to_run_dry_gets_single_frames() -> None:
    lead = Lead(paced=True)
    for now in np.arange(10) * 0.045:  # barely faster than speech
        assert lead.piece(now, 0.045) == 1
        lead.made(FRAME, now)


def test_silence_between_segments_is_no_lead() -> None:
    lead = Lead(paced=True)
    lead.made(10.0, 0.0)
    assert lead.piece(1.0, 0.01) == max(PIECES)
    assert lead.piece(60.0, 0.01) == 1


def test_a_download_gets_the_largest_pieces() -> None:
    assert Lead(paced=False).piece(0.0, 1.0) == max(PIECES)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_streams_sound_the_same_however_they_are_cut_and_whoever_is_beside_them(data: st.DataObject) -> None:
    slots = 3
    codec = decoder()
    books = codec.config.codebook_sizes
    random = np.random.default_rng(3)
    codes = {slot: random.integers(0, np.array(books), (12, len(books))) for slot in range(slots)}
    vocoder = Vocoder(codec, Lane(CPU), slots=slots, largest=slots)
    heard: dict[int, list[np.ndarray]] = {slot: [] for slot in range(slots)}
    at = dict.fromkeys(range(slots), 0)
    while any(position < 12 for position in at.values()):
        batch = {}
        for slot in range(slots):
            count = data.draw(st.integers(min(1, 12 - at[slot]), 12 - at[slot]))
            batch[slot] = list(codes[slot][at[slot] : at[slot] + count])
            at[slot] += count
        for slot, pcm in vocoder.decode(batch).items():
            assert len(pcm) == len(batch[slot]) * 2048
            heard[slot].append(pcm)
    with torch.inference_mode():
        for slot in range(slots):
            whole = codec(torch.from_numpy(codes[slot].T[None])).numpy()[0]
            np.testing.assert_allclose(np.concatenate(heard[slot]), whole, atol=3e-5)


def test_a_slot_that_changes_hands_begins_in_silence() -> None:
    codec = decoder()
    frames = [np.zeros(codec.config.codebooks, np.int64)] * 3
    vocoder = Vocoder(codec, Lane(CPU), slots=1, largest=1)
    first = vocoder.decode({0: frames})[0]
    assert not np.allclose(vocoder.decode({0: frames})[0], first, atol=1e-4)
    vocoder.reset(0)
    np.testing.assert_allclose(vocoder.decode({0: frames})[0], first, atol=1e-6)
