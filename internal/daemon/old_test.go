package daemon_test

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"sync"
	"testing"

	controlapi "github.com/moby/buildkit/api/services/control"
	workertypes "github.com/moby/buildkit/api/types"
	"google.golang.org/grpc"

	"github.com/stokerd/stoker/internal/api"
)

// An oldBuilder answers as BuildKit v0.8 does, which is in Docker Engine 20.10: it keeps no
// history, and does not name the step of a result.
type oldBuilder struct {
	controlapi.UnimplementedControlServer
}

func (oldBuilder) ListWorkers(context.Context, *controlapi.ListWorkersRequest) (*controlapi.ListWorkersResponse, error) {
	return &controlapi.ListWorkersResponse{Record: []*workertypes.WorkerRecord{{ID: "old"}}}, nil
}

func (oldBuilder) DiskUsage(context.Context, *controlapi.DiskUsageRequest) (*controlapi.DiskUsageResponse, error) {
	return &controlapi.DiskUsageResponse{Record: []*controlapi.UsageRecord{{ID: "a", RecordType: "regular", Description: "fileop target"}}}, nil
}

// TestOldBuilder: of a builder without a history nobody knows what it has. The status says so,
// and no outcome is predicted.
func TestOldBuilder(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	controlapi.RegisterControlServer(server, oldBuilder{})
	var served sync.WaitGroup
	served.Go(func() { _ = server.Serve(l) })
	t.Cleanup(func() { server.Stop(); served.Wait() })

	root := repository(t, shop)
	r := start(t, t.TempDir(), map[string]string{"BUILDKIT_HOST": "unix://" + socket})
	r.up(root, false)
	r.connected()
	s, err := r.Status(t.Context())
	const note = "this BuildKit keeps no build history: builds are seen from BuildKit v0.11 and Docker Engine 23 on"
	if err != nil || s.Builder.Note != note {
		t.Errorf("the builder is %+v (%v), want the note %q", s.Builder, err, note)
	}
	p, err := r.Predict(t.Context(), api.PredictRequest{Query: api.Query{Dir: root}})
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range p.Definitions[0].Steps {
		if step.Outcome != "unknown" || step.Cause == nil || step.Cause.Kind != "unobserved" {
			t.Errorf("predicted %+v, want unknown because builds are not observed", step)
		}
	}
	var told *api.Error
	if _, err := r.Why(t.Context(), api.WhyRequest{Dir: root}); !errors.As(err, &told) || told.Hint != note {
		t.Errorf("why fails with %v, %+v, want the hint %q", err, told, note)
	}
}
