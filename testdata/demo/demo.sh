#!/bin/sh
# A tour of stoker on a sample repository: what `make demo` runs.
#
# It builds with Docker's BuildKit where Docker runs, else with a BuildKit of its own (internal/lab),
# whose first start compiles it. Everything lies in one temporary folder, with a home of its own, and
# goes again at the end: the user's own daemon, configuration and repositories are not touched.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)

say() {
	printf '\n# %s\n' "$*"
}

# run COMMAND: as if typed.
run() {
	printf '$ %s\n' "$*"
	"$@"
}

# build: any client will do; stoker has no part in it. Prints each step with where its result came
# from, and fails if fewer than $1 of them came from the cache.
build() {
	set -- "$1" docker buildx build --progress plain .
	[ "$client" = docker ] || set -- "$1" buildctl build --frontend dockerfile.v0 --local context=. --local dockerfile=.
	want=$1
	shift
	printf '$ %s\n' "$*"
	[ "$client" = docker ] || set -- "$@" --progress plain
	"$@" >"$work/log" 2>&1 || { cat "$work/log" && exit 1; }
	awk -v want="$want" '
		/^#[0-9]+ \[.*[0-9]+\/[0-9]+\]/ { name[$1] = substr($0, length($1) + 2); next }
		name[$1] ~ /\] FROM / { next }
		$2 == "CACHED" { printf "  cached  %s\n", substr(name[$1], 1, 70); hits++ }
		$2 == "DONE" && name[$1] != "" { printf "  %6s  %s\n", $3, substr(name[$1], 1, 70) }
		END { if (hits < want) { print "demo: fewer steps came from the cache than expected: " hits "/" want; exit 1 } }
	' "$work/log"
}

cleanup() {
	trap - EXIT
	stoker down --all >/dev/null 2>&1 || true
	rm -rf "$work"
}

cd "$root"
[ -n "${STOKER_DEMO:-}" ] || echo 'Building stoker. The first time this takes a few minutes.'
go build -o bin/stoker ./cmd/stoker

if docker info >/dev/null 2>&1 && docker buildx version >/dev/null 2>&1; then
	client=docker
elif [ -n "${BUILDKIT_HOST:-}" ] && command -v buildctl >/dev/null; then
	client=buildctl
elif [ -n "${STOKER_DEMO:-}" ]; then
	echo 'demo: the lab gave no builder' >&2
	exit 1
else
	echo 'No builder is running here: starting one. The first time it is compiled, which takes some minutes.'
	make -s packages
	go build -o bin/labctl ./internal/lab/labctl
	STOKER_DEMO=lab exec bin/labctl run -- "$0"
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/stoker-demo.XXXXXX")
trap cleanup EXIT
trap 'exit 130' INT TERM HUP

# Docker's own configuration names the builder; all else is new.
export DOCKER_CONFIG="${DOCKER_CONFIG:-$HOME/.docker}" PATH="$root/bin:$PATH"
export HOME="$work/home" XDG_RUNTIME_DIR="$work/run" XDG_STATE_HOME="$work/state"
export XDG_CONFIG_HOME="$work/config" XDG_CACHE_HOME="$work/cache"
export COLUMNS="${COLUMNS:-80}" # where the output goes to no terminal
mkdir -p -m 700 "$HOME" "$XDG_RUNTIME_DIR"
"$root/testdata/demo/repository.sh" "$work/shop"
cd "$work/shop"

say 'Somebody has worked on this repository for a while: a Node service and its front end.'
run git log --oneline -5
run cat Dockerfile

say 'Watch it, and let its steps run ahead of builds.'
run stoker up --allow

say 'A source file is edited and built, by a client that knows nothing of stoker.'
echo '// Prices include tax.' >>src/cart.js
build 0

say 'stoker has seen that build.'
run stoker status

say 'What would be better, by this history?'
run stoker suggest api
run stoker suggest api --diff

say 'Do it, without the proof of two builds that it asks for where a builder is there.'
run stoker suggest api --apply --no-verify

say 'Warm everything that the next build needs.'
run stoker warm --level all

say 'What will the next build run?'
run stoker predict api

say 'The same client again.'
build 6

say 'And what the cache did.'
run stoker stats
