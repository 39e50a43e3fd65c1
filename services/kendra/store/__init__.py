"""Kendra's SQL: named, plain and parameterised, a file per noun. Only these files (and the migrations) know tables.

`database.py` owns the connections and translates the database's errors, once.
"""

from dataclasses import dataclass

from services.kendra.policy import DEFAULT, Policy
from services.kendra.store.cleaning import Cleaning
from services.kendra.store.database import Database
from services.kendra.store.details import Details
from services.kendra.store.draining import Draining
from services.kendra.store.forgetting import Forgetting
from services.kendra.store.log import Log
from services.kendra.store.meetings import Meetings
from services.kendra.store.moving import Moving
from services.kendra.store.resolving import Resolving
from services.kendra.store.seats import Seats
from services.kendra.store.servers import ServerRows


@dataclass(frozen=True, slots=True)
class Store:
    """Everything that is read and written, by noun."""

    resolving: Resolving
    meetings: Meetings
    moving: Moving
    draining: Draining
    seats: Seats
    details: Details
    servers: ServerRows
    log: Log
    cleaning: Cleaning
    forgetting: Forgetting


def build(database: Database, lease: float, policy: Policy = DEFAULT) -> Store:
    """Return the store on these connections. `lease`: how long a renewal of a media server is good for, seconds."""
    servers = ServerRows(database, lease)
    return Store(
        resolving=Resolving(database, lease),
        meetings=Meetings(database, servers, lease, policy),
        moving=Moving(database, lease),
        draining=Draining(database, lease),
        seats=Seats(database),
        details=Details(database),
        servers=servers,
        log=Log(database),
        cleaning=Cleaning(database),
        forgetting=Forgetting(database),
    )
