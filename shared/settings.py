"""What every service process is told by its environment. Each service adds its own in settings.py."""

from pathlib import Path

from pydantic import Field, PostgresDsn, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Read from RECARGA_<NAME>; durations in seconds, sizes in bytes."""

    model_config = SettingsConfigDict(env_prefix="RECARGA_", extra="ignore", frozen=True)

    database_url: SecretStr = Field(description="postgresql://role:password@host:port/database")
    database_connections: int = Field(8, ge=2, le=100)
    kafka_bootstrap: str = "127.0.0.1:19092"
    http_host: str = "127.0.0.1"
    http_port: int = Field(0, ge=0, le=65535, description="0 takes a free port")
    http_allow_non_loopback: bool = Field(
        False, description="only inside a network of its own, such as a container's: there is no sign-in yet"
    )
    instance: str = Field("1", pattern=r"^[A-Za-z0-9._-]{1,64}$", description="unique among the processes")
    log_level: str = "info"
    stop_grace_seconds: float = Field(20.0, gt=0, le=300)
    operator_secret_file: Path | None = Field(
        None, description="holds the secret that signs operators' tokens"
    )

    def operator_secret(self) -> SecretStr | None:
        """The secret of operators' tokens; None where none is configured: then no operator is believed.

        Raises:
            OSError: the file cannot be read.
        """
        return read_secret(self.operator_secret_file)


def read_secret(file: Path | None) -> SecretStr | None:
    """What a file holds, without the line's end; None where there is no file."""
    return None if file is None else SecretStr(file.read_text(encoding="utf-8").strip())


def database_url(value: SecretStr) -> str:
    """The URL in clear, checked.

    Raises:
        ValidationError: it is not a PostgreSQL URL.
    """
    return str(PostgresDsn(value.get_secret_value()))
