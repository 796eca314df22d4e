"""The reason why the tracker cannot start, in one sentence for the person at the terminal."""


class StartError(Exception):
    pass
