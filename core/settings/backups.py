"""Settings: backups."""

from __future__ import annotations

from pydantic import BaseModel, Field, SecretStr


class Backups(BaseModel):
    """Backups."""

    backup_place: str = Field(
        default="",
        description=(
            "Where backups without a name go: a folder, or `s3://bucket/prefix`, of this instance "
            "alone. `up` takes one whenever it is due. Empty: none by itself."
        ),
    )
    backup_interval_hours: float = Field(
        default=24.0, gt=0, le=8760, description="Hours between two backups that `up` takes."
    )
    backup_keep: int = Field(
        default=7, ge=1, le=1000, description="Backups that stay in that place; older ones go."
    )
    backup_objects: str = Field(
        default="copy",
        pattern="^(copy|reference)$",
        description=(
            "Whether a backup holds the objects (`copy`), or only their names (`reference`): for an "
            "object storage that keeps copies itself."
        ),
    )
    backup_passphrase: SecretStr = Field(
        default=SecretStr(""),
        description="Encrypts backups (age, scrypt). Keep it elsewhere too: without it they are lost.",
    )
    backup_s3_endpoint: str = Field(
        default="",
        description="S3 endpoint of that bucket. Empty: that of the instance, with its keys.",
    )
    backup_s3_region: str = Field(default="", description="Its region. Empty: as the instance's.")
    backup_s3_access_key: str = Field(default="", repr=False, description="S3 access key for it.")
    backup_s3_secret_key: SecretStr = Field(
        default=SecretStr(""), description="S3 secret key for it."
    )
