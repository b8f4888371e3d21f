package verify_test

import (
	"archive/tar"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/stokerd/stoker/cache/buildkit"
	buildctx "github.com/stokerd/stoker/context"
	"github.com/stokerd/stoker/internal/lab"
	"github.com/stokerd/stoker/internal/verify"
)

func TestMain(m *testing.M) { lab.Main(m) }

// connect returns the lab's builder.
func connect(t *testing.T) *buildkit.Builder {
	t.Helper()
	env := buildkit.Env{Getenv: func(string) string { return "" }, Home: t.TempDir(), OS: "linux", UID: -1}
	b, err := buildkit.Connect(t.Context(), env, lab.For(t).Address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// project writes a Dockerfile and what it copies, into a context that no other
// test has met.
func project(t *testing.T, dockerfile string) buildctx.Definition {
	t.Helper()
	dir := lab.Dir(t)
	for name, text := range map[string]string{"Dockerfile": dockerfile, "a": rand.Text(), "dir/b": rand.Text(), "dir/sub/c": ""} {
		put(t, filepath.Join(dir, name), text)
	}
	return buildctx.Definition{Name: "app", Context: dir, Dockerfile: filepath.Join(dir, "Dockerfile")}
}

func put(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// check verifies that a Dockerfile may become another one.
func check(t *testing.T, def buildctx.Definition, to string) verify.Result {
	t.Helper()
	b := connect(t)
	o, err := verify.Open(t.Context(), b, def, verify.Options{})
	if err != nil {
		t.Fatal(err)
	}
	from, err := os.ReadFile(def.Dockerfile)
	if err != nil {
		t.Fatal(err)
	}
	r, err := o.Check(t.Context(), []verify.Change{{Path: def.Dockerfile, Old: from, New: []byte(to)}})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// told writes differences as one line each.
func told(list []verify.Difference) string {
	var lines []string
	for _, d := range list {
		lines = append(lines, strings.TrimSpace(strings.Join([]string{d.Platform, d.Path, string(d.Aspect), d.Detail}, " ")))
	}
	return strings.Join(lines, "\n")
}

// traps are changes of an image that are easily overlooked. Each has paths of its
// own, so that one pair of builds shows them all.
var traps = []struct{ name, before, after, want string }{
	{"mode of a copy", "COPY a /copied\nRUN chmod 700 /copied", "COPY --chmod=701 a /copied", "copied mode 0700 → 0701"},
	{"setuid", "COPY a /su\nRUN chmod 4755 /su", "COPY a /su\nRUN chmod 755 /su", "su mode 4755 → 0755"},
	{"mode of a folder", "RUN mkdir -m 700 /mode", "RUN mkdir /mode", "mode mode 0700 → 0755"},
	{"owner", "COPY --chown=7:8 a /owned", "COPY --chown=7:9 a /owned", "owned owner 7:8 → 7:9"},
	{
		"owner below a folder", "COPY dir /deep\nRUN chown -R 7:7 /deep", "COPY dir /deep\nRUN chown 7:7 /deep",
		"deep/b owner 7:7 → 0:0\ndeep/sub owner 7:7 → 0:0\ndeep/sub/c owner 7:7 → 0:0",
	},
	{
		"a capability that chown drops", "", "RUN chown 0:0 /ping", // see capable
		"ping xattr security.capability",
	},
	{
		"a hard link becomes a copy", "RUN echo 1 > /h1 && ln /h1 /h2", "RUN echo 1 > /h1 && cp /h1 /h2",
		"h1 hard-link h2 → none\nh2 hard-link h1 → none",
	},
	{"a link leads elsewhere", "RUN ln -s /bin /l1", "RUN ln -s bin /l1", "l1 link-target /bin → bin"},
	{"a link becomes a file", "COPY a /f\nRUN ln -s /f /l2", "COPY a /f\nRUN cp /f /l2", "l2 type symlink → file"},
	{"a file is deleted", "COPY a /gone\nRUN rm /gone", "COPY a /gone\nRUN true", "gone added file"},
	{
		"a folder is made anew", "COPY dir /anew\nRUN rm -r /anew && mkdir /anew && touch /anew/n", "COPY dir /anew\nRUN touch /anew/n",
		"anew/b added file\nanew/sub added directory\nanew/sub/c added file",
	},
	{"an empty folder", "RUN mkdir -p /e/e", "RUN mkdir -p /e", "e/e removed directory"},
	{"content of equal size", "RUN echo 1 > /same", "RUN echo 2 > /same", "same content 2 bytes, others"},
	{"a fifo", "RUN mkfifo /p", "RUN touch /p", "p type fifo → file"},
}

// capable makes a base image in which ping has a capability, and returns its name.
func capable(t *testing.T) string {
	t.Helper()
	base, err := lab.StandIn("busybox:latest")
	if err != nil {
		t.Fatal(err)
	}
	// VFS_CAP_REVISION_2 with cap_net_raw permitted (linux/capability.h).
	value := string([]byte{1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	ping := member{Header: tar.Header{
		Typeflag: tar.TypeReg, Name: "ping", Mode: 0o755, Format: tar.FormatPAX,
		PAXRecords: map[string]string{"SCHILY.xattr.security.capability": value},
	}}
	layer := static.NewLayer(pack(t, []member{ping}), types.OCIUncompressedLayer)
	image, err := mutate.AppendLayers(base, layer)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lab.For(t).Push(t.Context(), "verify/capable:1", image); err != nil {
		t.Fatal(err)
	}
	return "verify/capable:1"
}

func TestFindsWhatDiffersInFiles(t *testing.T) {
	before := "FROM " + capable(t) + "\n"
	after := before
	var want []string
	for _, trap := range traps {
		before, after = before+trap.before+"\n", after+trap.after+"\n"
		want = append(want, strings.Split(trap.want, "\n")...)
	}
	slices.Sort(want)
	r := check(t, project(t, before), after)
	if diff := cmp.Diff(strings.Join(want, "\n"), told(r.Differences)); diff != "" || r.Equal() {
		t.Errorf("equal: %v; differences (-want +got):\n%s", r.Equal(), diff)
	}
	if len(r.Uncovered) > 0 {
		t.Errorf("not covered: %s", told(r.Uncovered))
	}
}

func TestFindsWhatDiffersInConfiguration(t *testing.T) {
	for _, c := range []struct{ name, before, after, want string }{
		{"a variable", "ENV A=1 B=2", "ENV A=1 B=3", "config Env B"},
		{"variables in another order", "ENV A=1\nENV B=2", "ENV B=2\nENV A=1", "config Env, in its order"},
		{"a variable that is empty", "ENV A=", "", "config Env A"},
		{"the user", "USER 7", "USER 7:7", "config User"},
		{"the folder", "WORKDIR /dir", "RUN mkdir /dir", "config WorkingDir"},
		{"how it starts", "ENTRYPOINT [\"a\"]\nCMD [\"b\"]", "ENTRYPOINT a\nCMD [\"b\"]", "config Entrypoint"},
		{"a command that an entry point resets", "CMD [\"b\"]\nENTRYPOINT [\"a\"]", "ENTRYPOINT [\"a\"]\nCMD b", "config Cmd"},
		{"a health check", "HEALTHCHECK CMD true", "HEALTHCHECK --retries=9 CMD true", "config Healthcheck Retries"},
		{"no health check", "HEALTHCHECK NONE", "", "config Healthcheck Test"},
		{
			"a label, a port, a volume", "LABEL a=1\nEXPOSE 1\nVOLUME /v", "LABEL a=2\nEXPOSE 1/udp",
			"config ExposedPorts 1/tcp\nconfig ExposedPorts 1/udp\nconfig Labels a\nconfig Volumes /v",
		},
		{"a signal, a shell", "STOPSIGNAL 9", "SHELL [\"/bin/sh\"]", "config Shell\nconfig StopSignal"},
		{"a trigger", "ONBUILD RUN true", "", "config OnBuild"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := check(t, project(t, "FROM busybox\nRUN true\n"+c.before), "FROM busybox\nRUN true\n"+c.after)
			if got := told(r.Differences); got != c.want || r.Equal() {
				t.Errorf("equal: %v; differences:\n%s\nwant:\n%s", r.Equal(), got, c.want)
			}
		})
	}
}

// A base image for another machine makes an image for another machine.
func TestFindsAnotherPlatform(t *testing.T) {
	base, err := lab.StandIn("busybox:latest")
	if err != nil {
		t.Fatal(err)
	}
	config, err := base.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	foreign := config.DeepCopy()
	foreign.Architecture = "riscv64"
	other, err := mutate.ConfigFile(base, foreign)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lab.For(t).Push(t.Context(), "verify/foreign:1", other); err != nil {
		t.Fatal(err)
	}
	r := check(t, project(t, "FROM busybox\nCOPY a /"), "FROM verify/foreign:1\nCOPY a /")
	if got := told(r.Differences); got != "platform linux/amd64 → linux/riscv64" {
		t.Errorf("differences: %s", got)
	}
}

func TestComparesEachPlatform(t *testing.T) {
	def := project(t, "FROM scratch\nARG TARGETARCH\nCOPY a /x-$TARGETARCH")
	def.Platforms = []string{"linux/amd64", "linux/arm64"}
	r := check(t, def, "FROM scratch\nARG TARGETARCH\nCOPY a /x-amd64")
	if got := told(r.Differences); got != "linux/arm64 x-amd64 added file\nlinux/arm64 x-arm64 removed file" || r.Images != 2 {
		t.Errorf("%d images, differences: %s", r.Images, got)
	}
	if r := check(t, def, "FROM scratch\nARG TARGETARCH\nCOPY ./a /x-${TARGETARCH}"); !r.Equal() || r.Files != 2 {
		t.Errorf("%d files, differences: %s", r.Files, told(r.Differences))
	}
}

// TestTellsWhatVaries checks that what each build of the original makes anew is reported, and that only
// that is left out of the comparison. Builds may take less than a second, hence the uptime in place of date.
func TestTellsWhatVaries(t *testing.T) {
	const varying = `FROM busybox
RUN cat /proc/uptime > /stamp && head -c 9 /dev/urandom > /random && chmod 600 /random
RUN mkdir -p /root/.npm/_logs && echo log > "/root/.npm/_logs/$(date +%s)_$(head -c 8 /proc/sys/kernel/random/uuid)Z-debug-0.log"
RUN d=$(mktemp -d /tmp/work.XXXXXX) && echo 1 > $d/steady && ln -s $d /latest
`
	def := project(t, varying+"RUN echo 1 > /fixed")
	r := check(t, def, varying+"RUN printf '1\\n' > /fixed")
	if !r.Equal() {
		t.Fatalf("differences: %s", told(r.Differences))
	}
	var got []string
	for _, d := range r.Uncovered {
		got = append(got, d.Path+" "+string(d.Aspect))
	}
	slices.Sort(got)
	want := []string{
		"latest link-target", "random content", "root/.npm/_logs/#_?????????-debug-#.log name", "stamp content", "tmp/work.?????? name",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("not covered (-want +got):\n%s", diff)
	}
	changed := strings.NewReplacer("chmod 600", "chmod 640", "echo 1 > $d/steady", "echo 2 > $d/steady", "echo log >", "umask 077; echo log >").Replace(varying)
	r = check(t, def, changed+"RUN echo 1 > /fixed")
	const differ = `random mode 0600 → 0640
root/.npm/_logs/#_?????????-debug-#.log mode 0644 → 0600
tmp/work.??????/steady content 2 bytes, others`
	if got := told(r.Differences); got != differ {
		t.Errorf("differences:\n%s\nwant:\n%s", got, differ)
	}
}

func TestTellsABuildThatFails(t *testing.T) {
	def := project(t, "FROM busybox\nRUN true")
	if r := check(t, def, "FROM busybox\nRUN exit 7"); r.Equal() || r.Failure != "[2/2] RUN failed, exit code 7" {
		t.Errorf("result: %+v", r)
	}
	if r := check(t, def, "FROM busybox\nRUNN true"); r.Equal() || !strings.Contains(r.Failure, "does not parse at line 2") {
		t.Errorf("result: %+v", r)
	}
	def = project(t, "FROM busybox\nRUN exit 8")
	_, err := verify.Open(t.Context(), connect(t), def, verify.Options{})
	var failed *verify.BuildError
	if !errors.As(err, &failed) || err.Error() != "the build as it is fails: [2/2] RUN failed, exit code 8" {
		t.Errorf("error: %v", err)
	}
}

// Edits are sent in place of what the disk holds, and the disk stays as it is.
func TestBuildsWhatIsProposed(t *testing.T) {
	const text = "FROM busybox\nCOPY . /app\n"
	def := project(t, text)
	ignore := filepath.Join(def.Context, ".dockerignore")
	o, err := verify.Open(t.Context(), connect(t), def, verify.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := o.Check(t.Context(), []verify.Change{
		{Path: def.Dockerfile, Old: []byte(text), New: []byte("# another\n" + text)},
		{Path: ignore, New: []byte("dir/sub\n")},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := told(r.Differences); got != "app/dir/sub removed directory\napp/dir/sub/c removed file" {
		t.Errorf("differences: %s", got)
	}
	if diff := cmp.Diff([]string{"app/.dockerignore", "app/Dockerfile"}, r.Edited); diff != "" {
		t.Errorf("edited (-want +got):\n%s", diff)
	}
	if _, err := os.Stat(ignore); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the ignore file is there: %v", err)
	}
	if now, err := os.ReadFile(def.Dockerfile); err != nil || string(now) != text {
		t.Errorf("the Dockerfile is now %q, %v", now, err)
	}
	put(t, def.Dockerfile, text+"# edited meanwhile\n")
	if _, err := o.Check(t.Context(), []verify.Change{{Path: def.Dockerfile, Old: []byte(text), New: nil}}); !errors.Is(err, verify.ErrChanged) {
		t.Errorf("error of a change of an old text: %v", err)
	}
}

func TestSecretsAreOffered(t *testing.T) {
	const text = "FROM busybox\nRUN --mount=type=secret,id=token,required=true sha256sum /run/secrets/token > /sum"
	def := project(t, text)
	if _, err := verify.Open(t.Context(), connect(t), def, verify.Options{}); err == nil {
		t.Fatal("the build succeeds without its secret")
	}
	o, err := verify.Open(t.Context(), connect(t), def, verify.Options{Offer: buildkit.Offer{Secrets: map[string][]byte{"token": []byte("hunter2")}}})
	if err != nil {
		t.Fatal(err)
	}
	r, err := o.Check(t.Context(), []verify.Change{{Path: def.Dockerfile, Old: []byte(text), New: []byte(text + "\n")}})
	if err != nil || !r.Equal() {
		t.Errorf("%v, differences: %s", err, told(r.Differences))
	}
}
