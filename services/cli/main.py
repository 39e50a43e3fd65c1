"""The `doordarshan` command's table of contents.

A row is (name, import path, help, group). A command's module is imported when it is called, not before: the program
starts fast, and one command that cannot be imported does not take the others with it.
"""

import sys

from cyclopts import App

from services.cli.stack.errors import CannotRun

RUN = "Run"
OPERATE = "Operate"
SERVICES = "Services, in the foreground"

COMMANDS: tuple[tuple[str, str, str, str], ...] = (
    ("up", "services.cli.up:up", "Run the whole system here until Ctrl-C.", RUN),
    ("down", "services.cli.down:down", "Stop the running `up` of this checkout.", RUN),
    ("status", "services.cli.status:status", "Show what runs, what is ready, and each server's load.", RUN),
    ("check", "services.cli.check:check", "Prove a deployment: two headless participants exchange media.", OPERATE),
    ("join", "services.cli.join:join", "Join a meeting without a browser; say what is heard of whom.", OPERATE),
    ("history", "services.cli.history.command:history", "Show a meeting as it was at an instant.", OPERATE),
    ("explain", "services.cli.explain:explain", "Show why meetings live where they do, or would elsewhere.", OPERATE),
    ("drain", "services.cli.drain:drain", "Empty a media server: its meetings move away.", OPERATE),
    ("undrain", "services.cli.drain:undrain", "Place meetings on a media server again.", OPERATE),
    ("record", "services.cli.recording.record:record", "Write down what passes over the bus.", OPERATE),
    ("replay", "services.cli.recording.replay:replay", "Send recorded commands elsewhere; show what differs.", OPERATE),
    ("migrate", "services.cli.migrate:migrate", "Bring the database to the newest schema.", OPERATE),
    ("users", "services.cli.users:users", "Write the users of RabbitMQ and Redis, for a deployment.", OPERATE),
    ("tenant", "services.cli.tenant:tenant", "Create, change and list tenants.", OPERATE),
    ("key", "services.cli.key:key", "Create, revoke and list API keys.", OPERATE),
    ("token", "services.cli.token:token", "Make an access token.", OPERATE),
    ("gateway", "services.gateway.main:run", "HTTP in and out.", SERVICES),
    ("kendra", "services.kendra.main:run", "The control plane.", SERVICES),
    ("media-server", "services.media_server.main:run", "Live audio and video.", SERVICES),
)

app = App(name="doordarshan", help="A self-hosted meeting backend for WebRTC.", version_flags=[])
for _name, _path, _help, _group in COMMANDS:
    app.command(_path, name=_name, help=_help, group=_group)


def main() -> None:
    """Run one command; what cannot be done is one line on stderr and exit status 1."""
    try:
        app()
    except CannotRun as reason:
        print(f"doordarshan: {reason}", file=sys.stderr)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
