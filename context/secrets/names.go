package secrets

import (
	"fmt"
	"path"
	"strings"
)

// nameRule is a file that is known by its name.
type nameRule struct {
	id       string
	severity Severity
	message  string
	match    func(dir, base string) bool // both lower case; dir is the parent's base name
	content  lazyRegexp                  // nil: the name is enough
}

const keepOut = "; keep it out of the context and give it to the step that needs it with RUN --mount=type=secret"

// placeholderless matches a value that is written out, and not taken from a variable as in ${NPM_TOKEN}.
const placeholderless = `["']?[^\s"'$]`

// nameRules are in order of their ids. A file in a format that names its own secrets counts only with one in it.
var nameRules = [...]nameRule{
	{"aws-credentials", Error, "AWS credentials file" + keepOut, in(".aws", "credentials"), nil},
	{"docker-config-auth", Error, "Docker client configuration with registry credentials" + keepOut,
		func(dir, base string) bool {
			return base == ".dockercfg" || base == ".dockerconfigjson" || dir == ".docker" && base == "config.json"
		},
		lazy(`"(?:auth|identitytoken|registrytoken)"\s*:\s*"[^"\s]`)},
	{"env-file", Warning, "environment file, which usually holds secrets; keep it out of the context and set the variables when the container runs",
		func(_, base string) bool { return isEnvFile(base) }, nil},
	{"gcloud-credentials", Error, "Google Cloud credentials of a user or service account" + keepOut,
		func(_, base string) bool { return strings.HasSuffix(base, ".json") },
		lazy(`"type"\s*:\s*"(?:service_account|authorized_user|external_account)"(?s:.*)"(?:private_key|refresh_token|credential_source)"|"(?:private_key|refresh_token)"(?s:.*)"type"\s*:\s*"(?:service_account|authorized_user)"`)},
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
		lazy(`(?m)^\s*(?:-\s+)?(?:token|password|client-key-data):\s*` + placeholderless)},
	{"netrc", Error, "login file with a password" + keepOut, names(".netrc", "_netrc"),
		lazy(`\bpassword\s+` + placeholderless)},
	{"npmrc-token", Error, "npm configuration with a token" + keepOut, names(".npmrc"),
		lazy(`(?m)^[^#;\n]*(?:_authToken|_auth|_password)\s*=\s*` + placeholderless)},
	{"pypirc", Error, "Python package index configuration with a password" + keepOut, names(".pypirc"),
		lazy(`(?m)^\s*password\s*[=:]\s*` + placeholderless)},
	{"ssh-private-key", Error, "private SSH key; keep it out of the context and use RUN --mount=type=ssh",
		names("id_rsa", "id_dsa", "id_ecdsa", "id_ecdsa_sk", "id_ed25519", "id_ed25519_sk"), nil},
	{"terraform-state", Error, "Terraform state, which holds every secret of what it manages in the clear" + keepOut,
		func(_, base string) bool { return hasSuffix(base, ".tfstate", ".tfstate.backup") }, nil},
	{"terraform-variables", Warning, "Terraform variables, which often hold secrets" + keepOut,
		func(_, base string) bool { return hasSuffix(base, ".tfvars", ".tfvars.json") }, nil},
	{"vault-token", Error, "HashiCorp Vault token" + keepOut, names(".vault-token"), nil},
}

// Name gives the findings that a file's name alone makes, without looking inside: Warning where the file usually
// holds secrets, Error where it is nothing else. name is slash separated and relative to the context. The names of
// files whose content decides (.npmrc, kubeconfig …) are for ScanFile, which looks for a value written out in them.
// A .git directory is one finding, made by the file HEAD in it.
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

// named gives the findings that a name and the first fragment of the content make together.
func named(name, head string) ([]Finding, error) {
	var found []Finding
	for _, r := range rulesFor(name) {
		if r.content == nil {
			continue
		}
		re, err := r.content()
		if err != nil {
			return nil, fmt.Errorf("rule %s: %w", r.id, err)
		}
		if at := re.FindStringIndex(head); at != nil {
			f := r.finding(name)
			f.Line = 1 + strings.Count(head[:at[0]], "\n")
			found = append(found, f)
		}
	}
	return found, nil
}

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

func (r *nameRule) finding(name string) Finding {
	if r.id == "git-directory" {
		name = path.Dir(name)
	}
	return Finding{Rule: r.id, Path: name, Severity: r.severity, Message: r.message}
}

// isEnvFile knows .env, .env.local and prod.env, and leaves out what is written to be shared.
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

func in(parent, name string) func(dir, base string) bool {
	return func(dir, base string) bool { return dir == parent && base == name }
}

func hasSuffix(base string, suffixes ...string) bool {
	for _, s := range suffixes {
		if strings.HasSuffix(base, s) {
			return true
		}
	}
	return false
}
