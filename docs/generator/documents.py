"""The generated documents and their texts."""

from pathlib import Path

from docs.generator import access_table, openapi_examples, reference, settings_table
from docs.generator.collection import collection
from docs.generator.contract import read_contract
from docs.generator.examples import read_about, read_folders

ROOT = Path(__file__).resolve().parent.parent.parent
COLLECTION = ROOT / "postman/TaskTrackerPro.postman_collection.json"
# Each is generated as a whole or between two marks.
GENERATED = (openapi_examples.FILE, COLLECTION, reference.PAGE, settings_table.PAGE)


def documents() -> dict[Path, str]:
    """The text of each generated document as it should be."""
    about, folders, contract = read_about(), read_folders(), read_contract()
    return {
        openapi_examples.FILE: openapi_examples.text(about, folders, contract),
        COLLECTION: collection(about, folders, contract),
        reference.PAGE: access_table.rewritten(
            reference.rewritten(reference.PAGE.read_text(encoding="utf-8"), about, folders, contract), contract
        ),
        settings_table.PAGE: settings_table.rewritten(settings_table.PAGE.read_text(encoding="utf-8")),
    }
