package scaffold_test

import (
	"strings"
	"testing"

	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/lab"
)

func TestMain(m *testing.M) { lab.Main(m) }

// answers are what the apps say at /, where that is more than that they answer.
var answers = map[string]string{
	"clock": "T", "api": "", "dashboard": "dashboard", "links": "links", "notes": "notes", "gateway": "gateway", "counter": `"n":`,
	"hello": "hello", "wiki": "wiki", "depot": "depot", "billing": "bill ", "ledger": "3.", "orders": "[]", "site": "site",
}

// TestRealImages builds the samples whose packages come from registries in reach, from
// real packages on real images, and runs them: each answers, its own health check
// holds, none of its processes is root's, and SIGTERM ends it.
func TestRealImages(t *testing.T) {
	l := lab.For(t)
	if !l.Real() {
		t.Skip("this lab has stand-ins only: run the tests through `labctl run --real -- go test`")
	}
	for _, name := range samples(t) {
		if strings.HasPrefix(name, "python-") {
			continue // no package index is in reach: see TestStandIns
		}
		t.Run(name, func(t *testing.T) {
			s, dir := newShell(t), repository(t, name)
			var made api.Init
			s.stoker(dir, &made, "init", "--all")
			for _, app := range made.Apps {
				t.Run(app.Name, func(t *testing.T) { runs(t, l, dir, app) })
			}
		})
	}
}

// runs builds an app and holds what is promised of its image.
func runs(t *testing.T, l *lab.Lab, dir string, app api.InitApp) {
	img, log := build(t, l, dir, app.Files[0].Path)
	if strings.Contains(log, "WARN:") {
		t.Errorf("BuildKit's checks:\n%s", log)
	}
	c := start(t, img)
	c.until("it runs", func() bool { return c.pid() != 0 })
	if app.Port != 0 {
		c.until("it answers", func() bool {
			got, err := c.get(app.Port, "/")
			return err == nil && strings.Contains(got, answers[app.Name])
		})
	}
	if c.config.Healthcheck != nil {
		c.until("it is healthy", func() bool { return c.healthy() == nil })
	}
	if users := c.users(); users["0"] || len(users) == 0 {
		t.Errorf("its processes run as %v", users)
	}
	took := c.stop()
	t.Logf("%d MB, stopped in %v", size(t, img)/1e6, took.Round(1e7))
}

// TestStandIns builds what no registry in reach has packages for on the lab's
// stand-ins: every stage is there, every file that is copied, and every command fits
// what the real tools take.
func TestStandIns(t *testing.T) {
	l := lab.For(t)
	if l.Real() {
		t.Skip("this lab has real images, and no package index of Python's is in reach")
	}
	for _, name := range samples(t) {
		if !strings.HasPrefix(name, "python-") {
			continue
		}
		t.Run(name, func(t *testing.T) {
			s, dir := newShell(t), repository(t, name)
			var made api.Init
			s.stoker(dir, &made, "init", "--all")
			for _, app := range made.Apps {
				img, _ := build(t, l, dir, app.Files[0].Path)
				file, err := img.ConfigFile()
				if err != nil {
					t.Fatal(err)
				}
				if file.Config.User != "10001:10001" || len(file.Config.Entrypoint) == 0 || file.Config.Labels["org.opencontainers.image.title"] != app.Name {
					t.Errorf("%s: the configuration of the image is %+v", app.Name, file.Config)
				}
			}
		})
	}
}
