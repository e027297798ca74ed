# Everything a person runs in this repository. `make help` explains each target.
SHELL := /bin/bash
.DEFAULT_GOAL := help

# make demo CONTEXT=<kube context> IMAGE_REPO=<registry/path> uses an existing cluster instead of a local one;
# DOMAIN=example.com and CA=ca.crt tell its host names and the authority behind its ingress.
CONTEXT ?=
IMAGE_REPO ?=
DOMAIN ?=
CA ?=
RUN ?= .

DEMO := go run ./tools/demo $(if $(CONTEXT),--context $(CONTEXT)) $(if $(IMAGE_REPO),--image-repo $(IMAGE_REPO)) $(if $(DOMAIN),--domain $(DOMAIN)) $(if $(CA),--ca-file $(CA))

# One set of flags for builds and tests: a package is compiled once. Paths are trimmed, so that images are reproducible.
export GOFLAGS := -buildvcs=false -trimpath
export CGO_ENABLED ?= 0

##@ Demo

.PHONY: demo demo-env demo-release demo-down
demo: ## Build what is missing, start or repair the cluster, install everything, wait until Ready
	@$(DEMO) up

demo-env: ## Print the export lines of the demo, for: eval "$$(make -s demo-env)"
	@$(DEMO) env

demo-release: ## Publish a second release and show it arriving and rolling out
	@$(DEMO) release

demo-down: ## Remove the demo and everything it left on this machine
	@$(DEMO) down

##@ Tests

.PHONY: test test-unit test-web test-e2e bench
test: ## Run every test of the repository; the last line is the summary
	@go run ./tools/testrun

test-unit: ## Run the Go tests that need no cluster
	@go run ./tools/testrun lint unit

test-web: ## Run the checks and tests of the web pages
	@go run ./tools/testrun web

test-e2e: ## Run the tests of the whole system on a real cluster of their own
	@go run ./tools/testrun localcluster e2e

BENCHTIME ?= 1s
bench: ## Run the benchmarks that match RUN=regexp for BENCHTIME each, in Go's benchmark format
	@KUBEBUILDER_ASSETS="$${KUBEBUILDER_ASSETS:-$$(go -C tools/localcluster run . assets)}" \
		go test -run '^$$' -bench '$(RUN)' -benchtime '$(BENCHTIME)' -benchmem -timeout 3h ./...

##@ Development

.PHONY: build web images charts generate lint fmt check clean help
build: web ## Build every program into bin/
	@mkdir -p bin && go build -trimpath -o bin/ ./cmd/... ./tools/... helm.sh/helm/v4/cmd/helm

web: ## Build the web pages that the programs embed
	@cd web && { [ node_modules/.package-lock.json -nt package-lock.json ] || npm ci --no-audit --no-fund; } && npm run build

images: web ## Build the container images and their bills of materials into dist/images
	@go run ./tools/image --version 0.1.0 --platform linux/amd64,linux/arm64 controller-manager deploy-server server console

charts: ## Package the charts into dist/charts
	@go run ./tools/chart package --version 0.1.0 --app-version 0.1.0 --out dist/charts

generate: ## Regenerate code, the CRD, chart READMEs and reference pages
	@go generate ./... && go run ./tools/chart docs

lint: ## Run the analyzers and the repository's own rules
	@go run ./tools/lint ./... && go test ./test/rules

fmt: ## Format the Go code
	@gofmt -s -w $$(git ls-files '*.go' | grep -v -E 'zz_generated|generated')

check: generate fmt lint test-unit test-web ## Everything that needs no cluster; then the tree must be clean
	@git diff --exit-code --stat

clean: ## Remove what was built
	@rm -rf bin dist web/node_modules && find internal/webui/dist -mindepth 1 ! -name README.md -delete

help: ## Show this text
	@awk 'BEGIN {FS = ":.*## "; print "Usage: make <target>"} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
