package suggest_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestSameWords holds that a message names the same of several causes every time, however a map
// is gone through.
func TestSameWords(t *testing.T) {
	const install = "FROM python:3.12-slim\nWORKDIR /app\nCOPY . .\nRUN "
	history := map[string]string{"history": "10 main.py\n"}
	for name, files := range map[string]map[string]string{
		"poetry": {
			"Dockerfile":  install + "poetry install\n",
			"poetry.lock": "",
			"pyproject.toml": "[tool.poetry.dependencies]\nzoo = {path = \"zoo\"}\nant = {path = \"ant\"}\n" +
				"[tool.poetry.group.dev.dependencies]\nfox = {path = \"fox\"}\n[tool.poetry.group.all.dependencies]\nbee = {path = \"bee\"}\n",
		},
		"cargo": {
			"Dockerfile": "FROM rust:1\nWORKDIR /app\nCOPY . .\nRUN cargo fetch --locked\n",
			"Cargo.lock": "",
			"Cargo.toml": "[package]\nname = \"x\"\n[[bin]]\nname = \"x\"\npath = \"main.rs\"\n[dependencies]\nzoo = {path = \"zoo\"}\nant = {path = \"ant\"}\n",
		},
		"pnpm": {
			"Dockerfile":          "FROM node:24\nWORKDIR /app\nCOPY . .\nRUN pnpm install --frozen-lockfile\n",
			"pnpm-lock.yaml":      "",
			"package.json":        `{"dependencies":{"zoo":"file:zoo","ant":"file:ant"},"pnpm":{"overrides":{"x":"file:z","y":"file:y"}}}`,
			"pnpm-workspace.yaml": "overrides: {zoo: 'file:zoo', ant: 'file:ant'}\ncatalogs: {b: {x: 'file:x'}, a: {y: 'file:y'}}\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			files["main.py"] = "x\n"
			s := scenario{sections: history, files: files}
			first := s.suggestions(t, files)
			if len(first) == 0 {
				t.Fatal("nothing is suggested, and so no message is tested")
			}
			for range 30 {
				if diff := cmp.Diff(first, s.suggestions(t, files)); diff != "" {
					t.Fatalf("another time:\n%s", diff)
				}
			}
		})
	}
}
