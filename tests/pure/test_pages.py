"""The pages name files that are there: links, and paths in code spans and brackets."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    page.relative_to(ROOT)
    for page in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("sfu/*.md"), ROOT / "web" / "README.md")
)
TOP = ("bench", "contracts", "docs", "migrations", "scripts", "services", "sfu", "tests", "web")
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)(?:#[^)]*)?\)")
PATH = re.compile(rf"(?<![\w/.{{<-])((?:{'|'.join(TOP)})/[\w./-]*\w/?)(?![\w*{{<…])")
MADE = {"web/dist"}
"""Made by a build."""


def named(page: Path) -> Iterator[Path]:
    """Yield what a page names, from the root of the checkout."""
    text = re.sub(r"^```(?!\n).*?^```", "", (ROOT / page).read_text(), flags=re.MULTILINE | re.DOTALL)
    for link in LINK.findall(text):
        yield (ROOT / page.parent / link).resolve().relative_to(ROOT)
    for path in PATH.findall(text):
        if path.rstrip("/") not in MADE:
            yield Path(path)


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_file_that_a_page_names_is_there(page: Path) -> None:
    missing = {str(path) for path in named(page) if not (ROOT / path).exists()}
    assert missing == set()


def test_a_command_can_be_followed_through_every_room() -> None:
    rooms = (
        "services/gateway/routes/",
        "contracts/",
        "services/bus/",
        "services/kendra/flows/",
        "services/media_server/",
    )
    found = [str(path) for path in named(Path("docs/how-a-command-travels.md"))]
    assert [room for room in rooms if not any(path.startswith(room.rstrip("/")) for path in found)] == []
