# Run these as ./just RECIPE: it sets up .venv first.

set positional-arguments
set quiet

python := ".venv/bin/python"

# Show what can be done
_default:
    "{{just_executable()}}" --justfile "{{justfile()}}" --list

# Format, lint, types, import law, generated pages
check:
    {{python}} -m ruff format --check --quiet
    {{python}} -m ruff check --quiet
    {{python}} -m mypy --no-error-summary --exclude '^tests/conformance/door/' wire manifests kernel runtime memory tests docs
    for hand in hands/*/HAND.toml tests/conformance/door/HAND.toml; do \
        folder="${hand%/HAND.toml}"; \
        ls "$folder"/*.py >/dev/null 2>&1 || continue; \
        MYPYPATH="$folder" {{python}} -m mypy --no-error-summary "$folder" || exit 1; \
    done
    law=$({{python}} -c 'from importlinter.cli import lint_imports_command as check; check()' --no-cache 2>&1) || { printf '%s\n' "$law"; exit 1; }
    {{python}} docs/generate.py --check
    echo 'Format, lint, types, import law and generated pages are in order.'

# Some of every kind of test, five files at a time; arguments go to pytest, -n0 is one at a time
test *args:
    {{python}} -m pytest -n 5 --dist loadfile --no-loadscope-reorder "$@"

# Format, mend what can be mended, write generated pages
fix: && docs
    {{python}} -m ruff check --fix --quiet
    {{python}} -m ruff format --quiet

# See Maniple work: Hands on real input, a pipeline that outlives a kill, their log and its proof
demo:
    {{python}} docs/demo/demo.py

# Measure against bare baselines; arguments choose what
bench *args:
    {{python}} -m tests.bench "$@"

# The long tests, thousands of kills and starts, and all that are more of a kind: those alone by -m wide
soak *args:
    {{python}} -m pytest -m 'soak or wide' --timeout=3600 --hypothesis-profile=soak "$@"

# Make the table of words' meanings anew out of the model, for memory/embedders/grams.py; a minute and a half
distil:
    {{python}} -m memory.embedders.distilling

# Write the generated pages
docs:
    {{python}} docs/generate.py

# Pin requirements/*.in anew with every file's hash; --upgrade takes newer versions
lock *args:
    cd requirements && ../.venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
        --no-emit-index-url --no-annotate --no-header "$@" base.in -o base.txt
    cd requirements && ../.venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
        --no-emit-index-url --no-annotate --no-header "$@" -c base.txt dev.in -o dev.txt
    cd requirements && ../.venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
        --no-emit-index-url --no-annotate --no-header "$@" peers.in -o peers.txt
