"""`make env`: writes .env for docker-compose.yml, which is .env.example with new secrets."""

import os
import re
import secrets
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SECRETS = ("JWT_SECRET_KEY", "POSTGRES_PASSWORD", "RABBITMQ_PASSWORD", "ADMIN_PASSWORD")


def main() -> int:
    """Return 1 and change nothing if .env exists."""
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    for name in SECRETS:
        # Letters, digits, - and _ need no escaping in URLs.
        text, count = re.subn(rf"^{name}=$", f"{name}={secrets.token_urlsafe(32)}", text, flags=re.MULTILINE)
        if count != 1:
            raise ValueError(f".env.example should have {name}= once, not {count} times")
    try:
        file = os.open(ROOT / ".env", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        print(".env exists already and was not changed: your data depends on its secrets.", file=sys.stderr)
        return 1
    with os.fdopen(file, "w", encoding="utf-8") as env:
        env.write(text)
    print("Wrote .env. The first admin is `admin`, with the password in ADMIN_PASSWORD there.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
