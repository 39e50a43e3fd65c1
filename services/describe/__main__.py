"""`python -m services.describe` (`make docs`): write what the contracts say to docs/bus.md, docs/asyncapi.json and contracts/versions."""

import sys

from services.bus import document
from services.describe import asyncapi
from services.describe.frozen import Incompatible, extend


def main() -> None:
    """Write all three, or nothing and exit with what is incompatible."""
    try:
        extend()
    except Incompatible as refused:
        sys.exit(str(refused))
    document.PAGE.write_text(document.document())
    asyncapi.PAGE.write_text(asyncapi.text())


if __name__ == "__main__":
    main()
