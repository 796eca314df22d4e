"""`make check`: the models equal the migrations, there is one head, and downgrading leaves nothing behind."""

import sys
import tempfile
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import create_engine, inspect

from tests.servers import ROOT, migrated_database, postgres


def main() -> int:
    config = Config(ROOT / "alembic.ini")
    heads = ScriptDirectory.from_config(config).get_heads()
    if len(heads) != 1:
        print(f"there is more than one head: {', '.join(heads)}", file=sys.stderr)
        return 1
    with (
        tempfile.TemporaryDirectory() as data_dir,
        postgres(Path(data_dir)) as server,
        migrated_database(server) as url,
    ):
        engine = create_engine(url)
        with engine.connect() as connection:
            config.attributes["connection"] = connection
            try:
                command.check(config)
            except CommandError as error:
                print(error, file=sys.stderr)
                return 1
            command.downgrade(config, "base")
            left = set(inspect(connection).get_table_names()) - {"alembic_version"}
            if left:
                print(f"the way down leaves {', '.join(sorted(left))}", file=sys.stderr)
                return 1
            command.upgrade(config, "head")
        engine.dispose()
    print("migrations: one head, equal to the models, down and up again")
    return 0


if __name__ == "__main__":
    sys.exit(main())
