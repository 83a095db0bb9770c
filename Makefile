# Every way in. Set-up comes with the first target that needs it, and is skipped while what it
# installs and compiles is no newer than its stamp.
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test check dev up down bench clean setup mariadb percona
MAKEFLAGS += --silent --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
CACHE := $(VENV)/capture.aot

# What a stack leaves in SMUG_HOME, where other things may stand as well.
STATE := mysql capture lake index archive keys certificates claims realtime logs dagster smug.duckdb \
  smug.duckdb.wal alerts.jsonl dashboard dbt locks processes.json

export SMUG_HOME ?= $(CURDIR)/.smug
export DAGSTER_HOME := $(SMUG_HOME)/dagster
export DO_NOT_TRACK := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# Without bytecode each process that a test starts would compile what it imports.
unexport PYTHONDONTWRITEBYTECODE

help: ## list the targets
	awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: setup ## the whole way once: shards, workload, capture, lake, warehouse, bi, verified
	$(BIN)/smug demo

test: setup percona ## all tests
	$(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder

check: setup ## ruff, mypy, sqlfluff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy & types=$$!; $(BIN)/sqlfluff lint dbt_project; style=$$?; wait $$types && exit $$style

dev: setup ## the local stack, and the Dagster UI on it
	$(BIN)/smug dev

up: setup ## start the local stack in the background
	$(BIN)/smug up

down: setup ## stop it
	$(BIN)/smug down

bench: setup ## every benchmark
	for benchmark in benchmarks/*.py; do \
	  [ -e "$$benchmark" ] || continue; \
	  echo "$$benchmark"; $(BIN)/python "$$benchmark" || exit 1; \
	done

clean: ## stop the local stack; remove its data, the environment and all caches
	if [ -f "$(SMUG_HOME)/processes.json" ]; then \
	  $(BIN)/python -c 'from smug_platform.local.stack import down; from smug_platform.settings import load_settings; down(load_settings(), progress=print)' \
	  || { echo "the local stack may still run: run \`make setup\` and \`make clean\` again" >&2; exit 1; }; \
	fi
	rm -rf $(foreach name,$(STATE),"$(SMUG_HOME)/$(name)")
	if [ -d "$(SMUG_HOME)" ]; then rmdir --ignore-fail-on-non-empty "$(SMUG_HOME)"; fi
	rm -rf $(VENV) smug_platform/scan/*.so .pytest_cache .mypy_cache .ruff_cache .hypothesis build ./*.egg-info
	rm -rf dbt_project/target dbt_project/logs dbt_project/dbt_packages logs .tmp_dagster_home_*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

setup: $(STAMP) mariadb $(CACHE)
	mkdir -p "$(DAGSTER_HOME)"

# As root, or with sudo; says what to do where there is no apt-get.
define APT
apt() { \
  if ! command -v apt-get >/dev/null; then \
    echo "$$1 is missing, and there is no apt-get here: install $$2" >&2; return 1; \
  fi; \
  missing=$$1; shift 2; as=; \
  if [ "$$(id -u)" != 0 ]; then \
    command -v sudo >/dev/null || { echo "$$missing is missing: as root, run apt-get install $$*" >&2; return 1; }; \
    as=sudo; \
  fi; \
  echo "installing $$*"; \
  $$as apt-get update -qq || true; \
  $$as env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$$@" >/dev/null; \
}
endef

# The core packages hold the server without a service that would start with the machine.
mariadb:
	PATH="$$PATH:/usr/sbin:/usr/local/sbin"; $(APT); \
	command -v mariadbd >/dev/null && command -v mariadb-install-db >/dev/null && command -v mariadb-binlog >/dev/null \
	|| apt mariadbd "MariaDB server 10.6 or later, with mariadb-install-db and mariadb-binlog" mariadb-server-core mariadb-client

# The real pt-online-schema-change, for its test alone (2 MB): without it that one is skipped.
percona:
	$(APT); \
	command -v pt-online-schema-change >/dev/null \
	|| apt pt-online-schema-change "Percona Toolkit" percona-toolkit \
	|| echo "pt-online-schema-change is missing: its test is skipped" >&2

$(BIN)/uv:
	$(APT); \
	for python in python3.11 python3.12 python3; do \
	  if "$$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' 2>/dev/null; then break; fi; \
	  python=; \
	done; \
	if [ -z "$$python" ]; then echo "Python 3.11 or 3.12 is missing: install python3.11" >&2; exit 1; fi; \
	"$$python" -c 'import ensurepip, venv' 2>/dev/null || apt "Python's venv" "Python with its venv module" python3-venv || exit 1; \
	echo "making $(VENV) with $$($$python --version)"; \
	"$$python" -m venv $(VENV) && $(BIN)/python -m pip install --quiet 'uv<1'

SCANNER := setup.py $(wildcard smug_platform/scan/*.[ch])

$(STAMP): requirements.lock pyproject.toml $(SCANNER) | $(BIN)/uv
	echo "installing what requirements.lock names"
	$(BIN)/uv pip sync --quiet --python $(BIN)/python --compile-bytecode requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps -e .
	touch $@

ALTERED := $(patsubst %,smug_platform/capture/%.py,alter converters events unread zero_dates)

# What Java loads for capture, which then starts in half the time.
$(CACHE): smug_platform/capture/jvm.py $(ALTERED) smug_platform/local/training.py $(STAMP) | mariadb
	echo "recording what capture loads"
	$(BIN)/python -m smug_platform.local.training >/dev/null \
	|| echo "it was not recorded: capture starts in twice the time" >&2
