"""The api for a WSGI server (`main:app`); run as a program, the whole tracker on one machine."""

import sys

if __name__ == "__main__":
    from app.local.command import main

    sys.exit(main(sys.argv[1:]))
else:
    from app.factory import create_served_app

    app = create_served_app()
