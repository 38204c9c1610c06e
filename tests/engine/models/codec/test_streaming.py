import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.models.codec import Decoder, random_state, tiny_config
from engine.models.codec.weights import Source

TOLERANCE = 3e-5
FRAMES = 40
STREAMS = 3
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def spoken(decoder, goldens):
    """Codes of three streams, and the audio of each decoded alone and in one pass."""
    codes = torch.stack([goldens["rand_codes"].roll(shift, 1) for shift in range(STREAMS)])
    return codes, torch.stack([decoder.stages(row)["audio"] for row in codes])


def close(ours, reference):
    assert ours.shape == reference.shape
    return (ours - reference).abs().max().item() < TOLERANCE


def stream(decoder, codes, cuts, state=None, slot=0):
    state = state or decoder.state(1)
    parts = torch.split(codes, cuts, -1)
    return torch.cat([decoder.stream(part[None], torch.tensor([slot]), state)[0] for part in parts])


@given(cuts=st.lists(st.integers(1, 24), min_size=1, max_size=FRAMES))
@settings(max_examples=10, deadline=None)
def test_every_chunking_gives_the_samples_of_the_whole(decoder, goldens, cuts):
    left, whole = FRAMES, []
    for cut in cuts:
        whole.append(min(cut, left))
        left -= whole[-1]
        if not left:
            break
    codes = goldens["rand_codes"][:, : FRAMES - left]
    assert close(stream(decoder, codes, whole), goldens["rand_audio"][: codes.shape[1] * 2048])


@given(
    steps=st.lists(
        st.tuples(st.permutations(range(STREAMS)), st.integers(1, STREAMS), st.integers(1, 9)), max_size=12
    ),
    slots=st.permutations(range(5)),
)
@settings(max_examples=10, deadline=None)
def test_streams_at_different_positions_share_a_batch(decoder, spoken, steps, slots):
    codes, audio = spoken
    state = decoder.state(5)
    done = [0] * STREAMS
    dummy = slots[-1]
    for order, count, frames in steps:
        rows = [row for row in order[:count] if done[row] + frames <= FRAMES]
        padded = [codes[row][:, done[row] : done[row] + frames] for row in rows]
        padded += [torch.zeros(10, frames, dtype=torch.int64)] * (STREAMS - len(rows))
        where = [slots[row] for row in rows] + [dummy] * (STREAMS - len(rows))
        ours = decoder.stream(torch.stack(padded), torch.tensor(where), state)
        for row, samples in zip(rows, ours, strict=False):
            start = done[row] * 2048
            assert close(samples, audio[row, start : start + frames * 2048])
            done[row] += frames


def test_a_frame_is_final_when_it_is_out(decoder, goldens):
    for frames in (1, 2, 5, 9, 17, 30, 39):
        ours = decoder(goldens["rand_codes"][None, :, :frames])[0]
        assert close(ours, goldens["rand_audio"][: frames * 2048])


def test_windows_wrap_around(tiny_state):
    config = tiny_config()
    decoder = Decoder(config, Source(tiny_state, CPU, torch.float32))
    frames = 5 * decoder.state(1).rings[0].entries.shape[2]
    assert frames > 5 * config.post.window
    codes = torch.randint(1024, (10, frames), generator=torch.Generator().manual_seed(0))
    singly, in_one = stream(decoder, codes, 1), stream(decoder, codes, frames)
    assert (singly - in_one).abs().max() < TOLERANCE


def test_a_stream_may_run_for_weeks(decoder, goldens):
    state = decoder.state(1)
    state.rings[0].position.fill_(2**40)
    codes = goldens["rand_codes"]
    audio = stream(decoder, torch.cat((codes, codes), 1), 1, state)
    # Rounded angles differ from place to place, by as much as from unrounded ones (2e-2, README of the goldens).
    alike = stream(decoder, torch.cat((codes, codes), 1), 1)
    assert (audio - alike)[FRAMES * 2048 :].abs().max() < 5e-2


def test_a_new_stream_in_a_used_slot(decoder, goldens):
    state = decoder.state(2)
    for _ in range(3):
        state.reset(torch.tensor([1]))
        assert close(stream(decoder, goldens["rand_codes"], 16, state, slot=1), goldens["rand_audio"])
        assert not state.contexts[0].any()


def poison(state, slot):
    state.contexts[slot] = torch.nan
    state.rings[0].entries[:, slot] = torch.nan


def test_what_is_not_a_number_stays_in_its_row_and_is_cured_by_reset(decoder, spoken):
    codes, audio = spoken
    state, slots = decoder.state(STREAMS), torch.arange(STREAMS)
    poison(state, 1)
    first = decoder.stream(codes[..., :8], slots, state)
    assert first[1].isnan().any()
    state.reset(torch.tensor([1]))
    second = decoder.stream(
        torch.cat((codes[:1, :, 8:16], codes[1:2, :, :8], codes[2:, :, 8:16])), slots, state
    )
    for row in (0, 2):
        assert close(torch.cat((first[row], second[row])), audio[row, : 16 * 2048])
    assert close(second[1], audio[1, : 8 * 2048])


def test_bfloat16_is_close(spoken, tiny_state):
    config = tiny_config()
    precise, coarse = (
        Decoder(config, Source(tiny_state, CPU, dtype)) for dtype in (torch.float32, torch.bfloat16)
    )
    reference, ours = (stream(decoder, spoken[0][0], 1) for decoder in (precise, coarse))
    assert ours.dtype == torch.float32
    error = (ours - reference).square().mean().sqrt() / reference.square().mean().sqrt()
    assert error < 0.05


@pytest.mark.skipif(not torch.cuda.is_available(), reason="CUDA graphs need an NVIDIA GPU")
def test_a_captured_frame_equals_an_eager_one():
    config, device = tiny_config(), torch.device("cuda")
    decoder = Decoder(config, Source(random_state(config, seed=1), device, torch.float32))
    codes = torch.randint(1024, (20, 4, 10, 1), device=device)
    slots = torch.tensor([3, 0, 2, 4], device=device)
    eager, captured = decoder.state(5), decoder.state(5)
    inputs = codes[0].clone()
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            decoder.stream(inputs, slots, captured)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        outputs = decoder.stream(inputs, slots, captured)
    captured.reset(slots)
    for frame in codes:
        inputs.copy_(frame)
        graph.replay()
        assert (outputs - decoder.stream(frame, slots, eager)).abs().max() < 1e-4
