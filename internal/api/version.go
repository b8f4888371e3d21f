package api

// VersionSchema names the shape of [Program].
const VersionSchema = "stoker.version/v1"

// Program answers `stoker version`: the version of the command, and of the daemon.
type Program struct {
	Schema   string         `json:"schema"`
	Version  string         `json:"version"` // "v1.2.3", or "devel"
	Revision string         `json:"revision,omitempty"`
	Modified bool           `json:"modified"`       // built from a tree with uncommitted changes
	Time     string         `json:"time,omitempty"` // of the commit
	Go       string         `json:"go"`
	Platform string         `json:"platform"`
	Level    int            `json:"level"`            // of the daemon's socket
	Daemon   *ProgramDaemon `json:"daemon,omitempty"` // absent if no daemon answers
}

// ProgramDaemon is the version of the daemon that runs.
type ProgramDaemon struct {
	Version string `json:"version"`
	PID     int    `json:"pid"`
}
