import contextlib
import gc
import sys
import weakref

from engine import EngineConfig
from tests.tones import ToneModel
from tests.transports.conftest import run_server
from transports.settings import Settings


def test_a_server_that_has_ended_leaves_nothing_of_itself_to_its_process(tmp_path):
    interval = sys.getswitchinterval()
    settings = Settings(port=0, engine=EngineConfig(max_streams=1), asr=None, data=tmp_path)
    with contextlib.closing(run_server(settings, ToneModel)) as running:
        engine = weakref.ref(next(running).engine)
        next(running, None)
    del running
    gc.collect()
    assert engine() is None
    assert sys.getswitchinterval() == interval
