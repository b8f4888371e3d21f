package suggest

import (
	"encoding/json"
	"slices"
	"strings"
)

// plugin returns the first plugin that a composer.lock has an install run, or "": one that the
// project allows, or any where it is not told which. noDev says that packages for development are
// left out.
func (m composerJSON) plugin(lock string, noDev bool) string {
	type locked struct{ Name, Type string }
	var l struct {
		Packages []locked
		Dev      []locked `json:"packages-dev"`
	}
	if json.Unmarshal([]byte(lock), &l) != nil {
		return "composer.lock cannot be read"
	}
	list := l.Packages
	if !noDev {
		list = slices.Concat(list, l.Dev)
	}
	for _, p := range list {
		if (p.Type == "composer-plugin" || p.Type == "composer-installer") && m.allows(p.Name) {
			return p.Name
		}
	}
	return ""
}

// allows reports whether the project lets a plugin run, or may.
func (m composerJSON) allows(plugin string) bool {
	set, ok := m.Config.Plugins.(map[string]any)
	if !ok {
		return m.Config.Plugins != false
	}
	for pattern, allowed := range set {
		if allowed == true && (pattern == plugin || strings.Contains(pattern, "*")) {
			return true
		}
	}
	return false
}
