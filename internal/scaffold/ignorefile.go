package scaffold

import (
	"strings"

	"github.com/stokerd/stoker/context/secrets"
)

// An ignoreList builds the text of an ignore file. Files are not excluded by their ending alone,
// since an install may need some of them: the metadata of a package may be read from a README.
type ignoreList struct {
	b strings.Builder
}

func (l *ignoreList) text() []byte { return []byte(l.b.String()) }

// add adds patterns with their reason as a comment, or nothing if there are no patterns.
func (l *ignoreList) add(why string, patterns ...string) {
	if len(patterns) == 0 {
		return
	}
	if l.b.Len() > 0 {
		l.b.WriteByte('\n')
	}
	l.b.WriteString(comment(why))
	for _, p := range patterns {
		l.b.WriteString(p + "\n")
	}
}

// common adds what no build in any language needs.
func (l *ignoreList) common() {
	l.add("History changes with each commit, and would make each build a new one.", ".git", ".github", ".gitlab-ci.yml")
	l.add("Editors and systems.", "**/.DS_Store", ".idea", ".vscode", "**/*.swp")
	l.add("What describes the build is not part of it.", "**/Dockerfile", "**/*.Dockerfile", "**/Dockerfile.dockerignore", ".dockerignore", "**/compose.yaml", "**/compose.*.yaml", "**/docker-compose*.yml", "stoker.yaml")
	l.add("Keys never belong into an image.", "**/id_rsa", "**/id_ed25519", "**/*.p12")
}

// env excludes .env files, which should be passed when the container starts, except for those that
// the patterns keep include again.
func (l *ignoreList) env(keep ...string) {
	l.add("Settings and secrets of this machine: hand them over when the container starts.", "**/.env", "**/.env.*", "!**/.env.example")
	l.add("These hold only what the build writes into pages for everybody to see.", keep...)
}

// docs excludes the usual files of documentation, except for those that a source file mentions.
func (l *ignoreList) docs(s *survey, dir string, endings []string) {
	mentioned := map[string]bool{}
	names := s.matching(dir, "README*", "CHANGELOG*", "CONTRIBUTING*")
	s.sources(dir, endings, nil, func(_ string, text []byte) bool {
		for _, name := range names {
			stem, _, _ := strings.Cut(name, ".")
			if strings.Contains(string(text), stem) || strings.Contains(string(text), "*.md") {
				mentioned[name] = true
			}
		}
		return len(mentioned) < len(names)
	})
	var list []string
	for _, name := range names {
		if !mentioned[name] && plain.MatchString(name) {
			list = append(list, name)
		}
	}
	l.add("For readers; no file of the sources mentions them.", list...)
}

// ignore adds to the ignore file what no build of the app needs.
func (n *node) ignore(a *App, l *ignoreList) {
	installed := []string{"**/node_modules"}
	if n.tool.name == "yarn" {
		installed = append(installed, ".yarn/cache", ".yarn/unplugged", ".yarn/install-state.gz", ".pnp.*")
	}
	l.add("Installed in the image, for its platform.", installed...)
	if n.build {
		l.add("Made in the image by the build.", append(n.made, "**/*.tsbuildinfo")...)
	}
	l.add("Left by tests and tools.", a.inContext("coverage"), "**/.nyc_output", "**/.eslintcache", "**/.turbo", "**/*.log")
	l.env(n.publicEnv(a)...)
	l.add("It holds a token, and is mounted as a secret.", n.tokens...)
	l.common()
	l.docs(n.s, a.Context, []string{".js", ".mjs", ".cjs", ".ts", ".mts", ".tsx", ".jsx", ".vue", ".svelte", ".astro", ".mdx", ".json"})
}

// publicEnv returns patterns that include .env files again which the framework's build reads, and
// which have only variables that it writes into pages.
func (n *node) publicEnv(a *App) []string {
	var keep []string
	for _, name := range []string{".env", ".env.production"} {
		text := n.s.read(a.Dir, name)
		if text == nil || !n.fw.pages {
			continue
		}
		if secrets.OnlyPublic(text) {
			keep = append(keep, "!"+a.inContext(name))
		}
	}
	return keep
}
