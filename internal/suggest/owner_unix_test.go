//go:build unix

package suggest_test

import (
	"fmt"
	"os"
	"syscall"
	"testing"
)

func owner(t *testing.T, name string) string {
	t.Helper()
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		t.Fatalf("no owner of %s", name)
	}
	return fmt.Sprintf("%d:%d", st.Uid, st.Gid)
}
