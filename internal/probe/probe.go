// Package probe is the part of a smoke test that runs inside of the container under test, as a second process beside
// the image's own: it waits until the program answers, and looks at it through /proc. It needs nothing of the image, no
// shell and no library, and imports nothing but the standard library.
//
// A [Spec] goes in as one argument, a [Report] comes out as one line of JSON. [Run] is for Linux, as root of the
// container, in the process and network namespaces of the program.
package probe

// Spec says what to wait for. The first of HTTP, TCP and Health that is set is waited for; without any the program only
// has to stay.
type Spec struct {
	// HTTP is a path, or a port and a path: "/healthz", ":8080/healthz".
	HTTP string `json:"http,omitempty"`
	// TCP is a port.
	TCP int `json:"tcp,omitempty"`
	// Health is a command that ends with 0 once the program is well. It runs as the program's user, with the probe's
	// environment.
	Health []string `json:"health,omitempty"`
	// Ports are the ones that the image declares: where an HTTP path without a port is asked for first.
	Ports []int `json:"ports,omitempty"`
	// Shared reports that the network is shared with others, so that a port which listens need not be the program's.
	Shared bool `json:"shared,omitempty"`
	// Stay is how many seconds a program that nothing else is known of has to stay.
	Stay float64 `json:"stay,omitempty"`
	// Timeout is how many seconds to wait at most.
	Timeout float64 `json:"timeout"`
	// Volumes are folders that the image declares to write to.
	Volumes []string `json:"volumes,omitempty"`
}

// Report is what was seen.
type Report struct {
	// Ready says that what was waited for came, and How what that was; else Problem says what was seen last.
	Ready   bool   `json:"ready"`
	How     string `json:"how,omitempty"`
	Problem string `json:"problem,omitempty"`
	// Seconds is the time from the start of the program until it was ready.
	Seconds float64 `json:"seconds,omitempty"`
	// UID is that of the program, the first process of the container, and Command its name.
	UID     int    `json:"uid"`
	Command string `json:"command,omitempty"`
	// Memory is the sum of the most that each process of the container has held at a time, in bytes.
	Memory int64 `json:"memory,omitempty"`
	// Written are files that were written, made or removed outside of volumes and mounts since the program started, at
	// most 100 of WrittenCount; a folder ends in a slash, and stands for what is gone again.
	Written      []string `json:"written,omitempty"`
	WrittenCount int      `json:"writtenCount,omitempty"`
}

// mostWritten is how many paths are told.
const mostWritten = 100
