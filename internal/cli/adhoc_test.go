package cli

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/spf13/cobra"

	"github.com/stokerd/stoker/internal/api"
)

// TestStepFlags: what RUN steps find around them is spelt as for docker build.
func TestStepFlags(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		flags []string
		want  api.AdHoc
		fails string
	}{
		{flags: []string{"--network", "default"}},
		{flags: []string{"--network", "host"}, want: api.AdHoc{Network: "host"}},
		{flags: []string{"--network", "app_net"}, fails: `--network: BuildKit has no network "app_net"`},
		{
			flags: []string{"--add-host", "db:10.0.0.5", "--add-host", "db=[fd00::5]", "--add-host", "app=10.0.0.4"},
			want:  api.AdHoc{Hosts: map[string]string{"db": "10.0.0.5,[fd00::5]", "app": "10.0.0.4"}},
		},
		{flags: []string{"--add-host", "db"}, fails: "--add-host db is not NAME:ADDRESS"},
		{flags: []string{"--shm-size", "64m"}, want: api.AdHoc{ShmSize: 64 << 20}},
		{flags: []string{"--shm-size", "big"}, fails: `--shm-size: "big" is no size`},
		{
			flags: []string{"--ulimit", "nproc=5", "--ulimit", "core=0:1", "--ulimit", "nproc=7:8"},
			want:  api.AdHoc{Ulimits: []string{"core=0:1", "nproc=7:8"}},
		},
		{flags: []string{"--ulimit", "files"}, fails: "--ulimit files: invalid ulimit argument: files"},
		{flags: []string{"--no-cache"}, want: api.AdHoc{NoCache: true}},
		{flags: []string{"--no-cache-filter", "a,b"}, want: api.AdHoc{NoCacheStages: []string{"a", "b"}}},
		{
			flags: []string{"--cache-from", "type=s3,region=x,secret_access_key=y", "--cache-from", "app:cache,app:old"},
			want:  api.AdHoc{Imports: []api.Import{{Type: "s3"}, {Type: "registry", Ref: "app:cache"}, {Type: "registry", Ref: "app:old"}}},
		},
		{flags: []string{"--cache-from", "type=registry,ref=app:cache,registry.insecure=true"}, want: api.AdHoc{Imports: []api.Import{{Type: "registry"}}}},
		{flags: []string{"--cache-from", "ref=app"}, fails: "--cache-from ref=app: the cache has no type"},
	} {
		a, cmd := &adHoc{}, &cobra.Command{}
		a.register(cmd)
		a.registerSteps(cmd)
		a.registerCache(cmd)
		if err := cmd.ParseFlags(c.flags); err != nil {
			t.Fatal(err)
		}
		q, err := a.query(&options{Process: Process{Dir: dir}}, nil)
		if c.fails != "" {
			if err == nil || err.Error() != c.fails {
				t.Errorf("%v: %v, want %s", c.flags, err, c.fails)
			}
			continue
		}
		if err != nil {
			t.Errorf("%v: %v", c.flags, err)
			continue
		}
		c.want.Context, c.want.Dockerfile = dir, dir+"/Dockerfile"
		if diff := cmp.Diff(&c.want, q.AdHoc, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%v (-want +got):\n%s", c.flags, diff)
		}
	}
}
