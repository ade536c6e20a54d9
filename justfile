# Fast gates and fast tests, under a minute.
check:
    bash tests/run check

# Everything, with real servers.
test *ARGS:
    bash tests/run {{ARGS}}

# The main job end to end.
demo *ARGS:
    bash run demo {{ARGS}}

# Put code into the house's form.
fmt:
    bash scripts/venv dev
    .venv/bin/ruff check --fix --quiet .
    .venv/bin/ruff format .
