"""`plural-bundles`: lists a directory's bundles, and names the one to serve; running servers follow within a second.

Ends with 0, or with 2 for what must be corrected first.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, CliApp, SettingsConfigDict, SettingsError

from interests import bundle as bundles
from interests.errors import BundleRejected, SettingsRejected
from interests.manifest import read_manifest
from interests.runtime import rejected

NAME = "plural-bundles"


class BundlesSettings(BaseSettings):
    """Lists the bundles of a directory, newest first, or names another one of them to be served.

    The one named is verified first. Going back:  plural-bundles --bundle data/bundles --rollback
    """

    model_config = SettingsConfigDict(
        env_prefix="PLURAL_",
        frozen=True,
        cli_prog_name=NAME,
        cli_kebab_case=True,
        cli_implicit_flags=True,
        cli_hide_none_type=True,
        cli_avoid_json=True,
        cli_exit_on_error=False,
    )

    bundle: Path = Field(Path("data/bundles"), description="the directory of bundles")
    use: str | None = Field(None, description="serve the bundle of this version from now on")
    rollback: bool = Field(False, description="serve the newest bundle that is older than the one served now")

    @model_validator(mode="after")
    def _one_thing_at_a_time(self) -> "BundlesSettings":
        if self.use and self.rollback:
            raise ValueError("--use contradicts --rollback; give one of them")
        return self


class Listed(NamedTuple):
    """One bundle of a directory, by what its manifest says."""

    created_at: str
    version: str
    item_count: int


def main(argv: Sequence[str] | None = None) -> None:
    """The command. Does not return."""
    try:
        settings = CliApp.run(BundlesSettings, cli_args=list(sys.argv[1:] if argv is None else argv))
        for line in run(settings):
            sys.stdout.write(line + "\n")
    except (ValidationError, SettingsError) as error:
        sys.stderr.write(f"{NAME}: {rejected(error, NAME)}\n")
        sys.exit(2)
    except (SettingsRejected, BundleRejected) as error:
        sys.stderr.write(f"{NAME}: {error}\n")
        sys.exit(2)
    sys.exit(0)


def run(settings: BundlesSettings) -> list[str]:
    """Do what is asked; returns the lines to say. Raises BundleRejected."""
    current = bundles.resolve(settings.bundle).name
    found = listed(settings.bundle)
    wanted = settings.use or (before(found, current) if settings.rollback else None)
    if wanted is None:
        marks = ["*" if each.version == current else " " for each in found]
        return [
            f"{mark} {version:18} {at:28} {count:>9,} items"
            for mark, (at, version, count) in zip(marks, found, strict=True)
        ]
    if wanted not in {each.version for each in found}:
        raise BundleRejected(
            f"{settings.bundle}: has no bundle {wanted!r}; {NAME} --bundle {settings.bundle} lists them"
        )
    bundles.load(settings.bundle / wanted)
    bundles.set_current(settings.bundle, wanted)
    return [f"{wanted} is served from now on; it was {current}"]


def listed(directory: Path) -> list[Listed]:
    """The bundles of a directory whose manifests can be read, newest first."""
    found = []
    for path in directory.iterdir():
        if path.name.startswith(".") or path.is_symlink() or not (path / bundles.MANIFEST).is_file():
            continue
        try:
            manifest = read_manifest(path / bundles.MANIFEST)
        except BundleRejected:
            continue
        if manifest.version == path.name:
            found.append(Listed(manifest.created_at, path.name, manifest.item_count))
    return sorted(found, reverse=True)


def before(found: Sequence[Listed], current: str) -> str:
    """The newest that is older than the current one. Raises BundleRejected where there is none."""
    versions = [each.version for each in found]
    older = versions[versions.index(current) + 1 :] if current in versions else []
    if not older:
        raise BundleRejected(f"no bundle is older than {current}; name one with --use")
    return older[0]


if __name__ == "__main__":
    main()
