"""The media server's rows: named SQL, plain and parameterised. Only these files (and the migrations) know tables.

`database` owns the connections and translates the database's errors, once; `record` is what a flow writes in a transaction.
"""

from services.media_server.room import Allocated
from services.media_server.store.boots import Boots, Load, NotRegistered, Unwanted
from services.media_server.store.commands import Store, meant
from services.media_server.store.database import CommitUnknown, Database
from services.media_server.store.looking import Looking, Wish
from services.media_server.store.record import Record

__all__ = [
    "Allocated",
    "Boots",
    "CommitUnknown",
    "Database",
    "Load",
    "Looking",
    "NotRegistered",
    "Record",
    "Store",
    "Unwanted",
    "Wish",
    "meant",
]
