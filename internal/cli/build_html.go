package cli

import (
	_ "embed"
	"html/template"
	"io"
	"time"

	"github.com/stokerd/stoker/internal/api"
)

//go:embed build.html
var buildPage string

// buildHTML writes the report as one self-contained HTML page, without scripts. Names and texts in it are escaped by
// html/template.
func buildHTML(w io.Writer, b api.BuildReport, now time.Time) error {
	page, err := template.New("build").Funcs(template.FuncMap{
		"bytes": bytes, "seconds": seconds, "lines": lines, "saves": saves, "oneLine": oneLine, "notScanned": notScanned,
		"scanned":  func(s *api.BuildScan) string { return scanned(s, now) },
		"path":     func(name string, raw []byte) string { return visible(name, raw) },
		"percent":  func(part float64) float64 { return part * 100 },
		"share":    func(part, of int64) float64 { return 100 * float64(part) / float64(max(of, 1)) },
		"web":      isWeb,
		"first":    func(n int, list []api.ImageFile) []api.ImageFile { return list[:min(n, len(list))] },
		"plural":   plural,
		"handedOn": handedOn,
	}).Parse(buildPage)
	if err != nil {
		return err
	}
	return page.Execute(w, struct {
		api.BuildReport
		Made string
	}{shown(b), now.UTC().Format("2006-01-02 15:04 UTC")})
}

// isWeb reports whether an address is http or https. Others, which a scanner may print, are not made links.
func isWeb(address string) bool {
	return len(address) > 8 && (address[:8] == "https://" || address[:7] == "http://")
}
