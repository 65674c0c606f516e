# Everything a newcomer needs; `make help` lists it. Tools that are missing are installed into .tools and
# node_modules, never outside this folder. What is up to date is left alone: cargo, venv.sh and the stamps decide.
.DEFAULT_GOAL := help
.NOTPARALLEL:
SHELL := /bin/sh

# Recipes that need no explanation stay silent about how they work.
.PHONY: help build library c python node servers demo test lint ready soak fuzz bench-trial bench-quick bench bench-full dist clean

help: ## list the commands
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' Makefile | while IFS='|' read -r name what; do printf '  make %-11s %s\n' "$$name" "$$what"; done

demo: build ## three real servers, four clients at once, one server killed and restarted
	python3 tests/demo/run.py

test: ## build everything and run every test (suites: python3 tests/run.py)
	python3 tests/run.py test

ready: ## all that CI runs: lints, tests, budgets, artifacts, demo
	python3 tests/run.py ready

lint: ## formatting, clippy, dependencies, header
	python3 tests/run.py lint

soak: ## the long tests: endurance, 20,000 simulated worlds, forks, real faults with figures
	python3 tests/run.py soak

fuzz: ## fuzz everything core reads from outside, ten minutes each (tests/fuzz/run.py for less)
	python3 tests/fuzz/run.py

bench-trial: build ## every client of the benchmarks does everything once: whether they work
	tests/bench/build.sh
	python3 tests/bench/run.py trial

bench-quick: build ## what a call costs here and in the libraries people use today, in 90 seconds
	tests/bench/build.sh
	python3 tests/bench/run.py quick

bench: build ## the same in 10 minutes: 1, 16 and 128 calls in flight, and one stream
	tests/bench/build.sh
	python3 tests/bench/run.py bench

bench-full: build ## everything that is measured, in half an hour; writes the README's table and chart
	tests/bench/build.sh
	python3 tests/bench/run.py full --readme

dist: build ## wheel, npm tarballs, header and libraries into dist/, then tried from fresh folders
	tests/dist/make.sh
	python3 tests/dist/smoke.py

build: library c python node servers ## the library, the C programs, the Python module, the addon, the servers

library:
	cargo build --release -p linkspan-ffi

c: library
	tests/c/build.sh

python:
	bindings-python/scripts/venv.sh
	tests/proto/generate.sh
	bindings-python/scripts/develop.sh

# npm writes node_modules/.package-lock.json last; it is older than the lock file when packages must be installed.
NODE_FOLDERS := bindings-node tests/node tests/bench/node
NODE_STAMPS := $(NODE_FOLDERS:%=%/node_modules/.package-lock.json)

%/node_modules/.package-lock.json: %/package-lock.json
	cd $* && npm ci --loglevel=error --no-audit --no-fund
	@touch $@

# The benchmarks' peers are for the benchmarks alone.
node: $(filter-out tests/bench/%,$(NODE_STAMPS))
	cd bindings-node && npm run --silent build

servers:
	tests/server/build.sh

clean: ## remove everything that was built or installed here
	cargo clean
	rm -rf .tools dist $(NODE_FOLDERS:%=%/node_modules) bindings-node/native
