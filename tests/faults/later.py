"""A later version of the program: a copy of the package with another number, and one more migration where wanted."""

import shutil
from pathlib import Path

from tests.faults.field import ROOT

VERSION = "99.0.0"
_MIGRATION = '''"""A step that only a later version knows."""

from alembic import op

revision = "{number:04}"
down_revision = "{before:04}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE TABLE of_a_later_version (id bigint)")
'''


def make_version(folder: Path, *, migrates: bool) -> Path:
    """A later version, in a folder to start it from."""
    package = folder / "later" / "digest"
    shutil.copytree(ROOT / "digest", package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "templates", folder / "later" / "templates")
    start = package / "__init__.py"
    start.write_text(f'{start.read_text().partition("__version__")[0]}__version__ = "{VERSION}"\n')
    if migrates:
        versions = package / "stores" / "migrations" / "versions"
        before = max(int(file.name[:4]) for file in versions.glob("[0-9]*.py"))
        text = _MIGRATION.format(number=before + 1, before=before)
        (versions / f"{before + 1:04}_later.py").write_text(text)
    return folder / "later"
