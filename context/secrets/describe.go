package secrets

import "strings"

// Describe says what a rule finds and how to mend it, for a rule id of gitleaks or of this package: one sentence
// without a full stop, never with a value. Which ignore file to add a line to is the caller's to say.
func Describe(rule string) string {
	for i := range nameRules {
		if nameRules[i].id == rule {
			return nameRules[i].message
		}
	}
	what := strings.ReplaceAll(rule, "-", " ")
	return "a secret in the file (" + what + "): revoke it if the image was ever pushed, take it out" + keepOut
}
