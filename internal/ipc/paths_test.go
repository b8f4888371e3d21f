package ipc_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stokerd/stoker/internal/ipc"
)

func TestLocate(t *testing.T) {
	own, long := t.TempDir(), filepath.Join(t.TempDir(), strings.Repeat("d", 100))
	if err := os.Mkdir(long, 0o700); err != nil {
		t.Fatal(err)
	}
	fallback := func(dir string) string {
		return filepath.Join(dir, "stoker-"+strconv.Itoa(os.Getuid()), "stoker.sock")
	}
	for name, c := range map[string]struct {
		env           map[string]string
		socket, state string
	}{
		"xdg":             {map[string]string{"XDG_RUNTIME_DIR": own, "XDG_STATE_HOME": "/s", "HOME": "/h"}, own + "/stoker/stoker.sock", "/s/stoker"},
		"home":            {map[string]string{"XDG_RUNTIME_DIR": own, "HOME": "/h"}, own + "/stoker/stoker.sock", "/h/.local/state/stoker"},
		"relative":        {map[string]string{"XDG_RUNTIME_DIR": "run", "XDG_STATE_HOME": "s", "HOME": "/h"}, fallback("/tmp"), "/h/.local/state/stoker"},
		"no such folder":  {map[string]string{"XDG_RUNTIME_DIR": own + "/none", "HOME": "/h"}, fallback("/tmp"), "/h/.local/state/stoker"},
		"temporary files": {map[string]string{"TMPDIR": "/var/tmp", "HOME": "/h"}, fallback("/var/tmp"), "/h/.local/state/stoker"},
		"too long":        {map[string]string{"XDG_RUNTIME_DIR": long, "TMPDIR": long, "HOME": "/h"}, fallback("/tmp"), "/h/.local/state/stoker"},
		"no home":         {map[string]string{"HOME": ""}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := ipc.Locate(func(k string) string { return c.env[k] })
			if c.state == "" {
				if err == nil || !strings.Contains(err.Error(), "HOME") {
					t.Errorf("error %v, want one that names HOME", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if p.Socket != c.socket || p.State != c.state {
				t.Errorf("socket %s, state %s; want %s, %s", p.Socket, p.State, c.socket, c.state)
			}
			if filepath.Dir(p.Store) != p.State || filepath.Dir(p.Lock) != p.State || filepath.Dir(p.Socket) != p.Runtime {
				t.Errorf("a file is outside its folder: %+v", p)
			}
		})
	}
}
