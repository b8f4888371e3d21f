package scaffold

import (
	"fmt"
	"path"
	"strings"

	"github.com/stokerd/stoker/internal/effects"
)

func (g *golang) bases(*App) ([]Base, map[Base]string) {
	if g.cgo != "" {
		return []Base{Distroless, Slim, Alpine}, map[Base]string{Scratch: "the program needs C (" + g.cgo + "), and scratch has no C library"}
	}
	return []Base{Distroless, Slim, Alpine, Scratch}, nil
}

// write implements maker. The stages are build and the image itself.
func (g *golang) write(a *App, base Base, d *page, ignore *ignoreList) {
	g.ignore(a, ignore)
	image := "golang:" + a.Version + "-" + suite
	switch {
	case g.cgo != "" && base == Alpine:
		d.from("golang:"+a.Version+"-alpine", "build", "The program needs C, so it is built on the system that it runs on.")
		d.run(nil, "apk add --no-cache gcc musl-dev")
	case g.cgo != "":
		d.from(image, "build", "The program needs C, so it is built on the Debian that it runs on, whose image has gcc.")
	default:
		d.from("--platform=$BUILDPLATFORM "+image, "build", "Go compiles for other platforms by itself: this stage always runs on the builder's own.")
	}
	d.add("WORKDIR /src")
	g.writeDownload(a, d)
	g.writeBuild(a, base, d)
	g.writeImage(a, base, d)
}

// inWork returns a path in the module relative to the context.
func (g *golang) inWork(a *App, name string) string {
	rel, _ := below(a.Context, g.module)
	return path.Join(rel, name)
}

// writeDownload downloads the modules before the sources are copied, because they change less often.
func (g *golang) writeDownload(a *App, d *page) {
	rel, _ := below(a.Context, g.module)
	switch {
	case g.vendor || len(g.modules) == 0 && !g.sums:
		return
	case len(g.modules) > 0:
		d.note("Every go.mod that the download reads.")
		d.add("COPY --parents " + strings.Join(g.modules, " ") + " ./")
		if g.work == "" && rel != "" {
			d.add("WORKDIR " + path.Join("/src", rel))
		}
	default:
		d.add("COPY go.mod go.sum ./")
	}
	d.run(mountsOf(effects.CacheOf("go modules"), "golang"), "go mod download")
	if g.work == "" && rel != "" {
		d.add("WORKDIR /src")
	}
}

func (g *golang) writeBuild(a *App, base Base, d *page) {
	d.add("COPY . .")
	if rel, _ := below(a.Context, g.module); g.work == "" && rel != "" {
		d.add("WORKDIR " + path.Join("/src", rel))
	}
	mounts := mountsOf(effects.CacheOf("go build"), "golang")
	if !g.vendor {
		mounts = append(mountsOf(effects.CacheOf("go modules"), "golang"), mounts...)
	}
	tags := ""
	if base == Scratch {
		d.note("scratch has no time zones: -tags timetzdata puts them into the program.")
		tags = "-tags timetzdata "
	}
	main := "./" + g.main
	if g.work != "" {
		main = "./" + g.inWork(a, g.main)
	}
	if main == "./." {
		main = "."
	}
	build := fmt.Sprintf(`go build -trimpath %s-ldflags "-s -w" -o /out/%s %s`, tags, a.Name, main)
	if g.cgo != "" {
		d.run(mounts, "CGO_ENABLED=1 "+build)
		return
	}
	d.add("ARG TARGETOS TARGETARCH")
	d.run(mounts, "CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH "+build)
}

// writeImage adds the last stage. It needs no init, because Go's runtime ends a program on SIGTERM
// even if it is process 1.
func (g *golang) writeImage(a *App, base Base, d *page) {
	user, check := "65532:65532", []string(nil)
	var entrypoint []string
	const none = " There is nothing in it to ask the program for its health: let what runs the container do that."
	switch base {
	case Distroless:
		kind, what := "static", "certificates, time zones and a user, and nothing else"
		if g.cgo != "" {
			kind, what = "base", "the C library, certificates, time zones and a user, and nothing else"
		}
		d.from("gcr.io/distroless/"+kind+"-"+distroless+":nonroot", "runtime",
			"distroless "+kind+": "+what+". A Go program ends on SIGTERM as process 1; one that starts others is better run with `docker run --init`."+served(a, none))
	case Scratch:
		d.from("scratch", "runtime", "scratch: the program and what it reads. It ends on SIGTERM as process 1; one that starts others is better run with `docker run --init`."+served(a, none))
		d.add("COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/")
	case Slim:
		d.from("debian:"+suite+"-slim", "runtime", "slim: Debian, for a shell and packages beside the program. tini is process 1: it passes signals on and reaps what dies."+served(a, none))
		d.run(nil, "apt-get update", "apt-get install --yes --no-install-recommends ca-certificates tini tzdata", "rm -rf /var/lib/apt/lists/*",
			"groupadd --system --gid 65532 app", "useradd --system --uid 65532 --gid app app")
		entrypoint = []string{"/usr/bin/tini", "--"}
	case Alpine:
		d.from(alpineRun, "runtime", "alpine: the smallest image with a shell. tini is process 1: it passes signals on and reaps what dies.")
		d.run(nil, "apk add --no-cache ca-certificates tini tzdata", "addgroup -S -g 65532 app", "adduser -S -u 65532 -G app app")
		entrypoint = []string{"/sbin/tini", "--"}
		check = []string{"wget", "-q", "-O", "/dev/null", fmt.Sprintf("http://127.0.0.1:%d%s", a.Port, a.Health)}
	}
	if len(g.folders) > 0 {
		d.add("WORKDIR /app")
		for _, dir := range g.folders {
			d.add("COPY " + g.inWork(a, dir) + " ./" + dir)
		}
	}
	program := "/usr/local/bin/" + a.Name
	d.add("COPY --from=build /out/" + a.Name + " " + program)
	if base == Alpine && a.Port != 0 {
		d.hint("the health check counts an answer of 400 and above as a failure: --health names a path that says 200")
	}
	if len(entrypoint) == 0 {
		d.end(a, user, check, []string{program}, nil)
		return
	}
	d.end(a, user, check, entrypoint, []string{program})
}

// served returns text, which is about a program that listens, or "" if a does not.
func served(a *App, text string) string {
	if a.Port == 0 {
		return ""
	}
	return text
}

// ignore adds to the ignore file what no build of the program needs.
func (g *golang) ignore(a *App, l *ignoreList) {
	l.add("Left by tests and tools.", "**/*.test", "**/coverage.out", "**/*.prof", "**/*.log")
	l.env()
	l.common()
	l.docs(g.s, a.Context, []string{".go"})
}
