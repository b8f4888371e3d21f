package daemon_test

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	controlapi "github.com/moby/buildkit/api/services/control"
	"github.com/moby/buildkit/client"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/lab"
)

// TestPredictListMisses: a list of what the builder holds may miss what is let go while it is
// made (BuildKit: cache.cacheManager.DiskUsage, equalMutable). One such list does not make a
// result gone, but a prune does.
func TestPredictListMisses(t *testing.T) {
	b, between := newListed(t)
	var missed atomic.Int32
	miss := func(resp *controlapi.DiskUsageResponse) {
		if missed.Load() == 0 {
			n := len(resp.Record)
			resp.Record = slices.DeleteFunc(resp.Record, func(r *controlapi.UsageRecord) bool { return strings.Contains(r.Description, b.nonce) })
			missed.Add(int32(n - len(resp.Record)))
		}
	}
	between.change.Store(&miss)
	b.build()
	for _, when := range []string{"after two lists that each missed it once", "after it was listed, and then missed"} {
		if missed.Swap(0) != 1 {
			t.Errorf("%s: no list missed the result", when)
		}
		b.predicts(b.other.dir, when, "hit")
	}
	if err := b.other.builder.Prune(t.Context(), nil, client.PruneAll); err != nil {
		t.Fatal(err)
	}
	b.predicts(b.other.dir, "after a prune", "miss")
}

// TestPredictListIsOld: a build is entered while the builder is asked what it holds, whose answer
// may be from before that. It is asked again.
func TestPredictListIsOld(t *testing.T) {
	b, between := newListed(t)
	b.build()
	learned, predicted := make(chan struct{}), make(chan struct{})
	var lists atomic.Int32
	hold := func(*controlapi.DiskUsageResponse) {
		switch lists.Add(1) {
		case 1: // for the prediction
			if _, err := b.other.try(client.SolveOpt{}); err != nil {
				t.Error(err)
				return
			}
			<-learned
		case 2: // after the build
			close(learned)
			<-predicted
		}
	}
	between.change.Store(&hold)
	steps := b.ask(api.Query{Dir: b.other.dir})
	close(predicted)
	if got := outlook(steps); got != "hit" {
		t.Errorf("after a list from before the last build, the prediction is %q, want hit", got)
	}
	if lists.Load() < 3 {
		t.Errorf("the builder listed what it holds %d times, want 3", lists.Load())
	}
}

// A listed is a folder that another client builds on a builder, whose Dockerfile has one RUN
// with a nonce.
type listed struct {
	*running
	other walk // of the client
	nonce string
}

// newListed returns one that is watched, and what lies between the daemon and the builder.
func newListed(t *testing.T) (*listed, *between) {
	t.Helper()
	own := lab.Own(t)
	between := newBetween(t, own.Address())
	b := &listed{running: startOn(t, between.address), nonce: strings.ToLower(rand.Text())}
	b.other = walk{t: t, dir: lab.Dir(t), builder: dial(t, own.Address())}
	b.other.write("Dockerfile", "FROM node:20\nRUN echo "+b.nonce+" > /made\n")
	b.other.write("stoker.yaml", "prewarm: {level: off}\n")
	if _, err := b.Up(t.Context(), api.UpRequest{Dir: b.other.dir}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Allow(t.Context(), api.AllowRequest{Dir: b.other.dir, Pulls: true}); err != nil {
		t.Fatal(err)
	}
	return b, between
}

// build builds the folder, and returns when the daemon has recorded that.
func (b *listed) build() {
	b.t.Helper()
	b.other.build()
	b.recorded(b.other.dir, &b.other)
}

// A between passes all calls on to a builder, and what that lists through change, unless it is nil.
type between struct {
	address string
	change  atomic.Pointer[func(*controlapi.DiskUsageResponse)]
}

func newBetween(t *testing.T, builder string) *between {
	t.Helper()
	conn, err := grpc.NewClient(builder, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.ForceCodecV2(raw{})))
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	b := &between{address: "unix://" + socket}
	server := grpc.NewServer(grpc.ForceServerCodecV2(raw{}), grpc.UnknownServiceHandler(func(_ any, from grpc.ServerStream) error {
		method, _ := grpc.MethodFromServerStream(from)
		return b.pass(conn, method, from)
	}))
	var served sync.WaitGroup
	served.Go(func() { _ = server.Serve(l) })
	t.Cleanup(func() {
		server.Stop()
		served.Wait()
		_ = conn.Close()
	})
	return b
}

// pass passes one call on.
func (b *between) pass(conn *grpc.ClientConn, method string, from grpc.ServerStream) error {
	headers, _ := metadata.FromIncomingContext(from.Context())
	ctx, cancel := context.WithCancel(metadata.NewOutgoingContext(from.Context(), headers))
	defer cancel()
	to, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, method)
	if err != nil {
		return err
	}
	var asked sync.WaitGroup
	defer asked.Wait()
	defer cancel()
	asked.Go(func() {
		for {
			var m []byte
			if err := from.RecvMsg(&m); err != nil {
				_ = to.CloseSend()
				return
			}
			if to.SendMsg(m) != nil {
				return
			}
		}
	})
	for {
		var m []byte
		if err := to.RecvMsg(&m); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if change := b.change.Load(); change != nil && method == "/moby.buildkit.v1.Control/DiskUsage" {
			var resp controlapi.DiskUsageResponse
			if err := proto.Unmarshal(m, &resp); err != nil {
				return err
			}
			(*change)(&resp)
			if m, err = proto.Marshal(&resp); err != nil {
				return err
			}
		}
		if err := from.SendMsg(m); err != nil {
			return err
		}
	}
}

// raw is a codec for messages that are bytes already.
type raw struct{}

var _ encoding.CodecV2 = raw{}

func (raw) Name() string { return "proto" }

func (raw) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(v.([]byte))}, nil
}

func (raw) Unmarshal(data mem.BufferSlice, v any) error {
	*v.(*[]byte) = data.Materialize()
	return nil
}
