# Tandem: what a person does with the source. "make help" lists it.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# A caller's own Go settings must not change what is built here.
export GOFLAGS := -buildvcs=false
export GOWORK := off
export CGO_ENABLED := 1
unexport GOOS GOARCH

ROCKSDB := 7.8
PROC := tandem/wire/proc
COMMIT := $(shell git describe --always --dirty 2>/dev/null)
PACKAGES := g++ librocksdb-dev
SOURCES := bench gateway node shard wire
RACE := ./wire/... ./shard/... ./node/... ./gateway
FUZZTIME := 10s
DATA := data
ARGS :=
TESTFLAGS :=
SEEDS := 2000
FROM := 0
SINGLE :=
SECONDS :=
PLANTED :=
RATE := 500
CHAOS := long
SHORT_KINDS := kill,term,pause,cut,oneway,gateway,all,disk-eio-sync,disk-short-write,disk-eio-read,disk-flip-wal,disk-flip-sst,disk-torn,disk-old-copy
KINDS = $(if $(filter short,$(CHAOS)),$(SHORT_KINDS))
EACH :=
BASE :=
RESULTS := results
SUDO := $(if $(filter-out 0,$(shell id -u)),sudo)
COMPOSE := $(shell command -v docker-compose || echo docker compose)

.PHONY: help deps build run bench chaos test race lint fuzz sim planted images compose-test clean

help: ## lists the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-13s %s\n", $$1, $$2}' Makefile

# Looks before it installs, so that a machine that has everything needs neither root nor a network.
deps: ## installs what the build needs: g++ and librocksdb-dev, where they are missing
	@command -v go >/dev/null || { echo "Go is not installed, or not in PATH; go.mod names the version that Tandem needs"; exit 1; }
	@installed() { [ "$$(dpkg-query -W -f '$${db:Status-Status}' "$$1" 2>/dev/null)" = installed ]; }; \
	if ! command -v dpkg-query >/dev/null; then \
	  echo "not a Debian system: Tandem needs a C++ compiler and RocksDB $(ROCKSDB) with its headers, installed by hand"; exit 0; fi; \
	missing=; for p in $(PACKAGES); do installed $$p || missing="$$missing $$p"; done; \
	[ -e /etc/ssl/certs/ca-certificates.crt ] || missing="$$missing ca-certificates"; \
	if [ -n "$$missing" ]; then \
	  echo "installing:$$missing"; \
	  export DEBIAN_FRONTEND=noninteractive; \
	  if [ -n "$(SUDO)" ] && ! command -v sudo >/dev/null; then echo "run as root: apt-get install$$missing"; exit 1; fi; \
	  $(SUDO) apt-get update -qq; \
	  wanted=$${missing/librocksdb-dev/librocksdb-dev=$(ROCKSDB).*}; \
	  if ! $(SUDO) apt-get install -y -qq --no-install-recommends $$wanted >/dev/null; then \
	    found=$$(apt-cache policy librocksdb-dev | awk '/Candidate/{print $$2}'); \
	    echo "could not install:$$missing. Tandem builds against librocksdb-dev $(ROCKSDB).3, as Debian 12 has it; this system offers $${found:-none}"; exit 1; fi; \
	fi; \
	found=$$(dpkg-query -W -f '$${Version}' librocksdb-dev); \
	case $$found in $(ROCKSDB).*) ;; *) \
	  echo "librocksdb-dev $$found found; Tandem builds against $(ROCKSDB).3 (Debian 12): the Go binding does not fit other versions"; exit 1;; esac

build: deps ## builds bin/node, bin/gateway and bin/bench
	@echo "building bin/node, bin/gateway, bin/bench (the first time takes about a minute)"
	@mkdir -p bin
	@go build -ldflags "-X $(PROC).commit=$(COMMIT)" -o bin/ ./gateway ./bench
	@go build -ldflags "-X $(PROC).commit=$(COMMIT) -X $(PROC).rocksDB=$$(dpkg-query -W -f '$${Version}' librocksdb-dev 2>/dev/null)" -o bin/ ./node

run: build ## builds, then runs three nodes and a gateway here; DATA=folder, ARGS=further flags
	@exec bin/bench cluster --dir $(DATA) $(ARGS)

# bench's exit codes, which make prints as "Error n": 2 the budget was missed, 3 wrong answers, 4 this machine was too busy to judge.
bench: build ## a minute of CRUD load with a kill and a restart in it, judged; RATE=operations a second, ARGS=further flags
	@bin/bench run --cluster --rate $(RATE) --duration 60s --fault 'kill db-1 at 15s; start db-1 at 35s' --out $(RESULTS)/bench $(ARGS)

chaos: build ## nodes are killed, paused and cut off under load, 200 times each; CHAOS=short does each twice, and a few kinds of failing disks; KINDS=disk: their disks fail; EACH=how many
	@bin/bench chaos --each $(or $(EACH),$(if $(filter short,$(CHAOS)),2,200)) $(if $(KINDS),--kinds $(KINDS)) --out $(RESULTS)/chaos $(ARGS)

test: deps ## runs all tests; TESTFLAGS=flags of go test
	@go test -timeout 20m $(TESTFLAGS) $$(go list ./... | grep -v '/bench/lint$$')

race: deps ## runs the tests of RACE (packages) under the race detector
	@go test -race -timeout 20m $(RACE)

lint: deps ## formatting, go vet, staticcheck, the house rules (bench/lint)
	@odd=$$(gofmt -l $(SOURCES)); if [ -n "$$odd" ]; then echo "not formatted (gofmt -w): $$odd"; exit 1; fi
	@go vet ./...
	@go tool staticcheck ./...
	@go test -count=1 ./bench/lint
	@echo "lint: nothing found"

# A package's fuzz targets share one binary, which is run in the package's folder, as "go test" does. A run that ends
# without a failing input was cut by the toolchain's own deadline on a busy machine: it is tried once more.
fuzz: deps ## runs each fuzz target for FUZZTIME
	@dirs=$$(grep -rl --include='*_test.go' '^func Fuzz' $(SOURCES) | xargs -r dirname | sort -u) || true; \
	[ -n "$$dirs" ] || { echo "no fuzz targets found"; exit 1; }; \
	tmp=$$(mktemp -d); trap 'rm -rf "$$tmp"' EXIT; binary=$$tmp/fuzz log=$$tmp/log; \
	for dir in $$dirs; do \
	  go test -c -fuzz=. -o "$$binary" "./$$dir"; \
	  cache=$$(go env GOCACHE)/fuzz/$$(go list "./$$dir"); \
	  targets=$$(cd "$$dir" && "$$binary" -test.list '^Fuzz'); \
	  [ -n "$$targets" ] || { echo "$$dir has no fuzz targets"; exit 1; }; \
	  for target in $$targets; do \
	    echo "fuzzing $$dir $$target for $(FUZZTIME)"; \
	    one() { (cd "$$dir" && "$$binary" -test.run '^$$' -test.fuzz "^$$target\$$" -test.fuzztime $(FUZZTIME) -test.fuzzcachedir "$$cache") >"$$log" 2>&1; }; \
	    one || { ! grep -q 'Failing input' "$$log" && grep -q 'context deadline exceeded' "$$log" && one; } || { cat "$$log"; exit 1; }; \
	    grep '^fuzz: elapsed' "$$log" | tail -n 1; \
	  done; \
	done

# A seed that fails is printed with the command that replays it step by step.
sim: ## runs the simulator: SEEDS=how many, FROM=the first, SINGLE=1 for one fault a run, SECONDS=limit
	@go test ./shard/sim -count=1 -timeout 12h -v -run 'TestSimMany$$' -sim.seeds=$(SEEDS) -sim.from=$(FROM) $(if $(SINGLE),-sim.single) $(if $(SECONDS),-sim.seconds=$(SECONDS)) | grep -v '^=== '

planted: ## plants bugs in copies of the protocol, each of which the simulator must find; PLANTED=short for the quick ones
	@go test ./shard/sim -count=1 -timeout 1h -v -tags planted -parallel 2 -run 'TestPlanted' $(if $(filter short,$(PLANTED)),-planted.short) | grep -E 'caught|FAIL|^ok|fails without'

images: ## builds the container images tandem-gateway, tandem-db and tandem-load; BASE=command that makes the base images where no registry is reached
	@[ -z "$(BASE)" ] || docker image inspect golang:1.26-bookworm debian:bookworm-slim >/dev/null 2>&1 || $(SUDO) $(BASE)
	docker build -q --build-arg COMMIT=$(COMMIT) -f Dockerfile.gateway -t tandem-gateway .
	docker build -q --build-arg COMMIT=$(COMMIT) -f Dockerfile.db -t tandem-db .
	docker build -q --build-arg COMMIT=$(COMMIT) -f Dockerfile.gateway --target load -t tandem-load .

compose-test: build images ## runs the cluster in containers and checks it from outside
	@COMPOSE="$(COMPOSE)" .ci/compose

# "bench space --users" leaves its cluster in the folder for temporary files, with a mark that says whose it is.
clean: ## removes bin, the data of "make run", and what bench has left: results, and the cluster of "bench space"
	@rm -rf bin $(DATA) $(RESULTS)
	@space=$${TMPDIR:-/tmp}/tandem-space; [ ! -e "$$space/.made-by-bench" ] || rm -rf "$$space"
