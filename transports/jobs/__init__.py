"""Work that is promised and done later, and the files that it leaves for a time."""

from transports.jobs.callbacks import Callbacks
from transports.jobs.files import Files, Kept
from transports.jobs.queue import CALLBACK, Kind, Later, Queue
from transports.jobs.secret import Signer, load_secret
from transports.jobs.tables import Job

__all__ = ["CALLBACK", "Callbacks", "Files", "Job", "Kept", "Kind", "Later", "Queue", "Signer", "load_secret"]
