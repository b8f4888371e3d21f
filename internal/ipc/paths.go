package ipc

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
)

// Paths are the files that stoker's processes share. All are absolute.
type Paths struct {
	Runtime string // folder of the socket, 0700, empty after a reboot
	Socket  string
	State   string // folder of what is kept, 0700
	Lock    string
	Store   string
	Log     string // what a daemon in the background prints
}

// Locate says where the files are, as the XDG Base Directory Specification has
// it: the socket below XDG_RUNTIME_DIR, the state below XDG_STATE_HOME or
// ~/.local/state. Without a runtime folder of the user's own the socket is in
// a private folder among the temporary files. It creates nothing.
func Locate(getenv func(string) string) (Paths, error) {
	state := getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(state) { // the specification: relative ones are ignored
		home := getenv("HOME")
		if home == "" {
			home = getenv("USERPROFILE")
		}
		if !filepath.IsAbs(home) {
			return Paths{}, errors.New("locate the state folder: neither XDG_STATE_HOME nor HOME names a folder: set one")
		}
		state = filepath.Join(home, ".local", "state")
	}
	p := Paths{State: filepath.Join(state, "stoker")}
	p.Lock = filepath.Join(p.State, "daemon.lock")
	p.Store = filepath.Join(p.State, "stoker.db")
	p.Log = filepath.Join(p.State, "daemon.log")
	for _, dir := range runtimeFolders(getenv) {
		p.Runtime, p.Socket = dir, filepath.Join(dir, "stoker.sock")
		if len(p.Socket) <= maxSocketPath() {
			return p, nil
		}
	}
	return Paths{}, fmt.Errorf("place the socket: %s has %d bytes and the kernel takes %d: set XDG_RUNTIME_DIR to a shorter folder",
		p.Socket, len(p.Socket), maxSocketPath())
}

// runtimeFolders lists the folders that the socket may be in, best first.
func runtimeFolders(getenv func(string) string) []string {
	var dirs []string
	// After `sudo -E` the variable names the folder of somebody else.
	if dir := getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(dir) && ownFolder(dir) {
		dirs = append(dirs, filepath.Join(dir, "stoker"))
	}
	name := "stoker-" + strconv.Itoa(os.Getuid())
	if dir := getenv("TMPDIR"); filepath.IsAbs(dir) {
		dirs = append(dirs, filepath.Join(dir, name))
	}
	if runtime.GOOS == "windows" {
		return append(dirs, filepath.Join(os.TempDir(), name))
	}
	return append(dirs, filepath.Join("/tmp", name))
}

// maxSocketPath is the size of sun_path less its final NUL.
func maxSocketPath() int {
	if runtime.GOOS == "linux" {
		return 107
	}
	return 103 // darwin and the BSDs
}

// Prepare creates the two folders and checks that they are private. A folder
// that somebody else made, in /tmp say, is refused.
func (p Paths) Prepare() error {
	for _, dir := range []string{p.State, p.Runtime} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("create stoker's folder: %w", err)
		}
		if err := private(dir); err != nil {
			return err
		}
	}
	return nil
}

// private reports what would let another user into dir.
func private(dir string) error {
	info, err := os.Lstat(dir) // not Stat: a link may be led elsewhere later
	if err != nil {
		return fmt.Errorf("check stoker's folder: %w", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("stoker's folder %s is a %s: remove it", dir, kind(info.Mode()))
	}
	if uid, ok := owner(info); ok && uid != os.Getuid() {
		return fmt.Errorf("stoker's folder %s belongs to uid %d, not to you: set XDG_RUNTIME_DIR and XDG_STATE_HOME to folders of your own", dir, uid)
	}
	if perm := info.Mode().Perm(); runtime.GOOS != "windows" && perm&0o077 != 0 {
		return fmt.Errorf("stoker's folder %s is open to others (mode %o): chmod 700 %s", dir, perm, dir)
	}
	return nil
}

// ownFolder reports whether dir is a folder that belongs to this user.
func ownFolder(dir string) bool {
	info, err := os.Stat(dir)
	if err != nil || !info.IsDir() {
		return false
	}
	uid, ok := owner(info)
	return !ok || uid == os.Getuid()
}

func kind(m fs.FileMode) string {
	if m&fs.ModeSymlink != 0 {
		return "symbolic link"
	}
	return "file"
}
