"""retimbre's client: send a region and a few words, wait, get the stems.

Client blocks, AsyncClient does not.
"""

from retimbre_client.aio import AsyncClient
from retimbre_client.async_job import AsyncJob
from retimbre_client.blocking import Client, Job
from retimbre_client.values import ClientError, NoServer, Outcome, Progress, Refused, Stem

__all__ = [
    "AsyncClient",
    "AsyncJob",
    "Client",
    "ClientError",
    "Job",
    "NoServer",
    "Outcome",
    "Progress",
    "Refused",
    "Stem",
]
