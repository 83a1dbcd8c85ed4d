# lora-forge: from your agents' transcripts to an adapter you can defend. Thin: each target calls the folder that owns it.
#   make all [SESSIONS=DIR] [OUT=output/datasets]    datasets from transcripts (the sample town where there are none)
#   make test                                        everything; `make check` is the quick part

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OUT ?= output/datasets
SESSIONS ?=
ROLE ?= mayor
ROLES ?=
WITH ?=
RUN ?=
GPU ?=
GPUS ?=
SWEEP ?=
REPO ?=
ADAPTER ?= output/adapters/$(ROLE)
SAMPLES ?=
TASKS ?=
MODEL_ARGS ?=
VERSION ?=
KIND ?=
SESSION ?=
WHY ?=
FORCE ?=
ROLLBACK ?=
HOST ?=
PRE_TOKENIZER ?=
CONFIG ?= configs/serve.yml
# dashscope carries the Qwen vocabulary; nothing else of it is used, so its own dependencies stay out.
VOCABULARY := dashscope==2.0.2
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

export OMP_NUM_THREADS ?= 1
export AXOLOTL_DO_NOT_TRACK := 1
export HF_HUB_DISABLE_TELEMETRY := 1

.PHONY: all data curate config validate plan train runs run-report sweep phases eval lm-eval register versions judge promote rollback lineage \
	merge gguf onnx ollama push engine serve archive bench bench-eval bench-serve report smoke release-smoke packs-smoke test check lint clean

all: data

data: $(VENV)/.light
	@$(MAKE) --no-print-directory -C data all PYTHON=$(abspath $(BIN)/python) SESSIONS="$(SESSIONS)" OUT="$(OUT)"

curate: $(VENV)/.light
	@$(BIN)/python -m data.curate --rows "$(OUT)"

RECIPE = $(ROLE) $(addprefix --with ,$(WITH))
NAMED_RUN = $(addprefix --run ,$(RUN))

config: $(VENV)/.light
	@$(BIN)/python -m configs.resolve $(RECIPE) $(NAMED_RUN)

# All of them without a role; one with the rows, and with Axolotl where it is installed.
validate: $(VENV)/.light
	@$(BIN)/python -m configs.validate $(if $(filter-out file,$(origin ROLE)),$(if $(wildcard $(VENV)/.train),--deep) $(ROLE)) \
		$(addprefix --with ,$(WITH))

plan: $(VENV)/.light
	@$(if $(GPU),,echo "make plan needs a card: make plan ROLE=$(ROLE) GPU=rtx4090 (those of configs/plan/gpus.yml)" >&2; exit 2)
	@$(BIN)/python -m configs.plan $(RECIPE) --gpu $(GPU) $(addprefix --gpus ,$(GPUS))

train: $(VENV)/.train
	@PATH="$(abspath $(BIN)):$$PATH" scripts/train.sh $(RECIPE) $(NAMED_RUN) $(addprefix --gpus ,$(GPUS))

runs: $(VENV)/.light
	@$(BIN)/python -m configs.runs.listing

run-report: $(VENV)/.light
	@$(BIN)/python -m configs.runs.report $(or $(RUN),$(ROLE))

sweep: $(VENV)/.train
	@$(if $(SWEEP),,echo "make sweep needs the file with the values: make sweep ROLE=$(ROLE) SWEEP=rates.yml" >&2; exit 2)
	@PATH="$(abspath $(BIN)):$$PATH" scripts/sweep.sh $(ROLE) $(SWEEP) $(addprefix --with ,$(WITH)) $(NAMED_RUN)

phases: $(VENV)/.train
	@PATH="$(abspath $(BIN)):$$PATH" scripts/phases.sh $(if $(ROLES),--roles "$(ROLES)") $(addprefix --with ,$(WITH)) \
		$(addprefix --samples ,$(SAMPLES))

EVALS = output/evals/$(ROLE)
EVAL_OPTIONS = --role $(ROLE) --rows $(OUT) $(addprefix --samples ,$(SAMPLES))

eval: $(VENV)/.train
	@$(BIN)/python -m eval.role_bench --model base $(EVAL_OPTIONS) --out $(EVALS)/base
	@$(BIN)/python -m eval.role_bench --model $(ADAPTER) $(EVAL_OPTIONS) --out $(EVALS)/adapter
	@$(BIN)/python -m eval.compare $(EVALS)/base $(EVALS)/adapter --html $(EVALS)/report.html --junit $(EVALS)/junit.xml

lm-eval: $(VENV)/.train
	@$(if $(and $(TASKS),$(MODEL_ARGS)),,echo "make lm-eval needs both: make lm-eval TASKS=role_bench,gsm8k MODEL_ARGS=pretrained=BASE,peft=ADAPTER" >&2; exit 2)
	@$(BIN)/python -m lm_eval --model hf --model_args $(MODEL_ARGS) --tasks $(TASKS) --include_path eval/lm_tasks \
		--apply_chat_template --log_samples --gen_kwargs repetition_penalty=1.0 --output_path output/evals/lm-eval

REGISTRY = $(BIN)/python -m deploy.registry
# What a version is asked for by; `make versions` lists them.
NEEDS_VERSION = $(if $(VERSION),,echo "make $@ needs a version: make $@ ROLE=$(ROLE) VERSION=v1 (make versions lists them)" >&2; exit 2)

register: $(VENV)/.light
	@$(REGISTRY) register $(ADAPTER) $(if $(filter-out file,$(origin ROLE)),--role $(ROLE)) \
		$(addprefix --manifest ,$(wildcard $(OUT)/manifest.json))

versions: $(VENV)/.light
	@$(REGISTRY) list

judge: $(VENV)/.light
	@$(NEEDS_VERSION)
	@$(REGISTRY) evaluate $(ROLE) $(VERSION) $(EVALS)/base $(EVALS)/adapter

promote: $(VENV)/.light
	@$(NEEDS_VERSION)
	@$(REGISTRY) promote $(ROLE) $(VERSION) $(if $(FORCE),--force) $(if $(WHY),--why "$(WHY)")

rollback: $(VENV)/.light
	@$(REGISTRY) rollback $(ROLE) $(if $(WHY),--why "$(WHY)")

lineage: $(VENV)/.light
	@$(REGISTRY) lineage $(if $(SESSION),--session $(SESSION),$(ROLE) $(VERSION))

merge: $(VENV)/.train
	@$(NEEDS_VERSION)
	@$(BIN)/python -m deploy.merge $(ROLE) $(VERSION)

gguf: $(VENV)/.train
	@$(NEEDS_VERSION)
	@$(BIN)/python -m deploy.gguf $(ROLE) $(VERSION) --kind $(or $(KIND),gguf-q4_k_m) $(addprefix --pre-tokenizer ,$(PRE_TOKENIZER))

onnx: $(VENV)/.train
	@$(NEEDS_VERSION)
	@$(BIN)/python -c 'import onnxruntime_genai' 2>/dev/null || $(PIP) --editable '.[onnx]'
	@$(BIN)/python -m deploy.onnx $(ROLE) $(VERSION) $(addprefix --kind ,$(KIND))

ollama: $(VENV)/.light
	@$(NEEDS_VERSION)
	@$(BIN)/python -m deploy.ollama $(ROLE) $(VERSION) $(addprefix --host ,$(HOST)) $(if $(ROLLBACK),--rollback,--latest)

engine: $(VENV)/.light
	@$(BIN)/python -m deploy.engine

serve: $(VENV)/.light
	@$(BIN)/python -m deploy.serve --config $(CONFIG)

push: $(VENV)/.light
	@$(if $(REPO),,echo "make push needs the repository: make push ROLE=$(ROLE) REPO=you/name" >&2; exit 2)
	@$(BIN)/python -m deploy.upload_hf $(if $(VERSION),$(ROLE)@$(VERSION),$(ADAPTER)) --repo $(REPO) $(addprefix --kind ,$(KIND)) \
		$(if $(VERSION),,$(addprefix --eval ,$(wildcard $(EVALS)/adapter/results.json $(EVALS)/base/results.json)) \
		$(addprefix --manifest ,$(wildcard $(OUT)/manifest.json)))

archive: $(VENV)/.light
	@$(BIN)/python -m data.pipeline archive $(if $(SESSIONS),--sessions "$(SESSIONS)")

bench: $(VENV)/.test
	@$(BIN)/python scripts/bench.py $(if $(SESSIONS),--sessions "$(SESSIONS)")

bench-eval: $(VENV)/.train
	@$(BIN)/python -m scripts.bench_eval

bench-serve: $(VENV)/.test
	@$(BIN)/python -m scripts.bench_serve

report: $(VENV)/.light
	@$(BIN)/python -m data.validate.report $(OUT) --out output/report.html

smoke: $(VENV)/.train
	@PATH="$(abspath $(BIN)):$$PATH" scripts/smoke.sh

release-smoke: $(VENV)/.train
	@PATH="$(abspath $(BIN)):$$PATH" scripts/release_smoke.sh

packs-smoke: $(VENV)/.train
	@PATH="$(abspath $(BIN)):$$PATH" scripts/packs_smoke.sh

test: $(VENV)/.test
	@PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python -m pytest --durations=15

check: $(VENV)/.test lint
	@PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python -m pytest -m "not slow"

lint: $(VENV)/.test
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

$(VENV)/.light: pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "lora-forge needs Python 3.11 or newer: make PYTHON=python3.11")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing the light dependencies (no torch) into $(VENV) ..."
	@$(PIP) --editable .
	@$(PIP) --no-deps --upgrade --target $(VENV)/share/vocabulary $(VOCABULARY)
	@touch $@

$(VENV)/.train: $(VENV)/.light requirements-gpu.txt
	@echo "Installing torch and Axolotl into $(VENV): a few minutes and several GB the first time ..."
	@$(PIP) --requirement requirements-gpu.txt
	@touch $@

$(VENV)/.test: $(VENV)/.train $(if $(CI),$(VENV)/.sky $(VENV)/.mlx)
	@$(PIP) --editable '.[dev]'
ifdef CI
	@( for tool in /usr/sbin/sshd rsync chromium bwrap buildah mmdebstrap; do command -v $$tool || exit; done ) >/dev/null || \
		{ apt-get -qq update && apt-get -qq -y install openssh-server rsync chromium bubblewrap && \
		apt-get -qq -y install --no-install-recommends buildah mmdebstrap; } >/dev/null
	@$(BIN)/python -m deploy.engine >/dev/null || echo "There is no llama-server, so the tests that need one are skipped, by name." >&2
endif
	@touch $@

# SkyPilot only reads infra/sky.yml, in an environment of its own: its pins and Axolotl's exclude each other.
$(VENV)/.sky: $(VENV)/.light
	@$(PYTHON) -m venv $(VENV)/sky
	@$(VENV)/sky/bin/python -m pip install --quiet --disable-pip-version-check skypilot==0.14.1
	@touch $@

# mlx-lm brings a newer transformers, so it has an environment of its own. On Linux it needs mlx's CPU part.
$(VENV)/.mlx: $(VENV)/.light
	@$(PYTHON) -m venv $(VENV)/mlx
	@$(VENV)/mlx/bin/python -m pip install --quiet --disable-pip-version-check mlx-lm==0.32.2 \
		$(if $(filter Darwin,$(shell uname -s)),mlx==0.32.4,'mlx[cpu]==0.32.4')
	@touch $@

# What cannot be made again stays: archived transcripts, captures, what people compared, judged and decided, what was mined,
# the rounds of the loop, the packs, the list of what nobody may use, and what was released.
KEPT := archive captures comparisons votes.db* judged curation.db* mined loop packs forgotten.txt registry.db* adapters evals

clean:
	@test ! -d output || find output -mindepth 1 -maxdepth 1 $(foreach name,$(KEPT),! -name "$(name)") -exec rm -rf {} +
