"""The voice library."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "voice_blob",
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("claims", sa.Integer(), nullable=False),
        sa.Column("claimed_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_voice_blob"),
    )
    op.create_table(
        "voice",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("account_id", sa.String(32), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("folded_title", sa.Text(), nullable=False),
        sa.Column("title_language", sa.String(16), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("visibility", sa.String(8), nullable=False),
        sa.Column("enhance", sa.Boolean(), nullable=False),
        sa.Column("generate_sample", sa.Boolean(), nullable=False),
        sa.Column("cover", sa.String(64), nullable=True),
        sa.Column("cover_type", sa.String(32), nullable=True),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("failure", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("lease", sa.String(32), nullable=True),
        sa.Column("leased_until", TIME, nullable=True),
        sa.Column("task_count", sa.Integer(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_voice_account_id"),
        sa.PrimaryKeyConstraint("id", name="pk_voice"),
    )
    op.create_index("ix_voice_own_newest", "voice", ["account_id", "created_at", "id"])
    op.create_index("ix_voice_own_popular", "voice", ["account_id", "task_count", "created_at", "id"])
    op.create_index("ix_voice_cover", "voice", ["cover"])
    op.create_index("ix_voice_state", "voice", ["state", "created_at"])
    seen = ["account_id", "visibility", "state"]
    op.create_index("ix_voice_newest", "voice", ["created_at", "id", *seen])
    op.create_index("ix_voice_popular", "voice", ["task_count", "created_at", "id", *seen])
    op.create_table(
        "voice_language",
        sa.Column("voice_id", sa.String(32), nullable=False),
        sa.Column("language", sa.String(16), nullable=False),
        sa.ForeignKeyConstraint(
            ["voice_id"], ["voice.id"], name="fk_voice_language_voice_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("voice_id", "language", name="pk_voice_language"),
    )
    op.create_index("ix_voice_language_language", "voice_language", ["language", "voice_id"])
    op.create_table(
        "voice_sample",
        sa.Column("voice_id", sa.String(32), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("audio", sa.String(64), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("generated", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["voice_id"], ["voice.id"], name="fk_voice_sample_voice_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("voice_id", "number", name="pk_voice_sample"),
    )
    op.create_index("ix_voice_sample_audio", "voice_sample", ["audio"])
    op.create_table(
        "voice_tag",
        sa.Column("voice_id", sa.String(32), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("tag", sa.String(100), nullable=False),
        sa.ForeignKeyConstraint(["voice_id"], ["voice.id"], name="fk_voice_tag_voice_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("voice_id", "number", name="pk_voice_tag"),
    )
    op.create_index("ix_voice_tag_tag", "voice_tag", ["tag", "voice_id"])
