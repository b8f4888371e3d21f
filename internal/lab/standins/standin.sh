# Sourced by every stand-in.

# fail MESSAGE: as a tool that cannot go on.
fail() {
	echo "$*" >&2
	exit 1
}

# work SECONDS: the time the real tool would need.
work() {
	sleep "${STANDIN_SECONDS:-$1}"
}

# fingerprint PATH...: one hash over names and contents of all files below the paths, without what
# the tools themselves write, and without those that say how the image is built, which no tool reads.
fingerprint() {
	find "$@" -name node_modules -prune -o -name .git -prune -o -type f ! -name Dockerfile ! -name .dockerignore -print | sort | xargs -r sha256sum | sha256sum | cut -c 1-64
}
