"""The table of usage: what each model did in each hour."""

from datetime import datetime

from sqlalchemy import BigInteger, Double, String
from sqlalchemy.orm import Mapped, mapped_column

from control_plane.database.schema import Base, UtcDateTime
from export.contract import MODEL_NAME_MAX_CHARS


class ModelUsageRow(Base):
    """Sums of one model over one hour, of all workers together."""

    __tablename__ = "model_usage"

    model: Mapped[str] = mapped_column(String(MODEL_NAME_MAX_CHARS), primary_key=True)
    hour: Mapped[datetime] = mapped_column(UtcDateTime, primary_key=True)  # its beginning
    requests: Mapped[int] = mapped_column(BigInteger)
    errors: Mapped[int] = mapped_column(BigInteger)
    duration_ms: Mapped[float] = mapped_column(Double)
    texts: Mapped[int] = mapped_column(BigInteger)
    characters: Mapped[int] = mapped_column(BigInteger)
    tokens: Mapped[int] = mapped_column(BigInteger)
