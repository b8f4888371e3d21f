package daemon_test

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/moby/buildkit/client"
)

// note adds an entry with the time to the trail, which is logged if the walk fails.
func (w *walk) note(format string, args ...any) {
	w.trail = append(w.trail, time.Now().UTC().Format("15:04:05.000 ")+fmt.Sprintf(format, args...))
}

// listed returns the results that the builder lists, one a line, for the trail.
func (w *walk) listed() string {
	var b strings.Builder
	for _, u := range w.usage() {
		used := ""
		if u.LastUsedAt != nil {
			used = u.LastUsedAt.UTC().Format("15:04:05.000")
		}
		fmt.Fprintf(&b, "    %s made %s used %s, in use: %v, %s\n", u.ID, u.CreatedAt.UTC().Format("15:04:05.000"), used, u.InUse, u.Description)
	}
	return b.String()
}

// usage returns the results that the builder lists, in the order in which they were made.
func (w *walk) usage() []*client.UsageInfo {
	w.t.Helper()
	list, err := w.builder.DiskUsage(context.WithoutCancel(w.t.Context()))
	if err != nil {
		w.t.Fatal(err)
	}
	slices.SortFunc(list, func(a, b *client.UsageInfo) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), strings.Compare(a.Description, b.Description), strings.Compare(a.ID, b.ID))
	})
	return list
}
