package secrets

import "strings"

// Describe returns one sentence without a full stop about a rule of gitleaks or of this package: what it finds, and
// what to do about it. The caller knows which ignore file to add a line to.
func Describe(rule string) string {
	for i := range nameRules {
		if nameRules[i].id == rule {
			return nameRules[i].message
		}
	}
	what := strings.ReplaceAll(rule, "-", " ")
	return "a secret in the file (" + what + "): revoke it if the image was ever pushed, take it out" + keepOut
}
