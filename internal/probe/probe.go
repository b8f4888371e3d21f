// Package probe is the part of a smoke test that runs inside the tested container, as a second process besides the
// image's program. It waits until the program is ready, and looks at it through /proc. It needs no shell and no library
// of the image, and imports only the standard library.
//
// The process gets a [Spec] as its argument, and writes a [Report] as one line of JSON. [Run] must be called on Linux, as
// the container's root, in the process and network namespaces of the program, which is process 1.
package probe

// Spec says when the program is ready: when the first of HTTP, TCP and Health that is set succeeds. If none is set, it
// is ready when it has run for the time of Stay.
type Spec struct {
	// HTTP is a path, or a port and a path: "/healthz", ":8080/healthz".
	HTTP string `json:"http,omitempty"`
	// TCP is a port that accepts connections once the program is ready.
	TCP int `json:"tcp,omitempty"`
	// Health is a command that ends with status 0 once the program is ready. It runs as the program's user, with the
	// probe's environment.
	Health []string `json:"health,omitempty"`
	// Ports are the ports that the image declares. An HTTP path without a port is requested from these first.
	Ports []int `json:"ports,omitempty"`
	// Shared says that the network is shared with other programs, which may be those that listen on a port.
	Shared bool `json:"shared,omitempty"`
	// Stay is how many seconds the program must run if there is no other way to see that it is ready.
	Stay float64 `json:"stay,omitempty"`
	// Timeout is how many seconds to wait until the program is ready.
	Timeout float64 `json:"timeout"`
	// Volumes are the folders that the image declares as volumes.
	Volumes []string `json:"volumes,omitempty"`
}

// Report is what the probe found out.
type Report struct {
	// Ready says whether the program was ready in time, and How what showed it. If it was not, Problem is the last error.
	Ready   bool   `json:"ready"`
	How     string `json:"how,omitempty"`
	Problem string `json:"problem,omitempty"`
	// Seconds is the time from the start of the program until it was ready.
	Seconds float64 `json:"seconds,omitempty"`
	// UID is the effective user of the program, and Command its name.
	UID     int    `json:"uid"`
	Command string `json:"command,omitempty"`
	// Memory is the sum over the processes of the container of the most memory that each had at any time, in bytes.
	Memory int64 `json:"memory,omitempty"`
	// Written has at most 100 of the WrittenCount files that were written since the program started and are not in a
	// volume or mount. A folder, which ends in a slash, means that files in it were created and removed again.
	Written      []string `json:"written,omitempty"`
	WrittenCount int      `json:"writtenCount,omitempty"`
}

// mostWritten is the largest number of paths in Report.Written.
const mostWritten = 100
