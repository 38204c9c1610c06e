"""``python -m engine.process FD``: the process of one worker. Only an engine starts it."""

import sys

from engine.process.serving import serve

serve(int(sys.argv[1]))
