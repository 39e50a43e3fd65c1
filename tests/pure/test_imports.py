"""Who imports whom, where import-linter can only forbid what somebody thought of: nothing but what is named here is imported."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OURS = {"contracts", "services", "sfu", "bench", "tests"}
SHARED = {
    "contracts",
    "services.bus",
    "services.log",
    "services.admin",
    "services.environment",
    "services.fault_points",
    "services.sealing",
    "services.stopping",
}
"""What a service may import of ours besides itself (docs/decisions/what-services-share.md)."""
MAY = {
    "services/bus": {"contracts", "services.bus", "services.fault_points"},
    "services/gateway": {*SHARED, "services.gateway"},
    "services/kendra": {*SHARED, "services.kendra"},
    "services/media_server": {*SHARED, "services.media_server", "sfu"},
    "sfu": {"contracts.rtp", "contracts.ids", "sfu"},
}


def imported(folder: str) -> Iterator[tuple[str, str]]:
    """Yield (file, module) of every import below a folder; `services` itself stands for what is taken from it."""
    for path in sorted((ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            name = str(path.relative_to(ROOT))
            if isinstance(node, ast.Import):
                yield from ((name, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{name}: a relative import"
                module = node.module or ""
                names = [f"{module}.{alias.name}" for alias in node.names] if module == "services" else [module]
                yield from ((name, one) for one in names)


def test_contracts_import_pydantic_only() -> None:
    allowed = sys.stdlib_module_names | {"pydantic", "contracts"}
    assert [(file, module) for file, module in imported("contracts") if module.split(".")[0] not in allowed] == []


@pytest.mark.parametrize("folder", MAY)
def test_of_ours_only_what_is_allowed_is_imported(folder: str) -> None:
    def within(module: str) -> bool:
        return any(module == one or module.startswith(f"{one}.") for one in MAY[folder])

    ours = [(file, module) for file, module in imported(folder) if module.split(".")[0] in OURS]
    assert ours
    assert [one for one in ours if not within(one[1])] == []


PURE = [
    "services/kendra/placement.py",
    "services/kendra/policy.py",
    "services/kendra/meeting.py",
    *(f"sfu/{path.name}" for path in (ROOT / "sfu").glob("ortc*.py")),
]
CLOCKS = {"asyncio", "time", "random", "secrets", "uuid", "socket"}


@pytest.mark.parametrize("path", PURE)
def test_what_is_pure_knows_no_clock_no_chance_and_no_loop(path: str) -> None:
    folder = str(Path(path).parent)
    assert {module.split(".")[0] for file, module in imported(folder) if file == path} & CLOCKS == set()
