"""Why the tracker cannot start here, in one sentence for the person at the terminal."""


class StartError(Exception):
    pass
