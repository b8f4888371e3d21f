package suggest

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

// These match lines of a Gemfile, which is a program.
var (
	// gemfileOpen matches what may read other files.
	gemfileOpen = regexp.MustCompile(`(?m)^[^#\n]*(\bpath\b\s*(:|=>|\s+["'])|:path\s*=>|\bgemspec\b|eval_gemfile|require_relative|\brequire\s*\(?["']\.|\bload\b|\bload_\w+|\bruby\s+file:|\b(?:File|IO|Dir|Pathname|YAML|Psych|Open3|Kernel|Process)\b|\b(?:open|eval|system|spawn|exec|popen)\b\s*[\s("']|%x|` + "`" + `|instance_eval)`)
	// gemfileFar matches repositories and indexes that are among the sources, plugins of Bundler,
	// and gems whose names the text does not say.
	gemfileFar = regexp.MustCompile(`(?m)^[^#\n]*(["']file:|\bgit(?::|\s*=>)\s*["']\.?\.?/)|^\s*plugin\b.*|(?:^|[\s{;|])gem\s*\(?\s*[a-z_@:#{].*`)
	// gemRuby matches a line that takes the version of Ruby from a file (bundler:
	// Bundler::RubyDsl).
	gemRuby = regexp.MustCompile(`(?m)^[ \t]*ruby[ \t]*\(?[ \t]*file:[ \t]*["']([\w.][\w./-]*)["'][ \t]*\)?[ \t]*(?:#.*)?$`)
	// gemName matches any gem, gemVersion one with a single requirement, and gemVersions one with
	// several. gemRequirement matches each of the requirements.
	gemName        = regexp.MustCompile(`(?m)^\s*gem\s*\(?\s*["']([^"']+)["']`)
	gemVersion     = regexp.MustCompile(`(?m)^\s*gem\s*\(?\s*["']([^"']+)["']\s*,\s*(["'](?:[~<>=!]+ )?\d[\w.]*["'])\s*\)?\s*(?:,\s*\w+:.*)?(?:#.*)?$`)
	gemVersions    = regexp.MustCompile(`(?m)^\s*gem\s*\(?\s*["']([^"']+)["']((?:\s*,\s*["'](?:[~<>=!]+ )\d[\w.]*["']){2,})`)
	gemRequirement = regexp.MustCompile(`["']([^"']+)["']`)
)

var (
	// gemPlace matches a setting of Bundler that names a file or folder.
	gemPlace = regexp.MustCompile(`(?m)^(BUNDLE_(?:PATH|GEMFILE|LOCAL__\w+|CACHE_PATH|BIN|APP_CONFIG))\s*:\s*["']?([^"'\n]+)`)
	// gemBundled matches the major version of Bundler that wrote a Gemfile.lock.
	gemBundled = regexp.MustCompile(`BUNDLED WITH\s+(\d+)`)
)

// bundlerWiden is install.widen for Bundler. It is an obstacle if the Gemfile may read files,
// and if Bundler would rewrite Gemfile.lock.
func bundlerWiden(r reader) ([]string, string) {
	text, lock := string(r.local("Gemfile")), string(r.local("Gemfile.lock"))
	var more []string
	for _, m := range gemRuby.FindAllStringSubmatch(text, -1) {
		if !r.exists(m[1]) {
			return nil, "the Gemfile takes the version of Ruby from " + m[1] + ", and the context has none"
		}
		more = append(more, path.Join(r.dir, m[1]))
	}
	if at := gemfileOpen.FindStringSubmatch(gemRuby.ReplaceAllString(text, "")); at != nil {
		return nil, "the Gemfile leads to other files of the sources: " + strings.TrimSpace(at[1])
	}
	if at := gemPlace.FindStringSubmatch(string(r.local(".bundle/config"))); at != nil && at[2] != "vendor/bundle" && at[2] != "/usr/local/bundle" {
		return nil, ".bundle/config says where something lies (" + at[1] + "), which may be among the sources"
	}
	if at := gemfileFar.FindString(text); at != "" {
		return nil, "the Gemfile leads to other files of the sources: " + strings.TrimSpace(at)
	}
	if lock == "" {
		return nil, "bundler would write a Gemfile.lock, and the context has none"
	}
	if by := gemBundled.FindStringSubmatch(lock); !bundlerFrozen(r.env) && (by == nil || by[1] == "1") {
		return nil, "bundler would rewrite Gemfile.lock, which does not say that bundler 2 or later wrote it: update it"
	}
	if staleGems(text, lock) {
		return nil, "bundler would rewrite Gemfile.lock, which lacks a gem of the Gemfile or the platform: update it"
	}
	return more, ""
}

// bundlerFrozen reports whether a variable forbids Bundler to rewrite Gemfile.lock.
func bundlerFrozen(env map[string]string) bool {
	return slices.ContainsFunc([]string{"BUNDLE_FROZEN", "BUNDLE_DEPLOYMENT"}, func(name string) bool {
		return !slices.Contains([]string{"", "0", "false"}, env[name])
	})
}

// staleGems reports whether a Gemfile.lock lacks a gem of the Gemfile, one of its requirements
// or the platform. The platform of the builder is not known; most are x86_64-linux.
func staleGems(gemfile, lock string) bool {
	platforms := lockSection(lock, "PLATFORMS\n")
	if !strings.Contains(platforms, "x86_64-linux") && !strings.Contains(platforms+"\n", "  ruby\n") {
		return true
	}
	direct := lockSection(lock, "DEPENDENCIES")
	for _, gem := range append(gemVersions.FindAllStringSubmatch(gemfile, -1), gemVersion.FindAllStringSubmatch(gemfile, -1)...) {
		if !slices.Equal(requirementsIn(gem[2]), lockedRequirements(direct, gem[1])) {
			return true
		}
	}
	var locked []string // names of gems
	for line := range strings.SplitSeq(direct, "\n") {
		name, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		locked = append(locked, strings.TrimSuffix(name, "!")) // the sign of a gem that is not from the default source
	}
	return slices.ContainsFunc(gemName.FindAllStringSubmatch(gemfile, -1), func(gem []string) bool { return !slices.Contains(locked, gem[1]) })
}

// lockSection returns the lines of a Gemfile.lock from a heading to the next empty line.
func lockSection(lock, heading string) string {
	_, section, _ := strings.Cut(lock, "\n"+heading)
	section, _, _ = strings.Cut(section, "\n\n")
	return section
}

// requirementsIn returns the requirements in a line of a Gemfile, sorted, as a Gemfile.lock has
// them: with "= " before one that is just a version.
func requirementsIn(line string) (list []string) {
	for _, m := range gemRequirement.FindAllStringSubmatch(line, -1) {
		requirement := m[1]
		if requirement[0] >= '0' && requirement[0] <= '9' {
			requirement = "= " + requirement
		}
		list = append(list, requirement)
	}
	slices.Sort(list)
	return list
}

// lockedRequirements returns the requirements of a gem in the section DEPENDENCIES of a
// Gemfile.lock, sorted, or nil if the gem has none there.
func lockedRequirements(section, gem string) []string {
	m := regexp.MustCompile(`\n  ` + regexp.QuoteMeta(gem) + ` \(([^)\n]*)\)`).FindStringSubmatch(section)
	if m == nil {
		return nil
	}
	list := strings.Split(m[1], ", ")
	slices.Sort(list)
	return list
}
