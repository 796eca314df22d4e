"""The api as a WSGI app (`main:app`). Run as a program, it starts the whole tracker on one machine."""

import sys

if __name__ == "__main__":
    from app.local.command import main

    sys.exit(main(sys.argv[1:]))
else:
    from app.factory import create_served_app

    app = create_served_app()
