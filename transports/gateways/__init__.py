"""The APIs of those who resell Fish Audio's: thin dialects over the same services."""

from collections.abc import Mapping

from pydantic import BaseModel

from transports.errors import Teller
from transports.gateways import acedata, cloudsway, yuntts
from transports.jobs import CALLBACK, Kind
from transports.jobs.telling import telling
from transports.services import Services

ROUTERS = {
    "Ace Data Cloud": acedata.router,
    "CloudsWay MaaS": cloudsway.router,
    "yuntts": yuntts.router,
}
TELLERS: Mapping[str, Teller] = {acedata.PREFIX: acedata.tell, yuntts.PREFIX: yuntts.tell}
"""How errors are told, by the beginnings of paths."""
ERRORS: Mapping[str, type[BaseModel]] = {
    acedata.PREFIX: acedata.AceErrorJson,
    yuntts.PREFIX: yuntts.YunttsErrorJson,
}
"""What that looks like."""


def job_kinds(services: Services) -> dict[str, Kind]:
    """What is done later for them."""
    reports = {acedata.KIND: acedata.report}
    return {
        acedata.KIND: Kind(acedata.run(services)),
        CALLBACK: telling(services.jobs, services.callbacks, reports),
    }


__all__ = ["ERRORS", "ROUTERS", "TELLERS", "job_kinds"]
