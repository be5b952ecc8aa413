# Two commands to remember: `make run` and `make test`. Everything is set up by them, in .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help install run preview test check audit format docs screenshots coverage dist bench fuzz faults lock clean

help: ## this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP) ## the environment alone: .venv with the locked, hashed dependencies

$(STAMP): requirements-dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Digest needs Python 3.11 or newer; name one with: make PYTHON=/path/to/python3.11"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	@touch $(STAMP)

run: $(STAMP) ## one edition from config.toml into the outbox
	@$(BIN)/digest subscribers list --json | grep -q . || $(BIN)/digest subscribers add reader@example.com --name "Sample Reader" --consent "make run"
	@$(BIN)/digest run

preview: $(STAMP) ## show the edition in a browser
	@$(BIN)/digest preview

# Its rewritten tests are kept, whatever the environment says: to rewrite them takes each worker eight seconds.
test: $(STAMP) ## every test
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n logical --dist worksteal

check: $(STAMP) ## format, lint, types, import rules, docs, known weaknesses of dependencies; no tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going --builder dummy docs $(VENV)/docs
	@$(MAKE) --no-print-directory audit

# Who cannot be asked is no weakness: without a network it says so, and leaves it at that.
audit: $(STAMP) ## known weaknesses of the locked packages (pip-audit)
	@$(BIN)/python .ci/audit.py

docs: $(STAMP) ## these pages as HTML, into docs/_build; with pictures where Chromium is installed
	$(BIN)/python docs/screenshots.py docs/screenshots --if-possible
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going --builder html docs docs/_build

screenshots: $(STAMP) ## the pictures in them, by Chromium
	$(BIN)/python docs/screenshots.py docs/screenshots

# Whether they pass is for `make test` to say. Processes that are killed leave nothing, or half a file.
coverage: $(STAMP) ## which branches of the stages, the ledger and the audience no test takes; a quarter of an hour
	$(BIN)/coverage erase
	-PYTHONDONTWRITEBYTECODE= $(BIN)/coverage run -m pytest -n logical --dist worksteal --timeout=600
	-$(BIN)/coverage combine --quiet
	@rm -f .coverage.*.*
	$(BIN)/coverage report --skip-covered
	@$(BIN)/coverage json --quiet -o .coverage.json && $(BIN)/python -c 'import json; \
	  found = json.load(open(".coverage.json"))["totals"]; \
	  print("{covered_branches} of {num_branches} branches: {percent_branches_covered:.1f} %".format(**found))'

dist: $(STAMP) ## sdist and wheel into dist/, and the wheel tried in an empty environment
	rm -rf dist && $(BIN)/python -m hatchling build --directory dist
	$(PYTHON) -m venv dist/try && dist/try/bin/pip install --quiet --disable-pip-version-check dist/*.whl
	cd dist && try/bin/digest init news && cd news && ../try/bin/digest preview --out first.html && ../try/bin/digest inspect page first.html && ../try/bin/digest --version
	rm -rf dist/try dist/news

format: $(STAMP) ## put the code into the common form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(STAMP) ## every measurement, beside its peer
	$(BIN)/python -m benchmarks

fuzz: $(STAMP) ## a million broken and hostile documents, links, events, tables and mails; about half an hour
	FUZZ_INPUTS=$${FUZZ_INPUTS:-500000} $(BIN)/python -m pytest --timeout=0 -n logical tests/unit/test_fuzz.py tests/unit/test_fuzz_inputs.py

faults: $(STAMP) ## kill 300 senders and more, at random and at each step; FAULTS_KILLS, FAULTS_SEED; about half an hour
	FAULTS_FULL=1 $(BIN)/python -m pytest tests/faults
	$(BIN)/python -m tests.faults

lock: $(STAMP) ## take the newest dependencies that pyproject.toml allows
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate pyproject.toml --output-file requirements.txt
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --constraint requirements.txt --extra llm --extra postgresql --group dev pyproject.toml --output-file requirements-dev.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --constraint requirements-dev.txt --extra llm --extra postgresql pyproject.toml --output-file deploy/requirements.txt
	printf 'hatchling\nsetuptools\n' | $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --constraint requirements-dev.txt - --output-file deploy/requirements-build.txt

clean: ## the environment, the database and the outbox of `make run`
	rm -rf $(VENV) digest.db digest.db-wal digest.db-shm digest.db.leavers outbox
