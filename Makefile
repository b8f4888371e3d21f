# What people and CI call. `make` builds the program.

GO      ?= go
# A release gives its version; anything else is told apart by its commit (internal/version).
VERSION ?=
LDFLAGS  = $(if $(VERSION),-ldflags "-X github.com/stokerd/stoker/internal/version.override=$(VERSION)")

# PKG narrows test, test-real and bench: make test PKG=./watcher
PKG      ?= ./...
REPEAT   ?= 20
FUZZTIME ?= 30s
# -race makes the longest package some ten times slower than it is.
TIMEOUT  ?= 20m

# Which cases the random suites try (internal/randtest): others for each commit, the same ones whenever
# it is tested.
export STOKER_TEST_CASES ?=
export STOKER_TEST_SEED  ?= $(SEED)
SEED := $(shell printf %d 0x$$(git rev-parse --short=8 HEAD 2>/dev/null || echo 1))

# What holds ours against code of BuildKit's that races by itself, and what measures memory.
UNRACED  = -run 'IsTheSolvers|TestMemory' ./cache ./context/content ./internal/image

GOLANGCI = github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

.PHONY: build test test-real test-all test-images test-engine test-init table-init test-again bench lint fuzz demo packages clean labctl

# Static, because smoke tests start stoker in images that hold no library.
build:
	CGO_ENABLED=0 $(GO) build $(LDFLAGS) -o bin/stoker ./cmd/stoker

labctl:
	@$(GO) build -o bin/labctl ./internal/lab/labctl

# One buildkitd serves all packages. It needs Linux and root: see internal/lab/README.md. Vetting with
# -race shares what the tests compile.
test: labctl
	$(GO) vet -race ./...
	bin/labctl run -- $(GO) test -race -timeout $(TIMEOUT) $(PKG)
	$(GO) test -timeout $(TIMEOUT) $(UNRACED)

# What takes too long for every commit: all cases of the random suites, images of real systems, a Docker
# Engine, and everything again and again with a few other cases each time, to find what fails now and then.
test-real:
	@$(MAKE) --no-print-directory --keep-going test-all test-images test-engine test-again

test-all: labctl
	STOKER_TEST_CASES=full bin/labctl run -- $(GO) test -race -count 1 -timeout 10h $(PKG)
	STOKER_TEST_CASES=full $(GO) test -count 1 -timeout 10h $(UNRACED)

test-images: labctl
	@$(MAKE) --no-print-directory packages PACKAGES="$(PACKAGES) debootstrap:debootstrap"
	bin/labctl run --real -- $(GO) test -race -timeout 2h -run RealImages ./internal/lab ./internal/scaffold ./internal/verify

# What is tried on a Docker Engine, too; the first time compiles one, in some minutes.
test-engine: labctl
	@$(MAKE) --no-print-directory packages
	bin/labctl run --engine -- $(GO) test -race -timeout 2h -run Engine ./cache/buildkit ./internal/daemon ./internal/e2e \
		./internal/image ./internal/lab ./internal/smoke

# Three of the apps that `stoker init` is tried on, for CI: npm, a workspace, Go.
test-init: labctl
	@$(MAKE) --no-print-directory packages PACKAGES="$(PACKAGES) debootstrap:debootstrap"
	bin/labctl run --real=node:24,golang:1.26,gcr.io/distroless/static-debian13:nonroot -- \
		$(GO) test -timeout 1h -run 'TestRealImages/(node-npm-express|node-npm-workspaces|go-chi)$$' ./internal/scaffold

# What the Dockerfiles of `stoker init` save beside naive ones: the table in docs/init.md.
table-init: labctl
	bin/labctl run --real -- $(GO) test -timeout 2h -count 1 -run TestRealImagesTable ./internal/scaffold -table

# Without -race, which test-all has: what goes wrong now and then does so at the speed that users have.
test-again: labctl
	STOKER_TEST_CASES=1% bin/labctl run -- $(GO) test -count $(REPEAT) -timeout 10h $(PKG)

bench: labctl
	bin/labctl run -- $(GO) test -run '^$$' -bench . -benchmem -timeout 1h $(PKG)

lint:
	@test -z "$$(gofmt -l cmd cache context internal watcher | tee /dev/stderr)"
	$(GO) vet ./...
	$(GO) run $(GOLANGCI) run

# Each fuzz target for FUZZTIME, one after the other. Making a failing input small is cut short: it costs
# more than it shows.
fuzz:
	@grep -rl --include='*_test.go' '^func Fuzz' . | sort | while read -r file; do \
		for target in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$$file"); do \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 20x "$$(dirname "$$file")" || exit 1; \
		done; \
	done

# A tour on a sample repository, with a BuildKit of its own where none is found.
demo:
	@testdata/demo/demo.sh

# What the lab, the tests and the demo need from Debian or Ubuntu, where it is missing: program:package.
PACKAGES = git:git runc:runc busybox:busybox-static
packages:
	@missing=; for p in $(PACKAGES); do \
		command -v $${p%:*} >/dev/null || missing="$$missing $${p#*:}"; \
	done; \
	if [ -n "$$missing" ]; then \
		apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $$missing; \
	fi

clean:
	rm -rf bin dist
