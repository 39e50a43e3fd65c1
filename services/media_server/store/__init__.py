"""The media server's rows: named SQL, plain and parameterised. Only these files (and the migrations) know tables.

`database` owns the connections and translates the database's errors, once; `record` is what a flow writes in a transaction.
"""

from services.media_server.store.boots import Boots, Load, NotRegistered
from services.media_server.store.commands import Store, meant
from services.media_server.store.database import CommitUnknown, Database
from services.media_server.store.record import Allocated, Record

__all__ = ["Allocated", "Boots", "CommitUnknown", "Database", "Load", "NotRegistered", "Record", "Store", "meant"]
