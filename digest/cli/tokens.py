"""digest tokens: who may use the API."""

from typing import Annotated

import typer

from digest.cli.options import ConfigOption, JsonOption, open_app
from digest.cli.output import put, put_json, put_rows, say
from digest.errors import ConfigError

commands = typer.Typer(help="Access to the API.", no_args_is_help=True)


@commands.command("create")
def create_token(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="For whom: the program that will have it.")],
    scope: Annotated[
        list[str] | None,
        typer.Option(
            help="subscribers:read, subscribers:write, editions:read, status:read, or all. May be repeated.",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Make a token, and print its secret: this once."""
    from digest.operate.tokens import create_token as create
    from digest.operate.tokens import read_scopes

    scopes = read_scopes(scope or ())
    with open_app(context, config) as app:
        token, secret = create(app, name, scopes)
    if as_json:
        put_json({"id": token.id, "name": token.name, "scopes": token.scopes, "secret": secret})
        return
    put(secret)
    said = f"Token {token.id} for {', '.join(token.scopes)}"
    say(f"{said}. It is shown this once; `digest tokens revoke {token.id}` ends it.")


@commands.command("list")
def list_tokens(context: typer.Context, as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Every token, the newest first; never a secret."""
    with open_app(context, config) as app:
        rows = [
            {
                "id": token.id,
                "name": token.name,
                "scopes": token.scopes,
                "created_at": token.created_at,
                "last_used_at": token.last_used_at,
                "revoked_at": token.revoked_at,
            }
            for token in app.store.tokens.everyone(app.config.newsletter.slug)
        ]
    put_rows(rows, as_json=as_json, empty="no token yet; `digest tokens create NAME --scope status:read` makes one")


@commands.command("revoke")
def revoke_token(
    context: typer.Context,
    token: Annotated[str, typer.Argument(metavar="ID", help="As `digest tokens list` has it.")],
    config: ConfigOption = None,
) -> None:
    """End a token for good, from the next request on."""
    with open_app(context, config) as app:
        if not app.store.tokens.revoke(app.config.newsletter.slug, token, now=app.clock()):
            raise ConfigError(f"token {token}", "there is none of that id", remedy="see `digest tokens list`")
    put(f"revoked {token}")
