package cli

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stokerd/stoker/internal/api"
)

// TestCaches: caches elsewhere are spelt as for buildx, with what that takes from the
// environment.
func TestCaches(t *testing.T) {
	dir := t.TempDir()
	github := []string{"ACTIONS_RUNTIME_TOKEN=t", "ACTIONS_RESULTS_URL=https://results", "ACTIONS_CACHE_SERVICE_V2=true"}
	for _, tt := range []struct {
		flag, text string
		env        []string
		want       []api.Cache
		fails      string
	}{
		{flag: "--cache-from", text: "app:cache,app:old", want: []api.Cache{{Type: "registry", Attrs: map[string]string{"ref": "app:cache"}}, {Type: "registry", Attrs: map[string]string{"ref": "app:old"}}}},
		{flag: "--cache-to", text: "type=registry,ref=app:cache,mode=max", want: []api.Cache{{Type: "registry", Attrs: map[string]string{"ref": "app:cache", "mode": "max"}}}},
		{flag: "--cache-to", text: "type=local,dest=../cache", want: []api.Cache{{Type: "local", Attrs: map[string]string{"dest": filepath.Join(dir, "..", "cache")}}}},
		{flag: "--cache-to", text: "type=gha,mode=max"}, // there is no GitHub
		{flag: "--cache-to", text: "type=gha", env: github, want: []api.Cache{{Type: "gha", Attrs: map[string]string{
			"token": "t", "url": "https://results", "url_v2": "https://results",
		}}}},
		{flag: "--cache-from", text: "type=gha,token=own,version=1,url=https://own", env: github[:2], want: []api.Cache{{Type: "gha", Attrs: map[string]string{
			"token": "own", "version": "1", "url": "https://own",
		}}}},
		{flag: "--cache-from", text: "type=s3,region=x,bucket=y", env: []string{"AWS_ACCESS_KEY_ID=k", "AWS_SECRET_ACCESS_KEY=s"}, want: []api.Cache{{Type: "s3", Attrs: map[string]string{
			"region": "x", "bucket": "y", "access_key_id": "k", "secret_access_key": "s",
		}}}},
		{flag: "--cache-to", text: "type=inline", fails: "--cache-to: an inline cache is part of an image, and warming makes none"},
		{flag: "--cache-to", text: "type=registry,mode=max", fails: "--cache-to: a cache in a registry needs a ref"},
		{flag: "--cache-from", text: "type=local,dest=x", fails: "--cache-from: a local cache needs a src"},
		{flag: "--cache-from", text: "type=local,src=x", fails: "--cache-from: there is no cache in " + filepath.Join(dir, "x")},
		{flag: "--cache-to", text: "mode=max", fails: "--cache-to: the cache has no type"},
	} {
		o := &options{Process: Process{Dir: dir, Environ: tt.env}, err: printer{w: t.Output()}}
		got, err := o.caches(tt.flag, map[string]string{"--cache-from": "src", "--cache-to": "dest"}[tt.flag], []string{tt.text})
		switch {
		case tt.fails != "":
			if err == nil || err.Error() != tt.fails {
				t.Errorf("%s %s: %v, want %s", tt.flag, tt.text, err, tt.fails)
			}
		case err != nil:
			t.Errorf("%s %s: %v", tt.flag, tt.text, err)
		default:
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("%s %s (-want +got):\n%s", tt.flag, tt.text, diff)
			}
		}
	}
}
