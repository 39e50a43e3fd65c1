# Two commands: `make up` runs the whole system here, `make test` proves it. Both install what is missing first.
# HOST=… binds and announces that address (HTTPS); PORT=… is the gateway's port, the others are counted from it.

BIN := .venv/bin
PYTHON3 ?= python3
OPTIONS = $(if $(HOST),--host $(HOST)) $(if $(PORT),--port $(PORT))

.PHONY: up down status test faults chaos fuzz check format recordings docs bench clean

up:
	@$(PYTHON3) scripts/install.py up
	@exec $(BIN)/doordarshan up $(OPTIONS)

down:
	@if [ -x $(BIN)/doordarshan ]; then exec $(BIN)/doordarshan down; else echo "nothing is running"; fi

status:
	@exec $(BIN)/doordarshan status

test:
	@$(PYTHON3) scripts/install.py test
	@cd web && npm run --silent test
	@BIN=$(BIN) PYTHON3=$(PYTHON3) sh scripts/test.sh $(TESTS)

# Every flow through every fault point; `make test` goes through a fixed selection of them.
faults:
	@$(PYTHON3) scripts/install.py up
	@exec env FAULTS=all $(BIN)/pytest tests/faults

# Random faults against a cluster with people in it: SECONDS=60, SEED=… (a run prints its own).
chaos:
	@$(PYTHON3) scripts/install.py up
	@exec $(BIN)/python -m tests.chaos $(if $(SECONDS),--seconds $(SECONDS)) $(if $(SEED),--seed $(SEED))

# The native plane's parsers under random input, so long each (60); `make test` runs a fixed number of inputs.
fuzz:
	@exec $(PYTHON3) scripts/native.py fuzz $(SECONDS)

check:
	@$(PYTHON3) scripts/install.py check
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	@$(PYTHON3) scripts/native.py check
	cd web && npm run --silent check

format:
	$(BIN)/ruff format
	$(BIN)/ruff check --fix
	@if command -v cargo >/dev/null; then (cd sfu/native && cargo fmt) && cd bench/load && cargo fmt; fi

# Record each flow anew, after the contract was changed on purpose: make test replays what lies in tests/recordings.
recordings:
	@$(PYTHON3) scripts/install.py up
	@exec $(BIN)/python -m tests.recordings

docs:
	$(BIN)/python -m services.describe

# PART=plane (or disk, bus, flows, joins, events), ROWS=video100,memory of the plane's, QUICK=1.
bench:
	@$(PYTHON3) scripts/install.py up
	@exec $(BIN)/python -m bench $(PART) $(if $(ROWS),--rows $(ROWS)) $(if $(QUICK),--quick)

clean: down
	rm -rf .run web/dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -not -path './.venv/*' -not -path './web/node_modules/*' -prune -exec rm -rf {} +
