"""The tests; pieces that several of them use are imported as `tests.FOLDER.MODULE`."""
