package secrets

import (
	"fmt"
	"path"
	"regexp/syntax"
	"strings"
	"sync"
)

// A nameRule finds files by their names.
type nameRule struct {
	id       string
	severity Severity
	message  string
	match    func(dir, base string) bool // dir is the name of the parent directory; both are in lower case
	content  *search                     // for what the file must also contain; nil if the name is enough
}

// keepOut ends the message of most rules.
const keepOut = "; keep it out of the context and give it to the step that needs it with RUN --mount=type=secret"

// literalValue matches the beginning of a value that is written out, rather than taken from a variable as in
// ${NPM_TOKEN}.
const literalValue = `["']?[^\s"'$]`

// nameRules are sorted by id. Files of a format that has fields for secrets count only if one of them has a value.
var nameRules = [...]nameRule{
	{"aws-credentials", Error, "AWS credentials file" + keepOut, in(".aws", "credentials"), nil},
	{"docker-config-auth", Error, "Docker client configuration with registry credentials" + keepOut,
		func(dir, base string) bool {
			return base == ".dockercfg" || base == ".dockerconfigjson" || dir == ".docker" && base == "config.json"
		},
		newSearch(`"(?:auth|identitytoken|registrytoken)"\s*:\s*"[^"\s]`)},
	{"env-file", Warning, "environment file, which usually holds secrets; keep it out of the context and set the variables when the container runs",
		func(_, base string) bool { return isEnvFile(base) }, nil},
	{"gcloud-credentials", Error, "Google Cloud credentials of a user or service account" + keepOut,
		func(_, base string) bool { return strings.HasSuffix(base, ".json") },
		newSearch(`"type"\s*:\s*"(?:service_account|authorized_user|external_account)"(?s:.*)"(?:private_key|refresh_token|credential_source)"|"(?:private_key|refresh_token)"(?s:.*)"type"\s*:\s*"(?:service_account|authorized_user)"`)},
	{"git-credentials", Error, "passwords stored by git" + keepOut, names(".git-credentials"), nil},
	{"git-directory", Warning, "a repository's whole history would enter the image, with every secret ever committed; ignore .git",
		in(".git", "head"), nil},
	{"htpasswd", Warning, "password hashes of a web server" + keepOut, names(".htpasswd"), nil},
	{"java-keystore", Warning, "Java key store, which usually holds private keys" + keepOut,
		func(_, base string) bool { return hasSuffix(base, ".jks", ".keystore") && base != "debug.keystore" }, nil},
	{"kubeconfig", Error, "Kubernetes client configuration with credentials" + keepOut,
		func(dir, base string) bool {
			return base == "kubeconfig" || strings.HasSuffix(base, ".kubeconfig") || dir == ".kube" && base == "config"
		},
		newSearch(`(?m)^\s*(?:-\s+)?(?:token|password|client-key-data):\s*` + literalValue)},
	{"netrc", Error, "login file with a password" + keepOut, names(".netrc", "_netrc"),
		newSearch(`\bpassword\s+` + literalValue)},
	{"npmrc-token", Error, "npm configuration with a token" + keepOut, names(".npmrc"),
		newSearch(`(?m)^[^#;\n]*(?:_authToken|_auth|_password)\s*=\s*` + literalValue)},
	{"pypirc", Error, "Python package index configuration with a password" + keepOut, names(".pypirc"),
		newSearch(`(?m)^\s*password\s*[=:]\s*` + literalValue)},
	{"ssh-private-key", Error, "private SSH key; keep it out of the context and use RUN --mount=type=ssh",
		names("id_rsa", "id_dsa", "id_ecdsa", "id_ecdsa_sk", "id_ed25519", "id_ed25519_sk"), nil},
	{"terraform-state", Error, "Terraform state, which holds every secret of what it manages in the clear" + keepOut,
		func(_, base string) bool { return hasSuffix(base, ".tfstate", ".tfstate.backup") }, nil},
	{"terraform-variables", Warning, "Terraform variables, which often hold secrets" + keepOut,
		func(_, base string) bool { return hasSuffix(base, ".tfvars", ".tfvars.json") }, nil},
	{"vault-token", Error, "HashiCorp Vault token" + keepOut, names(".vault-token"), nil},
}

// A search looks for an expression that few of the texts it is given match, such as one for every .json file. It is
// safe for concurrent use.
type search struct {
	expr  lazyRegexp
	words func() (*automaton, error) // of which every match contains one; nil if none are known
}

func newSearch(expr string) *search {
	return &search{expr: lazy(expr), words: sync.OnceValues(func() (*automaton, error) {
		tree, err := syntax.Parse(expr, syntax.Perl) // the flags are those of regexp.Compile
		if err != nil {
			return nil, err
		}
		var words []string
		for _, a := range cover(tree) {
			if a.fold {
				return nil, nil // runes outside ASCII may stand for it, which an automaton does not know
			}
			words = append(words, a.literal)
		}
		if len(words) == 0 {
			return nil, nil
		}
		return newAutomaton(words), nil
	})}
}

// find returns where the expression first matches in text, nil if nowhere.
func (s *search) find(text string) ([]int, error) {
	words, err := s.words()
	if err != nil || words != nil && !words.contains(text) {
		return nil, err
	}
	re, err := s.expr()
	if err != nil {
		return nil, err
	}
	return re.FindStringIndex(text), nil
}

// Name returns the findings for a file that its name alone justifies: a [Warning] if such files usually have secrets
// in them, an [Error] if they have nothing else. name is slash-separated and relative to the context. Files whose
// content decides, such as .npmrc or kubeconfig, are left to [Scanner.ScanFile]. A .git directory is a single finding,
// made for its file HEAD.
func (s *Scanner) Name(name string) []Finding {
	var found []Finding
	for _, r := range rulesFor(name) {
		if r.content == nil {
			found = append(found, r.finding(name))
		}
	}
	finish(found)
	return found
}

// named returns the findings that the name of a file and its first fragment, head, justify together.
func named(name, head string) ([]Finding, error) {
	var found []Finding
	for _, r := range rulesFor(name) {
		if r.content == nil {
			continue
		}
		at, err := r.content.find(head)
		if err != nil {
			return nil, fmt.Errorf("rule %s: %w", r.id, err)
		}
		if at != nil {
			f := r.finding(name)
			f.Line = 1 + strings.Count(head[:at[0]], "\n")
			found = append(found, f)
		}
	}
	return found, nil
}

// rulesFor returns the rules that match the name of a file.
func rulesFor(name string) []*nameRule {
	lower := strings.ToLower(name)
	dir, base := path.Base(path.Dir(lower)), path.Base(lower)
	var out []*nameRule
	for i := range nameRules {
		if r := &nameRules[i]; r.match(dir, base) {
			out = append(out, r)
		}
	}
	return out
}

// finding returns the finding for a file that r matches.
func (r *nameRule) finding(name string) Finding {
	if r.id == "git-directory" {
		name = path.Dir(name)
	}
	return Finding{Rule: r.id, Path: name, Severity: r.severity, Message: r.message}
}

// isEnvFile reports whether a name is that of an environment file, such as .env, .env.local and prod.env, and not of
// one that is meant to be shared, such as .env.example.
func isEnvFile(base string) bool {
	if base != ".env" && base != ".envrc" && !strings.HasPrefix(base, ".env.") && path.Ext(base) != ".env" {
		return false
	}
	for _, part := range strings.Split(base, ".") {
		switch part {
		case "example", "examples", "sample", "template", "tmpl", "tpl", "dist", "defaults", "default", "schema", "ts", "js", "go", "py", "md", "enc", "vault", "license":
			return false
		}
	}
	return true
}

// names matches files with one of these names.
func names(bases ...string) func(_, base string) bool {
	return func(_, base string) bool {
		for _, b := range bases {
			if b == base {
				return true
			}
		}
		return false
	}
}

// in matches the file name in the directory parent.
func in(parent, name string) func(dir, base string) bool {
	return func(dir, base string) bool { return dir == parent && base == name }
}

// hasSuffix reports whether base ends in one of the suffixes.
func hasSuffix(base string, suffixes ...string) bool {
	for _, s := range suffixes {
		if strings.HasSuffix(base, s) {
			return true
		}
	}
	return false
}

// guessed is the rule that takes any long word beside one like "secret" or "auth" for a secret.
const guessed = "generic-api-key"

// locks reports whether a file is the lock file of a package manager: it is made of names of packages and of
// checksums, and a name like crypto_secretbox beside a checksum is no secret. gitleaks leaves out those of npm,
// yarn, pnpm, pip and others altogether. A token in the address of a package has a rule of its own.
func locks(name string) bool {
	switch path.Base(name) {
	case "Cargo.lock", "Gemfile.lock", "Package.resolved", "composer.lock", "flake.lock", "gradle.lockfile", "mix.lock", "packages.lock.json",
		"pdm.lock", "Podfile.lock", "pubspec.lock", "shard.lock", "uv.lock":
		return true
	}
	return false
}
