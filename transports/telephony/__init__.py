"""Telephone calls over the media streams of Twilio and Telnyx."""

from transports.telephony.calls import Calls
from transports.telephony.config import TelephonyConfig
from transports.telephony.signatures import check_telnyx_key

__all__ = ["Calls", "TelephonyConfig", "check_telnyx_key"]
