# Every target sets up its own virtual environment first; nothing but Python 3.11+, pip, make and a C
# compiler is needed.
PYTHON ?= python3
VENV ?= .venv
VENV_CUDA ?= .venv-cuda
BIN := $(VENV)/bin
STUDY ?= studies/demo.yaml
KILLS ?= 200
ERRORS ?= 150
FUZZ ?= 100000
FUZZ_SECONDS ?= 300

.PHONY: demo test test-real test-cuda-build faults fuzz fuzz-guided bench bench-quick supply-chain check format clean help

help:
	@echo "make demo     compare ten ways on the embedded corpus, and show the table"
	@echo "make test     unit tests"
	@echo "make test-cuda-build   what CUDA needs, in the CUDA build of torch, without a card (6 GB of disk)"
	@echo "make check    format, lint, strict types, import rules"
	@echo "make supply-chain   what is installed (out/sbom.json), and what is known against it"
	@echo "make faults   kill studies 260 times (KILLS=30: fewer tiny ones) and compare what they end with;"
	@echo "              let disks fail under 160 studies (ERRORS=20: fewer)"
	@echo "make fuzz     read 100,000 bent files (FUZZ=1000: fewer): accepted or refused, nothing else"
	@echo "make fuzz-guided   the same rule, files bent towards new code: FUZZ_SECONDS=300 for each of seven kinds (Linux)"
	@echo "make bench    tarazu and its peers on the same work, pair by pair (hours)"
	@echo "make bench-quick   a part of it, under 15 minutes once the peers are installed"

# torch comes from the constraints file at the tested version; a platform's own build is kept.
$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

# An environment of its own: `===` takes the CUDA build of the tested version, which `==` leaves to
# the index and its local builds. No copy of its wheels stays in pip's cache.
$(VENV_CUDA)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV_CUDA)
	$(VENV_CUDA)/bin/python -m pip install --quiet --upgrade pip
	$(VENV_CUDA)/bin/python -m pip install --quiet --no-cache-dir --constraint constraints.txt \
	  "torch===$$(sed -n 's/^torch==//p' constraints.txt)" --editable '.[dev]'
	touch $@

demo: $(VENV)/installed
	$(BIN)/tarazu run $(STUDY)

test: $(VENV)/installed
	$(BIN)/python -m pytest -q --numprocesses auto --dist worksteal

test-real: $(VENV)/installed
	$(BIN)/python -m pytest -q -m real

test-cuda-build: $(VENV_CUDA)/installed
	$(VENV_CUDA)/bin/python -m pytest -q -m cuda_build \
	  --numprocesses 2 --dist loadfile tests/cuda_build

faults: $(VENV)/installed
	$(BIN)/python tests/faults/kills.py --forked $(KILLS) --report docs/results/faults.md
	$(BIN)/python tests/faults/errors.py --forked $(ERRORS) --report docs/results/disk-errors.md

fuzz: $(VENV)/installed
	$(BIN)/python tests/fuzz/feed.py --count $(FUZZ) --report docs/results/fuzz.md

# Only here: atheris, which brings libFuzzer with it on Linux.
fuzz-guided: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[fuzz]'
	$(BIN)/python tests/fuzz/guided.py --seconds $(FUZZ_SECONDS) --report docs/results/fuzz-guided.md

bench: $(VENV)/installed
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/speed.py
	$(BIN)/python benchmarks/losses.py
	$(BIN)/python benchmarks/judged.py
	$(BIN)/python benchmarks/limit.py
	$(BIN)/python benchmarks/growth.py
	$(BIN)/python benchmarks/overhead.py
	$(BIN)/python benchmarks/tuning.py
	$(BIN)/python benchmarks/padding.py
	$(BIN)/python benchmarks/compiled.py

bench-quick: $(VENV)/installed
	$(BIN)/python benchmarks/startup.py --out out/bench-quick
	$(BIN)/python benchmarks/speed.py --quick --out out/bench-quick

# Tools of their own environment: what is listed and audited is tarazu's.
supply-chain: $(VENV)/installed
	test -d out/supply-chain || $(PYTHON) -m venv out/supply-chain
	out/supply-chain/bin/pip install --quiet --requirement tools/supply-chain.txt
	out/supply-chain/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible \
	  --output-file out/sbom.json $(BIN)/python
	rm -f out/audit.json
	out/supply-chain/bin/pip-audit --requirement constraints.txt --no-deps --disable-pip \
	  --progress-spinner off --format json --output out/audit.json || test -s out/audit.json
	$(BIN)/python tools/audit.py out/audit.json

check: $(VENV)/installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/installed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) $(VENV_CUDA) build dist .pytest_cache .mypy_cache .ruff_cache
