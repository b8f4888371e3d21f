package dockerfile

import (
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
)

// Options are what a build is told of the surroundings of its RUN steps. They are
// part of what a step does, and so of its key. The zero value is what a builder does
// by itself.
type Options struct {
	Network string            // "host" or "none"
	Hosts   map[string]string // addresses by name, several separated by commas, as --add-host has them
	ShmSize int64             // of /dev/shm, in bytes
	Ulimits []string          // NAME=SOFT:HARD, sorted
}

// hostGateway stands for the address by which a container reaches its host. The client
// puts it in, where the builder tells it.
const hostGateway = "host-gateway"

// Equal reports whether o and other say the same.
func (o Options) Equal(other Options) bool {
	return o.Network == other.Network && o.ShmSize == other.ShmSize && maps.Equal(o.Hosts, other.Hosts) && slices.Equal(o.Ulimits, other.Ulimits)
}

// Unresolved reports whether an address of Hosts is the builder's to tell.
func (o Options) Unresolved() bool {
	for _, addresses := range o.Hosts {
		if slices.Contains(strings.Split(addresses, ","), hostGateway) {
			return true
		}
	}
	return false
}

// Attrs returns the options as the frontend takes them (BuildKit: dockerui.Config;
// buildx: build.toSolveOpt). What a client would refuse is left out.
func (o Options) Attrs() map[string]string {
	attrs := map[string]string{}
	if o.Network == "host" || o.Network == "none" {
		attrs["force-network-mode"] = o.Network
	}
	var hosts []string
	for _, name := range slices.Sorted(maps.Keys(o.Hosts)) {
		for address := range strings.SplitSeq(o.Hosts[name], ",") {
			if n := len(address); n > 2 && address[0] == '[' && address[n-1] == ']' {
				address = address[1 : n-1]
			}
			if net.ParseIP(address) != nil {
				hosts = append(hosts, name+"="+address)
			}
		}
	}
	if len(hosts) > 0 {
		attrs["add-hosts"] = strings.Join(hosts, ",")
	}
	if o.ShmSize > 0 {
		attrs["shm-size"] = strconv.FormatInt(o.ShmSize, 10)
	}
	if len(o.Ulimits) > 0 {
		attrs["ulimit"] = strings.Join(o.Ulimits, ",")
	}
	return attrs
}
