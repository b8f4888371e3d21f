// Package lab runs a real BuildKit for tests, for `make demo` and for people.
//
// A Lab is one buildkitd, one registry on 127.0.0.1 that answers for docker.io and gcr.io, and
// images under the names that real Dockerfiles use (node:20, golang:1.26, docker/dockerfile:1).
// Hits, misses and what a build sends are what stoker claims to know, so tests ask BuildKit
// itself and never a mock.
//
// The images are stand-ins: busybox, with small scripts in place of npm, pip, go and apt-get that
// read the same files as the real tools, take a known time and write a known output. They need
// no network, and their digests are the same in every lab of one machine. Options.Real puts real
// systems in place of the most used ones.
//
// Invariants: a Lab owns everything below its directory, and nothing outside it but the cache of
// built programs and real images. buildkitd lives in a mount and a PID namespace of its own and dies
// with the process that started it, even if that is killed with -9: no mount and no container stays
// behind. So does dockerd, in a network namespace of its own, too.
//
// A Lab may be used by several goroutines. Tests that run beside each other share one, so a test
// builds content of its own, and moves no tag but one with a name of its own.
//
// It needs Linux, root, and the programs runc and busybox (Debian: runc, busybox-static); for real
// images debootstrap, and a network.
package lab
