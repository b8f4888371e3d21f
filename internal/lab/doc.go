// Package lab runs a real BuildKit for tests, for `make demo` and for people.
//
// A Lab is one buildkitd, one registry on 127.0.0.1 that answers for docker.io and gcr.io, and
// images under the names that real Dockerfiles use (node:20, golang:1.26, docker/dockerfile:1).
// stoker claims to know which steps hit and what a build sends, so its tests ask BuildKit itself
// and never a mock.
//
// The images are stand-ins: busybox, with small scripts in place of npm, pip, go and apt-get that
// read the same files as the real tools, take a known time and write a known output. They need
// no network, and their digests are the same in all labs of a machine. With Options.Real, the names of
// the most used images stand for real systems.
//
// Invariants: a Lab owns everything below its directory, and nothing outside it but the cache of
// compiled programs and real images. buildkitd runs in a mount and a PID namespace of its own and dies
// with the process that started it, even if that is killed with -9: no mount and no container stays
// behind. The same holds for dockerd, which has a network namespace of its own, too.
//
// A Lab may be used by several goroutines. Parallel tests share one, so each test builds content that
// no other has, and moves only tags that no other uses.
//
// It needs Linux, root, and the programs runc and busybox (Debian: runc, busybox-static); for real
// images debootstrap, and a network.
package lab
