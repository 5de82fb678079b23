"""retimbre's client: send a region and a few words, wait, get the stems. Client blocks, AsyncClient
does not.
"""

# ruff: noqa: F401, I001 - the names below are the package
from retimbre_client.aio import AsyncClient, Job as AsyncJob
from retimbre_client.blocking import Client, Job
from retimbre_client.values import ClientError, NoServer, Outcome, Progress, Refused, Stem
