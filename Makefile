# `make` lists the targets. A fresh machine needs Python 3.11 or later, cargo and make; the rest is set up in .venv.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
VENV ?= .venv
DEMO ?= demo
FUZZ_SECONDS ?= 60
FUZZ_SANITIZER ?= none
ASAN_TESTS ?=
MIRI_TESTS ?= arrays:: cpu:: device::arrays device::calendar device::clock device::heading device::number device::privacy \
  device::room device::sentinels spectral::tile spectral::image::bytes::tests::a_tile
ARM_TESTS ?=
PYTEST_ARGS ?=
TEST_PROCESSES ?= 4

BIN := $(VENV)/bin
PY := $(BIN)/python
STAMPS := $(VENV)/stamps
RUST := Cargo.toml Cargo.lock $(shell find rust -name '*.rs')
MATURIN := VIRTUAL_ENV="$(abspath $(VENV))" PATH="$(abspath $(BIN)):$$PATH" $(BIN)/maturin develop --quiet

CAPI := --lib --no-default-features --features capi
TARGET := $(or $(CARGO_TARGET_DIR),target)

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_QUIET := 1

.PHONY: help setup demo test miri lint lint-rust lint-python bench bench-report bench-gpu fuzz asan exhaustive mutants mutants-rust soak flips wheel capi header wasm arm docs clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(STAMPS)/venv:
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(v < (3, 11) and f"Python 3.11 or later is needed, got {v[0]}.{v[1]}: make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --upgrade pip 'maturin>=1.16,<2'
	@mkdir -p $(STAMPS) && touch $@

# The packages that each job needs. The extension is built once beside the Python sources; one stamp says how.
$(STAMPS)/packages-%: $(STAMPS)/venv pyproject.toml .ci/requirements.py
	$(PY) .ci/requirements.py $* > $(STAMPS)/$*.txt
	$(PY) -m pip install -r $(STAMPS)/$*.txt
	@touch $@

# Optimised as users get it: minutes. For figures, and for what people wait for.
$(STAMPS)/extension-release: $(RUST) pyproject.toml | $(STAMPS)/venv
	$(MATURIN) --release --skip-install
	@rm -f $(STAMPS)/extension-* && touch $@

# As fast within a few percent, quicker to build.
$(STAMPS)/extension-dev-opt: $(RUST) pyproject.toml | $(STAMPS)/venv
	$(MATURIN) --profile dev-opt --skip-install
	@rm -f $(STAMPS)/extension-* && touch $@

# The command `imuspec` and the sources in place, without building them again.
$(STAMPS)/command: $(STAMPS)/venv Makefile
	@$(PY) -c "import site, pathlib; pathlib.Path(site.getsitepackages()[0], 'imuspec.pth').write_text('$(abspath python)')"
	@printf '%s\n' '#!$(abspath $(PY))' 'import sys' 'from imuspec.cli import main' '' \
	  'if __name__ == "__main__":  # workers import this file again' '    sys.exit(main())' > $(BIN)/imuspec
	@chmod +x $(BIN)/imuspec && touch $@

setup: $(STAMPS)/packages-test $(STAMPS)/extension-dev-opt $(STAMPS)/command ## set up .venv for the tests

demo: $(STAMPS)/packages-demo $(STAMPS)/extension-release $(STAMPS)/command ## simulate two days, prepare them, draw them, write a page
	@mkdir -p $(DEMO)
	$(BIN)/imuspec simulate $(DEMO)/recording.cwa --days 2 --seed 0 --miscalibration
	$(BIN)/imuspec info $(DEMO)/recording.cwa
	$(BIN)/imuspec prepare $(DEMO)/recording.cwa --out $(DEMO)/cohort --recipe capture24 --resume
	$(BIN)/imuspec image $(DEMO)/recording.cwa --out $(DEMO)/days.png --recipe capture24
	$(BIN)/imuspec report $(DEMO)/recording.cwa --out $(DEMO)/recording.html --recipe capture24
	@printf '%s\n' '' 'What was made:' \
	  '  $(DEMO)/recording.cwa    two simulated days of a wrist, as an Axivity writes them; their truth is beside it' \
	  '  $(DEMO)/cohort           its calibrated wear as Zarr, tables as Parquet' \
	  '  $(DEMO)/days.png         the days as strips of colour' \
	  '  $(DEMO)/recording.html   what was done, on one page: open it in a browser'

# The wheel in an environment of its own without any extra, as `pip install imuspec` gives it.
$(STAMPS)/plain: $(RUST) pyproject.toml .ci/requirements.py $(shell find python -name '*.py' -o -name '*.pyi' -o -name '*.toml' -o -name '*.html') | $(STAMPS)/packages-test $(STAMPS)/extension-dev-opt
	test -x $(VENV)/plain/bin/python || $(PYTHON) -m venv $(VENV)/plain
	$(PY) .ci/requirements.py plain > $(STAMPS)/plain.txt
	$(VENV)/plain/bin/python -m pip install -r $(STAMPS)/plain.txt
	@rm -rf $(VENV)/plain-wheel
	$(BIN)/maturin build --quiet --profile dev-opt --compatibility linux --out $(VENV)/plain-wheel
	$(VENV)/plain/bin/python -m pip install --no-deps --force-reinstall $(VENV)/plain-wheel/*.whl
	@touch $@

# A browser for the tests of the pages, which are left out where there is none and none can be installed.
$(STAMPS)/browser: | $(STAMPS)/venv
	@command -v chromium chromium-browser google-chrome >/dev/null || \
	  { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq >/dev/null && \
	    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null 2>&1; } || \
	  echo 'no Chromium, and none could be installed: the pages are not tested in a browser (apt-get install chromium)'
	@touch $@

# Tests of clusters and kills wait for other processes a third of their time: one test more than there are cores.
test: $(STAMPS)/packages-test $(STAMPS)/extension-dev-opt $(STAMPS)/command $(STAMPS)/plain $(STAMPS)/browser ## run all tests, those of the native core too
	cargo test --quiet --lib
	IMUSPEC_CPU=plain cargo test --quiet --lib
	cargo rustc --quiet $(CAPI) --crate-type staticlib,cdylib
	$(PY) -m pytest -q --numprocesses $$($(PY) -c 'import os; print(min(os.cpu_count() + 1, $(TEST_PROCESSES)))') --dist worksteal $(PYTEST_ARGS)

# The plain path: Miri has no vector instructions. Tests that would take hours each are left out where they stand; all others,
# `make miri MIRI_TESTS=`, take hours together.
miri: ## run the native core's plain path under Miri, where nightly has it
	@if cargo +nightly miri --version >/dev/null 2>&1; then \
	  IMUSPEC_CPU=plain MIRIFLAGS=-Zmiri-disable-isolation cargo +nightly miri test --quiet --lib -- $(MIRI_TESTS); \
	else echo 'Miri is not installed: undefined behaviour is not looked for here (rustup toolchain install nightly --component miri)'; fi

lint: lint-rust lint-python ## check style, types, the stub, licences

lint-rust:
	cargo fmt --check
	cargo clippy --quiet --all-targets -- -D warnings
	cargo clippy --quiet --lib --no-default-features --features capi -- -D warnings
	PYO3_PYTHON="$(shell command -v $(PYTHON))" cargo clippy --quiet --all-targets --features python -- -D warnings
	RUSTDOCFLAGS='-D warnings -A rustdoc::private-intra-doc-links' cargo doc --quiet --no-deps --document-private-items
	@for target in aarch64-unknown-linux-gnu i686-unknown-linux-gnu; do \
	  if rustup target list --installed 2>/dev/null | grep -qx $$target; then cargo check --quiet --lib --target $$target || exit 1; \
	  else echo "no standard library of $$target: the crate is not checked for it here (rustup target add $$target)"; fi; \
	done
	@if rustup target list --installed 2>/dev/null | grep -qx wasm32-unknown-unknown; \
	then cargo check --quiet $(CAPI) --target wasm32-unknown-unknown; \
	else echo 'no standard library of wasm32-unknown-unknown: the C interface is not checked for it here (rustup target add wasm32-unknown-unknown)'; fi
	@if cargo deny --version >/dev/null 2>&1; then cargo deny --log-level error check bans licenses sources; \
	  if [ -d "$${CARGO_HOME:-$$HOME/.cargo}/advisory-dbs" ] || git ls-remote -q https://github.com/RustSec/advisory-db HEAD >/dev/null 2>&1; \
	  then cargo deny --log-level error check advisories; else echo 'no advisory database within reach: advisories are not checked here'; fi; \
	else echo 'cargo-deny is not installed: licences and advisories are not checked here (cargo install cargo-deny)'; fi

lint-python: $(STAMPS)/packages-test $(STAMPS)/extension-dev-opt $(STAMPS)/command
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	MYPYPATH=python $(PY) -m mypy.stubtest imuspec._core
	@if $(PY) -m pip_audit --version >/dev/null 2>&1; then \
	  if $(PY) -c 'import numpy, urllib.request as u; u.urlopen(f"https://pypi.org/pypi/numpy/{numpy.__version__}/json", timeout=20)' 2>/dev/null; \
	  then $(PY) -m pip_audit --local --progress-spinner off; \
	  else echo 'PyPI does not tell here what is known of a version: holes in Python packages are not checked'; fi; \
	else echo 'pip-audit is not installed: known holes in Python packages are not checked here (pip install pip-audit)'; fi

bench: $(STAMPS)/packages-bench $(STAMPS)/extension-release $(STAMPS)/command ## measure the kernels and whole tasks beside their peers
	cargo bench --bench kernels
	$(PY) -m pytest -q benches/test_contestants.py --benchmark-columns=min,median,rounds
	$(PY) benches/report.py

bench-report: $(STAMPS)/packages-bench $(STAMPS)/extension-release $(STAMPS)/command ## measure, and write benches/RESULTS.md
	$(PY) benches/report.py --write benches/RESULTS.md

bench-gpu: $(STAMPS)/packages-bench $(STAMPS)/extension-release $(STAMPS)/command ## measure on a GPU, and write benches/RESULTS-gpu.md
	$(PY) benches/gpu.py

fuzz: $(STAMPS)/packages-test $(STAMPS)/extension-dev-opt $(STAMPS)/command ## feed damaged bytes to every reader, and damaged cohorts, for FUZZ_SECONDS each
	@if cargo +nightly fuzz --version >/dev/null 2>&1; then \
	  $(PY) tests/fuzz/seeds.py fuzz/corpus && $(PY) fuzz/campaign.py --seconds $(FUZZ_SECONDS) --sanitizer $(FUZZ_SANITIZER) && \
	  $(PY) tests/fuzz/mutate.py --python --seconds $(FUZZ_SECONDS); \
	else \
	  echo 'cargo-fuzz with a nightly toolchain is not installed: bytes are mutated without coverage feedback instead'; \
	  $(PY) tests/fuzz/mutate.py --seconds $(FUZZ_SECONDS); \
	fi

asan: ## run the tests of the native core under the address sanitizer, where nightly is
	@if cargo +nightly --version >/dev/null 2>&1; then \
	  RUSTFLAGS=-Zsanitizer=address cargo +nightly test --quiet --lib --target $$(rustc -vV | sed -n 's/^host: //p') -- $(ASAN_TESTS); \
	else echo 'a nightly toolchain is not installed: addresses are not checked here (rustup toolchain install nightly)'; fi

exhaustive: ## compare all 2^32 packed samples and times of a CWA with their plain definition
	cargo test --release --lib every_packed -- --ignored

mutants: $(STAMPS)/packages-test $(STAMPS)/extension-dev-opt $(STAMPS)/command ## change the code bit by bit, and print the changes that no test notices
	$(PY) tests/mutate.py $(MODULES)

mutants-rust: ## the same for the native signal chain, the preparation and the readers of device files
	@if cargo mutants --version >/dev/null 2>&1; then cargo mutants -f rust/arrays.rs -f 'rust/signal/*.rs' -f 'rust/preparation/*.rs' \
	  -f 'rust/device/**/*.rs' --cargo-arg=--lib; \
	else echo 'cargo-mutants is not installed (cargo install cargo-mutants)'; fi

soak: $(STAMPS)/packages-test $(STAMPS)/extension-release $(STAMPS)/command ## prepare 2,000 recordings while workers are killed at random
	$(PY) tests/soak.py

flips: $(STAMPS)/packages-test $(STAMPS)/extension-dev-opt $(STAMPS)/command ## change 10,000 bits of a cohort's files: verify must see each
	$(PY) tests/flips.py

wheel: $(STAMPS)/venv ## build the wheel and the source distribution into dist/
	$(BIN)/maturin build --release --out dist
	$(BIN)/maturin sdist --out dist

# The example in examples/c links either; a program names the folder with -I and -L.
capi: ## build the C library and its header into dist/capi
	cargo rustc --quiet --profile capi $(CAPI) --crate-type staticlib,cdylib
	@mkdir -p dist/capi && cp include/imuspec.h $(TARGET)/capi/libimuspec.* dist/capi/ && rm -f dist/capi/*.d dist/capi/*.rlib
	@ls -l dist/capi

wasm: ## build the C library for WebAssembly with SIMD into dist/wasm, where its target is installed
	@if rustup target list --installed 2>/dev/null | grep -qx wasm32-unknown-unknown; then \
	  RUSTFLAGS='-C target-feature=+simd128' cargo rustc --quiet --profile capi $(CAPI) --crate-type cdylib --target wasm32-unknown-unknown && \
	  mkdir -p dist/wasm && cp $(TARGET)/wasm32-unknown-unknown/capi/imuspec.wasm dist/wasm/ && ls -l dist/wasm; \
	else echo 'no standard library of wasm32-unknown-unknown: nothing is built (rustup target add wasm32-unknown-unknown)'; fi

# NEON, and the plain path that leaves the vectors to the compiler.
arm: ## run the tests of the native core for 64-bit ARM under QEMU, where both are installed
	@if command -v qemu-aarch64 >/dev/null && command -v aarch64-linux-gnu-gcc >/dev/null && \
	  rustup target list --installed 2>/dev/null | grep -qx aarch64-unknown-linux-gnu; then \
	  export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc; \
	  export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER='qemu-aarch64 -L /usr/aarch64-linux-gnu'; \
	  for path in neon plain; do \
	    IMUSPEC_CPU=$$path cargo test --quiet --lib --features store --target aarch64-unknown-linux-gnu -- $(ARM_TESTS) || exit 1; \
	  done; \
	else echo 'the native core is not tested for 64-bit ARM here (apt-get install qemu-user gcc-aarch64-linux-gnu; rustup target add aarch64-unknown-linux-gnu)'; fi

header: ## write include/imuspec.h anew
	IMUSPEC_WRITE_HEADER=1 cargo test --quiet --lib the_header_is_that_of_the_code

docs: $(STAMPS)/packages-docs $(STAMPS)/extension-dev-opt $(STAMPS)/command ## build the pages under docs/ into docs/_build/html
	$(PY) -m sphinx -W --keep-going -q -b html docs docs/_build/html
	@echo docs/_build/html/index.html

clean: ## remove what was built, .venv too
	cargo clean --quiet
	rm -rf $(VENV) dist $(DEMO) docs/_build .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
	find python -name '__pycache__' -prune -exec rm -rf {} +
	rm -f python/imuspec/_core.*.so python/imuspec/_core.*.pyd
