package dockerfile

import (
	"slices"

	"github.com/containerd/platforms"
	"github.com/moby/buildkit/solver/pb"
	"github.com/moby/buildkit/util/apicaps"
	apicapspb "github.com/moby/buildkit/util/apicaps/pb"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// A Worker has the properties of a builder on which conversion depends, and with it the
// keys of operations. The zero Worker is a builder of this machine's platform, and of
// the BuildKit version that is linked in.
type Worker struct {
	// Platform is its default platform, such as "linux/arm64"; "" for that of this
	// machine.
	Platform string
	// Caps are the ids of its LLB capabilities; nil for all that are known here.
	Caps []string
}

// NewWorker returns the worker with a default platform and the given LLB capabilities;
// nil stands for all. Fields that would make no difference are left zero.
func NewWorker(platform string, caps []string) Worker {
	w := Worker{Platform: platform}
	if p, err := platforms.Parse(platform); err != nil || platforms.Format(platforms.Normalize(p)) == platforms.Format(platforms.Normalize(defaultPlatform())) {
		w.Platform = ""
	}
	if caps != nil && slices.ContainsFunc(pb.Caps.All(), func(c *apicapspb.APICap) bool { return !slices.Contains(caps, c.ID) }) {
		w.Caps = caps
	}
	return w
}

// Equal reports whether conversions for both give the same result.
func (w Worker) Equal(other Worker) bool {
	return w.Platform == other.Platform && (w.Caps == nil) == (other.Caps == nil) && slices.Equal(w.Caps, other.Caps)
}

// caps returns the capabilities as the frontend asks for them.
func (w Worker) caps() apicaps.CapSet {
	all := pb.Caps.All()
	if w.Caps != nil {
		all = slices.DeleteFunc(all, func(c *apicapspb.APICap) bool { return !slices.Contains(w.Caps, c.ID) })
	}
	return pb.Caps.CapSet(all)
}

// defaultPlatform returns the default platform of a builder on this machine. Its system
// is Linux on all but Windows: on macOS a builder runs in a virtual machine.
func defaultPlatform() ocispecs.Platform {
	p := platforms.DefaultSpec()
	if p.OS != "windows" {
		p.OS = "linux"
	}
	return p
}
