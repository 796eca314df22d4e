"""`make docs`: write every generated document, or those parts of one that are generated."""

from pathlib import Path

from docs.generator.documents import documents

if __name__ == "__main__":
    for path, text in documents().items():
        Path(path).write_text(text, encoding="utf-8")
