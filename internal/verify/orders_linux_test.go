package verify_test

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stokerd/stoker/internal/advise"
	"github.com/stokerd/stoker/internal/changes"
	"github.com/stokerd/stoker/internal/lab"
	repo "github.com/stokerd/stoker/internal/project"
	"github.com/stokerd/stoker/internal/randtest"
	"github.com/stokerd/stoker/internal/suggest"
	"github.com/stokerd/stoker/internal/verify"
)

// TestRandomOrdersAreProven draws Dockerfiles whose steps work on a handful of paths, so
// that most get into each other's way, and builds those that suggest has another order
// for: it makes the same image.
func TestRandomOrdersAreProven(t *testing.T) {
	if lab.For(t).Real() {
		t.Skip("its base image is a stand-in")
	}
	builder := connect(t)
	for seed := range randtest.Seeds(t, 6, 300) {
		r := rand.New(rand.NewPCG(seed, 17))
		for { // one in some dozens may be put in another order
			d := drawDockerfile(r)
			changed := d.reordered(t, r)
			if changed == nil {
				continue
			}
			o, err := verify.Open(t.Context(), builder, d.picture.Builds[0].Definition, verify.Options{})
			if err != nil {
				continue // it does not build
			}
			result, err := o.Check(t.Context(), []verify.Change{{Path: filepath.Join(d.picture.Root, "Dockerfile"), Old: []byte(d.text), New: changed}})
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			if !result.Equal() {
				t.Fatalf("seed %d: another image: %s\n%s\n-- as it is --\n%s\n-- in another order --\n%s", seed, result.Failure, told(result.Differences), d.text, changed)
			}
			break
		}
	}
}

// drawn is a random Dockerfile.
type drawn struct {
	text    string
	picture *repo.Picture // of a repository that it is in
}

// drawnFiles are what there is to be copied. The first changes with each commit.
var drawnFiles = []string{"src/f1", "src/f2.txt", "src/d/g", "one/file.txt", "tool"}

// reordered returns what suggest is sure to make of d, nil for nothing.
func (d *drawn) reordered(t *testing.T, r *rand.Rand) []byte {
	t.Helper()
	root := lab.Dir(t)
	for _, name := range drawnFiles {
		put(t, filepath.Join(root, name), name+" abc\n")
	}
	put(t, filepath.Join(root, "Dockerfile"), d.text)
	put(t, filepath.Join(root, ".dockerignore"), "Dockerfile\n.dockerignore\n")
	var err error
	if d.picture, err = (&repo.Opener{}).Open(t.Context(), root, false); err != nil {
		t.Fatal(err)
	}
	seconds := map[string]float64{}
	for line := range strings.Lines(d.text) {
		if strings.HasPrefix(line, "RUN ") {
			seconds[strings.TrimSpace(line)] = 1 + 9*r.Float64()
		}
		if strings.HasPrefix(line, "COPY ") {
			seconds[strings.TrimSpace(line)] = 0.3 // enough to move one past another
		}
	}
	answers := advise.Suggest(t.Context(), d.picture, d.picture.Builds, advise.History{Commits: drawHistory()}, func(string) map[string]float64 { return seconds })
	for _, s := range answers[0].Suggestions {
		if s.Rule == "reorder" && s.Proof == suggest.ByConstruction {
			return s.Changes[0].New
		}
	}
	return nil
}

// drawHistory returns commits that change the first file, and now and then the last.
func drawHistory() *changes.Log {
	var list []changes.Commit
	now := map[string]changes.Entry{}
	for i := range 40 {
		name := drawnFiles[0]
		if i%13 == 0 {
			name = drawnFiles[len(drawnFiles)-1]
		}
		next := changes.Entry{Mode: 0o100644, OID: fmt.Sprint(i)}
		list = append(list, changes.Commit{ID: fmt.Sprint(i), Changes: []changes.Change{{Path: name, Old: now[name], New: next}}})
		now[name] = next
	}
	return changes.NewLog(list)
}

func drawDockerfile(r *rand.Rand) *drawn {
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	var out strings.Builder
	fmt.Fprintf(&out, "FROM debian:bookworm-slim\nENV STANDIN_SECONDS=0\nARG V=%s\nRUN mkdir -p /opt/b /srv /opt/a /usr/local/bin\n", pick("a", "b", "shop"))
	if r.IntN(2) == 0 {
		fmt.Fprintf(&out, "WORKDIR %s\n", pick("/srv/shop", "/opt/b", "/work"))
	}
	for range 4 + r.IntN(5) {
		switch k := r.IntN(12); {
		case k < 3:
			fmt.Fprintf(&out, "COPY %s%s %s\n", pick("", "", "", "--chown=1000:1000 ", "--chmod=750 ", "--parents ", "--exclude=d "), pick("src", "src", "one/file.txt", "tool", "src/f1"),
				pick("/opt/b/l/", "/opt/c/", "/srv/shop", "/srv/shop/", "/opt/a/", "/opt/b/", "/usr/local/bin/", "./", "/opt/c/deep/", "x/"))
		case k == 3:
			fmt.Fprintf(&out, "ENV %s\n", pick("W=1", "V=b", "LIMIT=2"))
		case k == 4:
			fmt.Fprintf(&out, "WORKDIR %s\n", pick("/srv/shop", "/opt/b", "/work", "sub", "/opt/c"))
		case k == 5:
			fmt.Fprintln(&out, pick("LABEL a=b", "EXPOSE 80", `CMD ["x"]`, "USER 1000"))
		default:
			list := make([]string, 1+r.IntN(3))
			for i := range list {
				list[i] = drawCommand(pick)
			}
			fmt.Fprintf(&out, "RUN %s%s; true\n", pick("", "", "", "", "", "--mount=type=bind,source=one,target=/opt/a/m ", "--mount=type=cache,target=/srv/shop/c "), strings.Join(list, "; "))
		}
	}
	return &drawn{text: out.String()}
}

// drawCommand draws a command whose reads and writes the table of commands knows.
func drawCommand(pick func(...string) string) string {
	place := func() string {
		return pick("/srv/shop", "/srv/shop/f1", "/srv/shop/new", "/opt/a", "/opt/a/n", "/opt/a/f1", "/opt/b", "/opt/b/x", "/opt/b/y", "/opt/c/deep",
			"/usr/local/bin/tool", "/usr/local/bin/other", "/opt/b/l", "/opt/b/l/f1", "/opt/*/f1", "/opt/b/d", "f1", "n", "./d", "/opt/b/*", "/srv/shop/*.txt", "*.txt", "/opt/$V", "/srv/$V/f1", "/opt/b/${V}_z")
	}
	form := pick("mkdir -p P", "touch P", "echo t > /opt/b/x", "echo t > /srv/shop/new", "echo t > n", "rm -rf P", "rm -f P", "chmod -R 700 P", "chown -R 1000:1000 P",
		"mv P P", "cp -r P P", "ln -s /srv/shop /opt/b/l", "ln -s /opt/b /opt/c", "ln -s x l", "find P -type f -name '*1' -exec rm -f {} +",
		"find P -type f | xargs chmod 640", "for d in P P; do touch $d/z; done", "x=/opt/a; [ -e P ] && x=/opt/b; touch $x/y",
		`case "$V" in a) y=/opt/b ;; *) y=/srv/shop ;; esac; touch $y/w`, "ls P > /opt/list", "ls P > list", "cat P > /opt/cat", "sed -i 's/a/b/' P",
		"ln -sfn P /opt/b/l", "ln -s P P", "/bin/ln -s /srv/shop /opt/b/l", "sh -c 'ln -s /srv/shop /opt/b/l'", "find /srv -name shop -exec ln -s {} /opt/b/l ';'", "ln P P",
		"cp -a P P", "cp -P P P", "find P -exec chmod 750 {} +", "find P | xargs chmod g+w", "find P -type l -exec cat {} + > /opt/cat", "find P -type l -delete", "(cd P && touch k)",
		"cd P && touch k", "mkdir -p /opt/b/l/sub", "mv P P/", "ls -L P > /opt/list", "{ touch P; } 2> /opt/a/err", "test -L P || ln -s P P", "rmdir P", "tar -cf /opt/t.tar -C P .",
		"while read f; do touch /opt/b/$f; done < P", "cat <<E > P\nx\nE\ntrue", "umask 077; mkdir -p P", "install -d -m 700 P", "if test -e P; then touch P; fi", "cd /opt/b; touch k", "cd /srv/shop; touch k", "echo q | tee P", "ldconfig", "true")
	for strings.Contains(form, "P") {
		form = strings.Replace(form, "P", place(), 1)
	}
	return form
}
