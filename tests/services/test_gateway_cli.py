"""The operator's commands for tenants, keys and tokens, against the gateway that believes them."""

import asyncio
import json
import os
import sys
from pathlib import Path

import asyncpg
import pytest

from services.sealing import CannotOpen, Sealing
from tests.eventually import eventually
from tests.services.gateway_peers import CLUSTER_SECRET, Edge, bearer


class Operator:
    """Runs the command line against a gateway's database."""

    def __init__(self, edge: Edge) -> None:
        self.environment = os.environ | {
            "DOORDARSHAN_POSTGRES_URL": edge.database.url,
            "DOORDARSHAN_CLUSTER_SECRET": CLUSTER_SECRET,
            "COLUMNS": "200",
        }

    async def run(self, *words: str) -> tuple[int, str]:
        """Return the exit code and what was printed."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "services.cli.main", *words),
            env=self.environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        async with asyncio.timeout(30):
            output, _ = await process.communicate()
        return process.returncode or 0, output.decode()

    async def say(self, *words: str) -> str:
        """Return what a command that must succeed printed."""
        code, output = await self.run(*words)
        assert code == 0, output
        return output

    async def make_key(self, *words: str) -> tuple[str, str]:
        """Return the id and the secret of a new key."""
        lines = (await self.say("key", "add", *words)).splitlines()
        return lines[0].split()[1], lines[1].split()[1]


@pytest.fixture
def operator(edge: Edge) -> Operator:
    return Operator(edge)


async def test_a_tenants_key_mints_tokens_that_the_gateway_believes_until_it_is_revoked(
    edge: Edge, operator: Operator
) -> None:
    assert "created" in await operator.say("tenant", "add", "initech", "--origin", "https://app.initech.example")
    key, _ = await operator.make_key("initech")
    minted = (await operator.say("token", key, "--meeting", "standup", "--grant", "admin", "--sub", "ann")).strip()
    answer = await edge.http.get("/v1/meetings/standup", headers=bearer(minted))
    assert answer.status_code == 200
    call = edge.kendra.last[1]
    assert (call.tenant, call.actor.participant, call.actor.key) == ("initech", "ann", key)
    assert "revoked" in await operator.say("key", "revoke", key)

    async def refused() -> bool:
        return (await edge.http.get("/v1/meetings/standup", headers=bearer(minted))).status_code == 401

    await eventually(refused)
    assert (await operator.run("token", key))[0] == 1
    assert (await operator.run("key", "revoke", key))[0] == 1


async def test_only_a_marked_key_carries_operator(edge: Edge, operator: Operator) -> None:
    await operator.say("tenant", "add", "ops")
    marked, _ = await operator.make_key("ops", "--operator")
    plain, _ = await operator.make_key("ops")
    token = (await operator.say("token", marked, "--grant", "operator")).strip()
    assert (await edge.http.get("/v1/servers", headers=bearer(token))).status_code == 200
    code, said = await operator.run("token", plain, "--grant", "operator")
    assert (code, "does not carry operator" in said) == (1, True)
    assert (await operator.run("key", "add", "ops", "--grant", "operator"))[0] == 1


async def test_a_secret_is_shown_once_and_lies_sealed(edge: Edge, operator: Operator) -> None:
    await operator.say("tenant", "add", "hush")
    key, secret = await operator.make_key("hush")
    listed = await operator.say("key", "list", "hush")
    assert key in listed
    assert secret not in listed
    connection = await asyncpg.connect(edge.database.url)
    sealed = await connection.fetchval("select secret from api_keys where id = $1", key)
    await connection.close()
    assert secret.encode() not in sealed
    assert Sealing(CLUSTER_SECRET).open(key, sealed) == secret
    for sealing, of in ((Sealing(CLUSTER_SECRET), "another-key"), (Sealing("x" * 40), key)):
        with pytest.raises(CannotOpen):
            sealing.open(of, sealed)


async def test_adding_a_tenant_again_changes_what_was_said_and_keeps_the_rest(operator: Operator) -> None:
    await operator.say("tenant", "add", "hooli", "--name", "Hooli", "--origin", "https://a.example")
    assert "changed" in await operator.say("tenant", "add", "hooli", "--origin", "https://b.example:8443")
    listed = await operator.say("tenant", "list")
    row = next(line for line in listed.splitlines() if "hooli" in line)
    assert "Hooli" in row
    assert "https://b.example:8443" in row
    assert "https://a.example" not in listed


@pytest.mark.parametrize(
    "words",
    [
        ("tenant", "add", "a b"),
        ("tenant", "add", "a", "--origin", "*"),
        ("tenant", "add", "a", "--origin", "null"),
        ("tenant", "add", "a", "--origin", "https://a.example/path"),
        ("key", "add", "nobody"),
        ("token", "no-such-key"),
    ],
)
async def test_what_cannot_be_done_is_one_line_and_a_failure(operator: Operator, words: tuple[str, ...]) -> None:
    code, said = await operator.run(*words)
    assert (code, len(said.strip().splitlines())) == (1, 1)
    assert said.startswith("doordarshan: ")


async def test_a_key_is_not_sealed_with_a_secret_that_is_not_the_clusters(operator: Operator, tmp_path: Path) -> None:
    (tmp_path / "secrets.json").write_text(
        json.dumps({"cluster_secret": "the secret of a checkout that runs nothing now"})
    )
    await operator.say("tenant", "add", "umbrella")
    operator.environment |= {"DOORDARSHAN_CLUSTER_SECRET": "", "DOORDARSHAN_RUN_DIRECTORY": str(tmp_path)}
    code, said = await operator.run("key", "add", "umbrella")
    assert (code, said) == (1, "doordarshan: DOORDARSHAN_CLUSTER_SECRET is not set: it must be the gateways' own\n")
    assert "umbrella" not in await operator.say("key", "list")
