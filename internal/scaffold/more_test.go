package scaffold_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stokerd/stoker/internal/scaffold"
)

// TestWrites holds lines of the files for what the samples do not have.
func TestWrites(t *testing.T) {
	const server = `"scripts":{"start":"node a.js"},"dependencies":{"express":"5"}`
	for _, c := range []struct {
		name   string
		files  map[string]string
		choice scaffold.Choice
		want   []string // in the Dockerfile, or with a bar in front, in the ignore file
		not    []string
	}{
		{"a token in .npmrc is a secret", map[string]string{"package.json": "{" + server + "}", "package-lock.json": "{}", ".npmrc": "//r.example.com/:_authToken=abc\n"}, scaffold.Choice{},
			[]string{"--mount=type=secret,id=npmrc,target=/app/.npmrc", "|\n.npmrc\n"}, []string{"abc", "package-lock.json .npmrc"}},
		{".npmrc asks for a variable", map[string]string{"package.json": "{" + server + "}", "package-lock.json": "{}", ".npmrc": "//r.example.com/:_authToken=${NPM_TOKEN}\n"}, scaffold.Choice{},
			[]string{"COPY package.json package-lock.json .npmrc ./", "--mount=type=secret,id=npm-token,env=NPM_TOKEN"}, []string{"|\n.npmrc\n"}},
		{"a script of its own reads the sources", map[string]string{"package.json": `{"scripts":{"start":"node a.js","postinstall":"node setup.js"}}`, "package-lock.json": "{}"}, scaffold.Choice{},
			[]string{"# stoker ignore=manifests-first", "npm prune --omit=dev"}, []string{"npm ci --omit=dev"}},
		{"a compiler for native packages", map[string]string{"package.json": "{" + server + "}", "package-lock.json": `{"packages":{"node_modules/node-gyp":{}}}`}, scaffold.Choice{},
			[]string{"FROM node:24-trixie AS base", "FROM node:24-trixie-slim AS runtime"}, nil},
		{"prisma's client is generated", map[string]string{"package.json": `{"scripts":{"start":"node dist/a.js","build":"tsc"},"dependencies":{"@prisma/client":"6"}}`, "package-lock.json": "{}", "prisma/schema.prisma": ""}, scaffold.Choice{},
			[]string{"COPY --parents package.json package-lock.json prisma ./", "npx --no-install prisma generate", "npm prune --omit=dev"}, nil},
		{"no lock file", map[string]string{"package.json": "{" + server + "}", "a.js": ""}, scaffold.Choice{}, []string{"npm install --omit=dev", "COPY package.json ./"}, nil},
		{"Next.js that exports pages", map[string]string{"package.json": `{"scripts":{"build":"next build"},"dependencies":{"next":"15"}}`, "package-lock.json": "{}", "next.config.js": "module.exports = {output: 'export'}"}, scaffold.Choice{},
			[]string{"COPY --from=build /app/out /usr/share/nginx/html"}, []string{"tini"}},
		{"Next.js as it is", map[string]string{"package.json": `{"scripts":{"build":"next build"},"dependencies":{"next":"15"}}`, "package-lock.json": "{}", "next.config.js": ""}, scaffold.Choice{},
			[]string{"COPY --from=prod-deps /app/node_modules", `CMD ["node", "node_modules/next/dist/bin/next", "start"]`, "./next.config.js"}, nil},
		{"a secret beside public names stays out", map[string]string{"package.json": `{"scripts":{"build":"vite build"},"devDependencies":{"vite":"7"}}`, "package-lock.json": "{}", "index.html": "", ".env.production": "VITE_A=1\nTOKEN=2\n"}, scaffold.Choice{},
			[]string{"|**/.env.*"}, []string{"|!.env.production"}},
		{"a README that metadata reads stays", map[string]string{"pyproject.toml": "[project]\nname=\"x\"\nreadme=\"README.md\"\n[build-system]\n", "README.md": "", "main.py": ""}, scaffold.Choice{},
			nil, []string{"|README"}},
		{"node on distroless", map[string]string{"package.json": "{" + server + "}", "package-lock.json": "{}"}, scaffold.Choice{Base: scaffold.Distroless},
			[]string{"gcr.io/distroless/nodejs24-debian13:nonroot", `CMD ["a.js"]`, `CMD ["/nodejs/bin/node", "-e"`, "USER 65532:65532", "--init"}, []string{"tini is"}},
		{"Python on distroless", map[string]string{"requirements.txt": "flask\ngunicorn\n", "app.py": "from flask import Flask\napp = Flask(__name__)\n"}, scaffold.Choice{Base: scaffold.Distroless},
			[]string{"PYTHONPATH=/app/.venv/lib/python3.13/site-packages", `CMD ["-m", "gunicorn", "--bind", "0.0.0.0:8000", "app:app"]`}, []string{"tini is"}},
		{"Go on scratch", map[string]string{"go.mod": "module x.org/y\ngo 1.26\n", "main.go": "package main\n"}, scaffold.Choice{Base: scaffold.Scratch},
			[]string{"-tags timetzdata", "ca-certificates.crt", "USER 65532:65532", "FROM scratch AS runtime"}, []string{"HEALTHCHECK"}},
		{"Go on alpine asks by wget", map[string]string{"go.mod": "module x.org/y\ngo 1.26\n", "main.go": "package main\nvar a = http.ListenAndServe(\":9000\", nil)\n"}, scaffold.Choice{Base: scaffold.Alpine, Health: "/up"},
			[]string{`"http://127.0.0.1:9000/up"`, "EXPOSE 9000", `ENTRYPOINT ["/sbin/tini", "--"]`}, nil},
		{"an address with a host is another program's", map[string]string{"go.mod": "module x.org/y\ngo 1.26\n", "main.go": "package main\nvar c = redis.Options{Addr: \"localhost:6379\"}\nvar a = http.ListenAndServe(addr, nil)\n"}, scaffold.Choice{},
			[]string{"EXPOSE 8080"}, []string{"6379"}},
		{"but not where something listens there", map[string]string{"go.mod": "module x.org/y\ngo 1.26\n", "main.go": "package main\nvar a = http.ListenAndServe(\"localhost:9000\", nil)\n"}, scaffold.Choice{},
			[]string{"EXPOSE 9000"}, nil},
		{"a folder of commands names no program", map[string]string{"go.mod": "module x.org/shop/v2\ngo 1.26\n", "cmd/main.go": "package main\n"}, scaffold.Choice{},
			[]string{"-o /out/shop ./cmd", `ENTRYPOINT ["/usr/local/bin/shop"]`}, []string{"/out/cmd"}},
		{"Go replaced by a folder beside it", map[string]string{"svc/go.mod": "module x.org/y\ngo 1.26\nrequire x.org/z v0.0.0\nreplace x.org/z => ../z\n", "svc/main.go": "package main\n", "z/go.mod": "module x.org/z\n"}, scaffold.Choice{},
			[]string{"COPY --parents svc/go.mod z/go.mod ./", "WORKDIR /src/svc", "-o /out/y ."}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, files := write(t, c.files, c.choice)
			for i, list := range [][]string{c.want, c.not} {
				for _, text := range list {
					in := string(files.DockerfileText)
					part, ignore := strings.CutPrefix(text, "|")
					if ignore {
						in = string(files.IgnoreText)
					}
					if strings.Contains(in, part) != (i == 0) {
						t.Errorf("%q: expected %v in\n%s", part, i == 0, in)
					}
				}
			}
		})
	}
}

// TestSave writes all or nothing.
func TestSave(t *testing.T) {
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	files := []scaffold.Files{
		{Dockerfile: "Dockerfile", Ignore: ".dockerignore", DockerfileText: []byte("a"), IgnoreText: []byte("b")},
		{Dockerfile: "gone/Dockerfile", Ignore: "gone/.dockerignore"},
	}
	if err := scaffold.Save(root, files, false); err == nil {
		t.Error("a folder that is not there is no error")
	}
	if names, _ := os.ReadDir(dir); len(names) != 0 {
		t.Errorf("%v are left of a save that failed", names)
	}
	if err := scaffold.Save(root, append(files[:1:1], files[0]), true); err == nil {
		t.Error("two apps with one Dockerfile are no error")
	}
	if err := scaffold.Save(root, files[:1], false); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(dir + "/Dockerfile"); err != nil || string(got) != "a" {
		t.Errorf("the Dockerfile holds %q, %v", got, err)
	}
	if names, _ := os.ReadDir(dir); len(names) != 2 {
		t.Errorf("the folder holds %v, want two files", names)
	}
}
