"""Tags and languages in the voice's own row: who searches looks at that anyway, and who shows it needs them."""

import json
from collections.abc import Iterable
from itertools import groupby

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Move them; and have an account's public voices counted without a look at any."""
    # SQLite reads a row from its beginning: what is searched comes before what may be long.
    sqlite = op.get_bind().dialect.name == "sqlite"
    with op.batch_alter_table("voice", recreate="always" if sqlite else "never") as voice:
        for column in ("tags", "languages"):
            made = sa.Column(column, sa.Text(), nullable=False, server_default="\n")
            voice.add_column(made, insert_after="title_language" if sqlite else None)
    _move("tags", "SELECT voice_id, tag FROM voice_tag ORDER BY voice_id, number")
    _move("languages", "SELECT voice_id, language FROM voice_language ORDER BY voice_id, language")
    with op.batch_alter_table("voice") as voice:
        for column in ("tags", "languages"):
            voice.alter_column(column, server_default=None)
    op.drop_table("voice_tag")
    op.drop_table("voice_language")
    for name, order in (("newest", ["created_at"]), ("popular", ["task_count", "created_at"])):
        op.drop_index(f"ix_voice_own_{name}", "voice")
        op.create_index(f"ix_voice_own_{name}", "voice", ["account_id", *order, "id", "visibility", "state"])


def _move(column: str, query: str) -> None:
    """Write what a query gives, pairs of a voice and a text, into a column of the voices."""
    pairs = op.get_bind().execute(sa.text(query))
    written = [
        {"voice": voice, "lines": _lines(text for _, text in texts)}
        for voice, texts in groupby(pairs, key=lambda pair: pair[0])
    ]
    if written:
        voices = sa.table("voice", sa.column("id"), sa.column(column))
        update = sa.update(voices).where(voices.c.id == sa.bindparam("voice"))
        op.get_bind().execute(update.values({column: sa.bindparam("lines")}), written)


def _lines(texts: Iterable[str]) -> str:
    """JSON, a line each."""
    return "".join(f"\n{json.dumps(text, ensure_ascii=False)}" for text in texts) + "\n"
