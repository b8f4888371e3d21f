package content_test

import (
	"context"
	"errors"
	"io"
	"path"
	"testing"

	"github.com/moby/buildkit/cache"
	"github.com/moby/buildkit/cache/contenthash"
	"github.com/moby/buildkit/session"
	snapshotter "github.com/moby/buildkit/snapshot"
	"github.com/tonistiigi/fsutil"
	"github.com/tonistiigi/fsutil/types"
	"golang.org/x/sync/errgroup"

	"github.com/stokerd/stoker/context/content"
	"github.com/stokerd/stoker/context/dockerfile"
)

// A snapshot is what a builder keeps of a local source from build to build: the
// files, and BuildKit's own record of their digests.
type snapshot struct {
	dir string
	id  string
	contenthash.CacheContext
}

// metadata is as much of a snapshot's as a checksum needs.
type metadata struct {
	cache.RefMetadata
	id string
}

func (m metadata) ID() string                       { return m.id }
func (metadata) GetExternal(string) ([]byte, error) { return nil, errors.New("nothing kept") }
func (metadata) SetExternal(string, []byte) error   { return nil }

// newSnapshot returns an empty one. The id is of one that is no longer needed,
// or of none.
func newSnapshot(t testing.TB, id, dir string) *snapshot {
	t.Helper()
	contenthash.ClearCacheContext(metadata{id: id})
	s := &snapshot{id: id, dir: dir}
	s.open(t)
	return s
}

// open gets at the record as the source does before a transfer.
func (s *snapshot) open(t testing.TB) {
	t.Helper()
	cc, err := contenthash.GetCacheContext(context.Background(), metadata{id: s.id})
	if err != nil {
		t.Fatal(err)
	}
	s.CacheContext = cc
}

// receive brings the snapshot to what is below root, through fsutil's own
// protocol, filters and receiver, as a build does (BuildKit: source/local,
// session/filesync).
func (s *snapshot) receive(t testing.TB, root string, followPaths, excludes []string) {
	t.Helper()
	s.open(t)
	files, err := fsutil.NewFS(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, opt := range []fsutil.FilterOpt{
		{Map: func(_ string, st *types.Stat) fsutil.MapResult {
			st.Uid, st.Gid = 0, 0
			return fsutil.MapResultKeep
		}},
		{FollowPaths: followPaths, ExcludePatterns: excludes},
	} {
		if files, err = fsutil.NewFilterFS(files, &opt); err != nil {
			t.Fatal(err)
		}
	}
	group, ctx := errgroup.WithContext(t.Context())
	up, down := make(chan []byte, 32), make(chan []byte, 32)
	group.Go(func() error {
		defer close(down)
		return fsutil.Send(ctx, &stream{ctx, up, down}, files, nil)
	})
	group.Go(func() error {
		defer close(up)
		return fsutil.Receive(ctx, &stream{ctx, down, up}, s.dir, fsutil.ReceiveOpt{
			NotifyHashed: s.HandleChange, ContentHasher: contenthash.NewFromStat,
		})
	})
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
}

// settle ends the transfer as a build does whose steps look for nothing that is
// there: the record takes in what came when it is first asked.
func (s *snapshot) settle() {
	_, _ = s.Checksum(context.Background(), nowhere{}, "/", contenthash.ChecksumOpts{}, nil)
}

// nowhere is a snapshot that cannot be mounted.
type nowhere struct{}

func (nowhere) Mount(context.Context, bool, session.Group) (snapshotter.Mountable, error) {
	return nil, errors.New("not here")
}

// A stream is one end of a connection.
type stream struct {
	ctx context.Context
	in  <-chan []byte
	out chan<- []byte
}

func (s *stream) Context() context.Context { return s.ctx }

func (s *stream) SendMsg(m any) error {
	data, err := m.(*types.Packet).MarshalVT()
	if err != nil {
		return err
	}
	select {
	case s.out <- data:
		return nil
	case <-s.ctx.Done():
		return s.ctx.Err()
	}
}

func (s *stream) RecvMsg(m any) error {
	select {
	case data, ok := <-s.in:
		if !ok {
			return io.EOF
		}
		return m.(*types.Packet).UnmarshalVT(data)
	case <-s.ctx.Done():
		return s.ctx.Err()
	}
}

// compare holds ours against BuildKit's for one selector.
func (s *snapshot) compare(t testing.TB, m *content.Manifest, sel dockerfile.Selector) bool {
	t.Helper()
	// As opsutils.NewContentHashFunc asks.
	want, wantErr := s.Checksum(context.Background(), nil, path.Join("/", sel.Path), contenthash.ChecksumOpts{
		FollowLinks: sel.FollowLinks, Wildcard: sel.Wildcard,
		IncludePatterns: sel.Include, ExcludePatterns: sel.Exclude, RequiredPaths: sel.Required,
	}, nil)
	got, err := m.Checksum(sel)
	if (err == nil) != (wantErr == nil) || err == nil && got.String() != want.String() {
		t.Errorf("%+v:\n ours %v, %v\n want %v, %v", sel, got, err, want, wantErr)
		return false
	}
	return true
}
