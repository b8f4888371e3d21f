package secrets_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/stokerd/stoker/context/secrets"
)

func newScanner(t *testing.T) *secrets.Scanner {
	t.Helper()
	s, err := secrets.New()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestName(t *testing.T) {
	s := newScanner(t)
	for name, want := range map[string]string{
		".env":                           "env-file",
		"api/.env.production":            "env-file",
		"deploy/prod.env":                "env-file",
		".env.example":                   "",
		".env.local.sample":              "",
		"src/env.ts":                     "",
		"docker/.env.license":            "",
		"docker/.env.test.license":       "",
		"src/.env.d.ts":                  "",
		"keys/id_ed25519":                "ssh-private-key",
		"keys/id_ed25519.pub":            "",
		"home/.aws/credentials":          "aws-credentials",
		"docs/credentials":               "",
		".git/HEAD":                      "git-directory",
		".git/config":                    "",
		"infra/terraform.tfstate":        "terraform-state",
		"infra/prod.tfvars":              "terraform-variables",
		"infra/main.tf":                  "",
		"android/debug.keystore":         "",
		"release.jks":                    "java-keystore",
		".npmrc":                         "", // its content decides
		"locale/en.key":                  "",
		"public.pem":                     "",
		".vault-token":                   "vault-token",
		".htpasswd":                      "htpasswd",
		".git-credentials":               "git-credentials",
		"node_modules/pkg/test/.env":     "env-file",
		"charts/values.yaml":             "",
		"src/application_credentials.go": "",
		"src/docker/config.json":         "",
		"a/b/c/terraform.tfstate.backup": "terraform-state",
		"project/.envrc":                 "env-file",
		"project/environment":            "",
		"Dockerfile":                     "",
		"x/.ENV":                         "env-file",
		"x/id_rsa":                       "ssh-private-key",
		"x/id_rsa_notes.md":              "",
		"kubeconfig":                     "",
		"project/.env/lib/site.py":       "",
	} {
		got := ""
		for _, f := range s.Name(name) {
			got += f.Rule
		}
		if got != want {
			t.Errorf("Name(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestContentOfKnownNames(t *testing.T) {
	s := newScanner(t)
	value := strings.Repeat("ab", 3) // too plain for any of gitleaks' rules
	for _, c := range []struct {
		name, text, rule string
		line             int
	}{
		{".npmrc", "registry=https://r.example/\n//r.example/:_authToken=" + value + "\n", "npmrc-token", 2},
		{".npmrc", "//r.example/:_authToken=${NPM_TOKEN}\n", "", 0},
		{".npmrc", "# _authToken=" + value + "\n", "", 0},
		{".pypirc", "[pypi]\nusername = me\npassword = " + value + "\n", "pypirc", 3},
		{".netrc", "machine h login me password " + value + "\n", "netrc", 1},
		{".docker/config.json", `{"auths":{"r.example":{"auth":"` + value + `"}}}`, "docker-config-auth", 1},
		{".docker/config.json", `{"auths":{"r.example":{}},"credsStore":"desktop"}`, "", 0},
		{".kube/config", "users:\n- name: me\n  user:\n    token: " + value + "\n", "kubeconfig", 4},
		{".kube/config", "users:\n- name: me\n  user:\n    exec:\n", "", 0},
		{"sa.json", `{"type": "service_account",` + "\n" + `"private_key": "` + value + `"}`, "gcloud-credentials", 1},
		{"package.json", `{"type": "module"}`, "", 0},
	} {
		found, err := s.ScanFile(context.Background(), c.name, strings.NewReader(c.text), int64(len(c.text)))
		if err != nil {
			t.Fatal(err)
		}
		got, line := "", 0
		for _, f := range found {
			got, line = got+f.Rule, f.Line
			if strings.Contains(f.Message, value) {
				t.Errorf("%s: the message contains the value: %s", c.name, f.Message)
			}
		}
		if got != c.rule || line != c.line {
			t.Errorf("%s: %q: found %q on line %d, want %q on line %d", c.name, c.text, got, line, c.rule, c.line)
		}
	}
}

// token returns a token. It is put together here so that scanners do not find it in the source.
func token() string { return "ghp_" + "a1B2c3D4e5F6g7H8i9J0" + "kLmNoPqRsTuVwXyZ" }

func TestFingerprintOutlivesLineMoves(t *testing.T) {
	s := newScanner(t)
	scan := func(text string) []secrets.Finding {
		found, err := s.ScanFile(context.Background(), "a.go", strings.NewReader(text), int64(len(text)))
		if err != nil {
			t.Fatal(err)
		}
		if len(found) != 1 || found[0].Rule != "github-pat" || found[0].Severity != secrets.Error {
			t.Fatalf("found %+v, want one github-pat", found)
		}
		return found
	}
	a, b := scan("x := \"" + token() + "\"\n")[0], scan("\n\n\nx := \"" + token() + "\"\n")[0]
	if a.Line != 1 || b.Line != 4 || a.Fingerprint != b.Fingerprint {
		t.Errorf("line %d %s, then line %d %s; want lines 1 and 4 and one fingerprint", a.Line, a.Fingerprint, b.Line, b.Fingerprint)
	}
}

func TestSkips(t *testing.T) {
	s := newScanner(t)
	for name, want := range map[string]bool{
		"logo.png": true, "node_modules/a/index.js": true, "a/package-lock.json": true, "dist/a.tar.gz": true,
		"src/app.browser.js": false, "src/a.go": false, ".env": false, "lib/python3.12/site-packages/x.py": true,
		".git/config": true,
	} {
		if got := s.Skips(name); got != want {
			t.Errorf("Skips(%q) = %t, want %t", name, got, want)
		}
	}
}

// TestLockFiles holds that in a lock file a word beside the name of a package is no secret, while a token is one.
func TestLockFiles(t *testing.T) {
	const cargo = `[[package]]
name = "secret-key"
checksum = "2bda4de3e070830cf3a27a394de135b6709aefcc54d1e16f2f029271254a6ed9"
dependencies = [
 "crypto_secretbox",
 "curve25519-dalek 5.0.0-pre.1",
]
`
	s := newScanner(t)
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"Cargo.lock", cargo, nil},
		{"crates/web/Cargo.lock", cargo, nil},
		{"notes.txt", cargo, []string{"generic-api-key"}},
		{"mix.lock", `  "oauth2_provider": {:git, "https://example.com/oauth2_provider.git", "8df4b62acfe858e918be38202948b6b4db142dc6", []},` + "\n", nil},
		{"Cargo.lock", cargo + "source = \"git+https://x:" + token() + "@example.com/a\"\n", []string{"github-pat"}},
	} {
		found, err := s.ScanFile(t.Context(), c.name, strings.NewReader(c.text), int64(len(c.text)))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, f := range found {
			got = append(got, f.Rule)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s has %q, want %q", c.name, got, c.want)
		}
	}
}

func TestCancelledScanEnds(t *testing.T) {
	s := newScanner(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.ScanFile(ctx, "a", strings.NewReader("x"), 1); !errors.Is(err, context.Canceled) {
		t.Errorf("ScanFile under a cancelled context: %v, want context.Canceled", err)
	}
}
